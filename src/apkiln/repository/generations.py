"""Generations: the bytes of signed indexes as a pure function of the ledger, made piece by piece (spec repository.md §4).

The text of an index is cut before names whose CRC-32 is a multiple of 256, and each piece is compressed by itself into an
open-ended slice of one gzip member.  The cuts depend on the names alone, so a changed package changes the piece it is in and
nothing else, and whoever makes the whole index anew gets the same bytes.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from apkiln.core import canonical_json
from apkiln.formats.apk.index_text import format_record
from apkiln.formats.apk.signing import SectionSigner, signature_section, signatures_of
from apkiln.formats.apk.version import sort_key
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_writer import END_OF_ARCHIVE, header, padding
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.deflate.deflater import compress_slices
from apkiln.formats.deflate.member import Slice, member
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Package, record_of
from apkiln.repository.ledger.state import Generation

INDEXER = "apkiln-index-1"
"""Names the function from ledger to bytes; changes with it."""
_CUT = 256


class Piece(NamedTuple):
    """A run of names of one index."""

    packages: tuple[Package, ...]
    """In index order."""
    slices: tuple[Slice, ...]
    """Their records, compressed."""
    length: int
    """Bytes of their records."""
    sums: bytes
    """A line for each: SHA-256 of the file, two spaces, `<arch>/<file>`."""

    @property
    def first(self) -> bytes:
        return self.packages[0].name.encode()


class IndexImage(NamedTuple):
    """The index of one architecture in pieces; equal contents are equal values."""

    pieces: tuple[Piece, ...] = ()

    @property
    def size(self) -> int:
        """How many packages."""
        return sum(len(piece.packages) for piece in self.pieces)

    def packages(self) -> Iterator[Package]:
        """In index order."""
        for piece in self.pieces:
            yield from piece.packages


def changed_image(image: IndexImage, change: ListingChange, codec: Codec) -> IndexImage:
    """The image after a change.  Cost: the pieces that the change touches, and a step for every other piece."""
    gone = {package.key for package in change.removed}
    starts = [piece.first for piece in image.pieces]
    touched: dict[int, list[Package]] = {}
    for package in (*change.added, *change.removed):
        place = touched.setdefault(max(0, bisect_right(starts, package.name.encode()) - 1), [])
        if package.key not in gone:
            place.append(package)
    runs: list[Piece | list[Package]] = []
    for number in range(max(1, len(image.pieces))):
        if number not in touched:
            runs += image.pieces[number : number + 1]
            continue
        old = image.pieces[number].packages if image.pieces else ()
        rest = [*(package for package in old if package.key not in gone), *touched[number]]
        if rest and runs and not _cuts_before(min((package.name for package in rest), key=str.encode)):
            before = runs.pop()  # the name that began this piece is gone
            rest = [*(before.packages if isinstance(before, Piece) else before), *rest]
        if rest:
            runs.append(rest)
    pieces: list[Piece] = []
    for run in runs:
        pieces += [run] if isinstance(run, Piece) else _cut(run, codec)
    return IndexImage(tuple(pieces))


def full_image(packages: Iterable[Package], codec: Codec) -> IndexImage:
    """The image of a whole listing, from nothing."""
    return IndexImage(tuple(_cut(list(packages), codec)))


def _cuts_before(name: str) -> bool:
    return zlib.crc32(name.encode()) % _CUT == 0


def _cut(packages: list[Package], codec: Codec) -> list[Piece]:
    ordered = sorted(packages, key=_order)
    pieces: list[list[Package]] = []
    for name, group in groupby(ordered, key=lambda package: package.name):
        if not pieces or _cuts_before(name):
            pieces.append([])
        pieces[-1] += group
    return [_piece(tuple(group), codec) for group in pieces]


def _order(package: Package) -> tuple[bytes, bytes, bytes, str]:
    return package.name.encode(), sort_key(package.version), bytes.fromhex(package.identity), package.arch


def _piece(packages: tuple[Package, ...], codec: Codec) -> Piece:
    text = "".join([format_record(record_of(package)) + "\n" for package in packages]).encode()
    sums = "".join([f"{package.digest}  {package.arch}/{package.key.file}\n" for package in packages]).encode()
    return Piece(packages, compress_slices(codec, text), len(text), sums)


def index_bytes(image: IndexImage, description: str, codec: Codec, signers: Sequence[SectionSigner]) -> bytes:
    """The signed `APKINDEX.tar.gz` of an image.

    Reads in every reader as what `formats.apk.index.write_index` makes of the same records; only the borders of the DEFLATE
    blocks differ.  Equal arguments give equal bytes.
    """
    label = description.encode()
    entry = Entry("DESCRIPTION", EntryType.FILE, 0o644, uname="root", gname="root", size=len(label))
    length = sum(piece.length for piece in image.pieces)
    index = Entry("APKINDEX", EntryType.FILE, 0o644, uname="root", gname="root", size=length)
    begin = header(entry) + label + padding(len(label)) + header(index)
    slices = [*compress_slices(codec, begin)]
    for piece in image.pieces:
        slices += piece.slices
    slices += compress_slices(codec, padding(length) + END_OF_ARCHIVE)
    signed = member(slices)
    return signature_section(signatures_of(signed, signers, ("RSA256",)), codec) + signed


def arch_change(change: ListingChange, arch: str) -> ListingChange:
    """The part of a change that the index of one architecture shows: its own packages and the `noarch` ones."""
    homes = (arch, NOARCH)
    return ListingChange(
        tuple(package for package in change.added if package.arch in homes),
        tuple(package for package in change.removed if package.arch in homes),
    )


def sums_bytes(images: Mapping[str, IndexImage]) -> bytes:
    """The list of the SHA-256 of every file that a generation lists, by architecture; `noarch` once for each index."""
    return b"".join(piece.sums for _, image in sorted(images.items()) for piece in image.pieces)


class Described(NamedTuple):
    """What `generation.json` says (spec §4.4)."""

    repository: str
    generation: int
    previous: int
    previous_document: str
    created: int
    expires: int
    ledger: str
    """Hash of the last row that the content follows from."""
    arches: tuple[tuple[str, str, int, int], ...]
    """(architecture, hex SHA-256 and size of the index, packages)."""
    sums: str
    keys: tuple[str, ...]
    codec: str


def document_bytes(described: Described) -> bytes:
    """`generation.json`: canonical JSON, keys sorted."""
    return canonical_json.encode(
        {
            "schema": 1,
            "repo": described.repository,
            "generation": described.generation,
            "previous": described.previous,
            "previous_sha256": described.previous_document,
            "created": described.created,
            "expires": described.expires,
            "ledger_hash": described.ledger,
            "arches": {
                arch: {"sha256": digest, "size": size, "packages": packages} for arch, digest, size, packages in described.arches
            },
            "packages_sha256": described.sums,
            "indexer": INDEXER,
            "compressor": described.codec,
            "keys": list(described.keys),
        },
        sort_keys=True,
    )


def signature_bytes(document: bytes, signers: Sequence[SectionSigner]) -> bytes:
    """Detached signatures of a document, one for each signer."""
    found = signatures_of(document, signers, ("RSA256",))
    return canonical_json.encode(
        [{"algorithm": item.algorithm, "key": item.key_name, "signature": b64encode(item.value).decode()} for item in found],
        sort_keys=True,
    )


def hex_digest(data: bytes) -> str:
    """SHA-256 as the ledger writes it."""
    return hashlib.sha256(data).hexdigest()


def retained_generations(
    generations: Iterable[Generation], views: Iterable[int], now: int, full_days: int, daily_days: int
) -> set[int]:
    """Numbers of the generations that stay: all of the last `full_days`, the first of each day for `daily_days`, named ones,
    the newest (spec §7).  `now`: Unix milliseconds."""
    kept, days = set(views), set()
    newest = 0
    for generation in sorted(generations):
        newest = max(newest, generation.number)
        age, day = now - generation.live_at, generation.live_at // _DAY
        if age <= full_days * _DAY or (age <= daily_days * _DAY and day not in days):
            kept.add(generation.number)
        days.add(day)
    return kept | {newest}


_DAY = 86_400_000
