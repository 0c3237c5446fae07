"""Packages written: signature, control and data members, byte-stable (spec apk.md §2, §12.2; package.md §10).

The data member is one gzip member cut by flush points after the directories and after the last file (performance.md §3.3),
so that the part between can be lifted into other members without inflating it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from apkiln.core.errors import FaultCollector, FormatError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import replace, value
from apkiln.formats.apk import pkginfo
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.control import SCRIPTS
from apkiln.formats.apk.payload import ContentReader, Payload, directory_stream, other_stream
from apkiln.formats.apk.policy import STRICT, PackagePolicy
from apkiln.formats.apk.signing import SectionSigner, signature_section, signatures_of
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_writer import END_OF_ARCHIVE, PLAIN, archive
from apkiln.formats.deflate.checksum import combine
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.deflate.deflater import Deflater, compress_member
from apkiln.formats.deflate.member import HEADER, trailer

if TYPE_CHECKING:
    from concurrent.futures import Executor

_COPY = MIB


@value
class PackageDraft:
    """What a package is to be; `installed_size` and `data_hash` of `info` are computed and need not be given."""

    info: PackageInfo
    entries: tuple[Entry, ...]
    """The payload in any order, with the exact size of every file."""
    scripts: tuple[tuple[str, bytes], ...] = ()
    """(`post-install`, text) …; `trigger` included."""
    further_control: tuple[tuple[str, bytes], ...] = ()
    """Dot-files of the control section that mean nothing to apk, for example (`.melange.yaml`, …)."""
    mtime: int | None = None
    """Time of the entries of signature and control; None = the build date of `info`."""


class WrittenPackage(NamedTuple):
    """What was written."""

    info: PackageInfo
    """With `installed_size` and `data_hash`."""
    identity: bytes
    """SHA-1 of the control member."""
    sha256: bytes
    """Of the whole file."""
    size: int
    sections: tuple[tuple[int, int], ...]
    """(offset, length) of the signature (length 0 when unsigned), control and data members."""
    files_slice: tuple[int, int]
    """(offset in the file, length) of the compressed bytes between the two flush points: everything but directories, raw
    DEFLATE that begins and ends on a byte and refers to nothing before it."""


class DataMember(NamedTuple):
    """A written data member."""

    sha256: bytes
    size: int
    files: tuple[int, int]
    """(offset in the member, length) of `WrittenPackage.files_slice`."""
    installed_size: int
    """Bytes of regular files, each inode once."""
    has_entries: bool
    """Whether it holds anything."""


def write_package(
    draft: PackageDraft,
    content: ContentReader,
    codec: Codec,
    spool: BinaryIO,
    write: Callable[[bytes], object],
    *,
    signers: Sequence[SectionSigner] = (),
    algorithms: Sequence[str] = ("RSA256",),
    policy: PackagePolicy = STRICT,
    executor: Executor | None = None,
) -> WrittenPackage:
    """Write a package through `write`; equal arguments give equal bytes whatever the order of entries.

    `spool` is an empty seekable file that takes the data member, because the sections before it name its digest.  Refuses
    what §12.2 lists, all faults of one kind together: reasons of `pkginfo.write`, `Payload.of`, `payload.other_stream`,
    `tar_writer.header`, `signing.signatures_of`, and `script-name`, `script-twice`, `script-too-large`, `control-name`.
    Memory: a few 4 MiB pieces and at most one file of 16 MiB.
    """
    _check_control(draft)
    payload = Payload.of(draft.entries, policy)
    pkginfo.write(draft.info)
    data = _write_data(payload, content, codec, spool, executor)
    return write_around(draft, data, _copy(spool), codec, write, signers=signers, algorithms=algorithms)


def write_data(
    entries: Iterable[Entry],
    content: ContentReader,
    codec: Codec,
    spool: BinaryIO,
    policy: PackagePolicy = STRICT,
    executor: Executor | None = None,
) -> DataMember:
    """Only the data member, into the empty file `spool`: for those who learn the rest of a package later."""
    return _write_data(Payload.of(entries, policy), content, codec, spool, executor)


def write_around(
    draft: PackageDraft,
    data: DataMember,
    chunks: Iterable[bytes],
    codec: Codec,
    write: Callable[[bytes], object],
    *,
    signers: Sequence[SectionSigner] = (),
    algorithms: Sequence[str] = ("RSA256",),
    executor: Executor | None = None,
) -> WrittenPackage:
    """A package from a data member that `write_data` made; `chunks` are its bytes, `draft.entries` is not looked at.

    Equal to `write_package` of the same parts.  Raises VerificationError `data-hash-mismatch` (after the last write) when
    `chunks` are not the bytes of `data`; otherwise as `write_package`.
    """
    _check_control(draft)
    # apk takes size 0 for a package without payload and may leave everything in it out (§2.3).
    smallest = 1 if data.has_entries or draft.scripts else 0
    info = replace(draft.info, installed_size=max(data.installed_size, smallest), data_hash=data.sha256.hex())
    control = compress_member(codec, archive(_control_members(draft, info), PLAIN, end=False))
    signatures = signatures_of(control, signers, algorithms)
    signature = signature_section(signatures, codec, mtime=_mtime(draft))
    whole, member = hashlib.sha256(), hashlib.sha256()
    for part in (signature, control):
        whole.update(part)
        write(part)
    for part in chunks:
        if executor is None:
            member.update(part)
        else:
            beside = executor.submit(member.update, part)
        whole.update(part)
        write(part)
        if executor is not None:
            beside.result()
    if member.digest() != data.sha256:
        place = Origin(member="data", package=info.name_version)
        raise VerificationError("the data member changed while it was packed", reason="data-hash-mismatch", origin=place)
    start = len(signature) + len(control)
    return WrittenPackage(
        info=info,
        identity=hashlib.sha1(control, usedforsecurity=False).digest(),
        sha256=whole.digest(),
        size=start + data.size,
        sections=((0, len(signature)), (len(signature), len(control)), (start, data.size)),
        files_slice=(start + data.files[0], data.files[1]),
    )


def package_bytes(
    draft: PackageDraft, contents: Iterable[tuple[str, bytes]], codec: Codec, signers: Sequence[SectionSigner] = ()
) -> bytes:
    """A small package in memory; `contents`: path and content of every FILE."""
    by_path = dict(contents)
    output: list[bytes] = []
    write_package(draft, lambda path: (by_path[path],), codec, BytesIO(), output.append, signers=signers)
    return b"".join(output)


def _write_data(payload: Payload, content: ContentReader, codec: Codec, spool: BinaryIO, executor: Executor | None) -> DataMember:
    """The data member into `spool`: directories, everything else, end blocks, each as its own run of slices."""
    digest = hashlib.sha256()
    position = crc = length = 0

    def put(data: bytes) -> None:
        nonlocal position
        digest.update(data)
        spool.write(data)
        position += len(data)

    put(HEADER)
    borders: list[int] = []
    for chunks in (directory_stream(payload), other_stream(payload, content), iter((END_OF_ARCHIVE,))):
        borders.append(position)
        deflater = Deflater(codec, executor)
        for piece in _slices(deflater, chunks):
            put(piece)
        crc = combine(crc, deflater.crc, deflater.length)
        length += deflater.length
    put(trailer(crc, length))
    slice_between = (borders[1], borders[2] - borders[1])
    return DataMember(
        digest.digest(), position, slice_between, payload.installed_size, bool(payload.directories or payload.others)
    )


def _slices(deflater: Deflater, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for piece in deflater.feed(chunk):
            yield piece.data
    for piece in deflater.finish():
        yield piece.data


def _copy(spool: BinaryIO) -> Iterator[bytes]:
    spool.seek(0)
    while chunk := spool.read(_COPY):
        yield chunk


def _mtime(draft: PackageDraft) -> int:
    return draft.info.build_date if draft.mtime is None else draft.mtime


def _control_members(draft: PackageDraft, info: PackageInfo) -> list[tuple[Entry, bytes]]:
    """Entries of the control section in byte order, which puts `.PKGINFO` first."""
    files = [(".PKGINFO", 0o644, pkginfo.write(info))]
    files += [(name, 0o644, text) for name, text in draft.further_control]
    files += [(f".{name}", 0o755, text) for name, text in draft.scripts]
    mtime = _mtime(draft)
    return [
        (Entry(name, EntryType.FILE, mode, uname="root", gname="root", size=len(text), mtime=mtime), text)
        for name, mode, text in sorted(files)
    ]


def _check_control(draft: PackageDraft) -> None:
    faults = FaultCollector.empty()
    names: set[str] = set()
    for name, text in draft.scripts:
        if name not in SCRIPTS:
            faults.add(_fault(name, f"`{name}` is not a script that apk runs", "script-name"))
        if len(text) > DEFAULT_LIMITS.script:
            faults.add(_fault(name, f"a script is larger than {DEFAULT_LIMITS.script} bytes", "script-too-large"))
        if name in names:
            faults.add(_fault(name, f"`{name}` is given twice", "script-twice"))
        names.add(name)
    for name, _ in draft.further_control:
        reserved = name in names or name in (".PKGINFO", ".INSTALL") or name.startswith(".SIGN.") or name[1:] in SCRIPTS
        # `.PKGINFO` has to be the first entry, and entries are in byte order.
        if not name.startswith(".") or "/" in name or reserved or name < ".PKGINFO":
            faults.add(_fault(name, f"`{name}` cannot be a further file of the control section", "control-name"))
        names.add(name)
    faults.raise_if_any()


def _fault(name: str, message: str, reason: str) -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(member=f"control/{name.removeprefix('.')}"))
