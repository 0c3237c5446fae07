"""Writing signature sections (spec apk.md §2.2, repository.md §8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.apk.keys import is_key_name
from apkiln.formats.apk.signature import ALGORITHMS, Signature
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_writer import PLAIN, archive
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.deflate.deflater import compress_member


class SectionSigner(Protocol):
    """What makes signatures: the part of `system.signer.Signer` that is needed here."""

    @property
    def name(self) -> str:
        """File name of the public key at those who verify."""

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """The raw PKCS#1 v1.5 signature."""


def signatures_of(data: bytes, signers: Sequence[SectionSigner], algorithms: Iterable[str]) -> tuple[Signature, ...]:
    """One signature for each algorithm and signer, in that order: apk takes the first whose key it knows, so the strongest
    algorithm stands first.  FormatError `signature-key-name`, `signature-algorithm`, `signature-repeated`."""
    found: list[Signature] = []
    for algorithm in algorithms:
        for signer in signers:
            place = Origin(member=f"signature/{algorithm}.{signer.name}")
            if not is_key_name(signer.name):
                raise FormatError(f"{signer.name!r} cannot name a key", reason="signature-key-name", origin=place)
            if algorithm not in ALGORITHMS:
                raise FormatError(f"signatures of kind `{algorithm}` are not made", reason="signature-algorithm", origin=place)
            if any((algorithm, signer.name) == item[:2] for item in found):
                raise FormatError("one key signs twice", reason="signature-repeated", origin=place)
            found.append(Signature(algorithm, signer.name, signer.sign(data, algorithm)))
    return tuple(found)


def signature_section(signatures: Sequence[Signature], codec: Codec, *, mtime: int = 0) -> bytes:
    """The signature member: gzip of a tar without end blocks, files 0644 of root; b"" without signatures."""
    if not signatures:
        return b""
    members = [
        (
            Entry(item.entry_name, EntryType.FILE, 0o644, uname="root", gname="root", size=len(item.value), mtime=mtime),
            item.value,
        )
        for item in signatures
    ]
    return compress_member(codec, archive(members, PLAIN, end=False))
