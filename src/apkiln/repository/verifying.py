"""The bytes of an uploaded package: read once completely, signed by the repository, hashed as they will be served.

The order is fixed (spec repository.md §3.8): verify, strip the builder's signature, sign, and only then take digest and
size; nothing touches the bytes afterwards.  So what an index says is true of what is served (F5, F6).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.core.value import replace
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.signing import SectionSigner, signature_section, signatures_of
from apkiln.formats.deflate.codec import Codec
from apkiln.repository.ledger.actions import DeclaredPackage, Finding
from apkiln.repository.ledger.packages import Package, package_of
from apkiln.system.blob_store import BlobStore


def verify_upload(
    declared: DeclaredPackage, blobs: BlobStore, limits: Limits, signers: tuple[SectionSigner, ...], codec: Codec
) -> Package | Finding:
    """Read the declared file whole and keep the file that will be served; what is wrong with it comes as a finding.

    Raises what the store raises, and UnavailableError `signer-unavailable`: these say nothing about the package.
    """
    digest = Digest.sha256(bytes.fromhex(declared.sha256))
    chunks = blobs.read(digest)
    if chunks is None or blobs.size(digest) != declared.size:
        return Finding("blob-missing", "the file is not in the store", _name(declared), declared.arch)
    whole = hashlib.sha256()
    stream = cast(BinaryIO, io.BufferedReader(ChunkStream(chunks, whole)))
    try:
        contents = read_package(stream, limits)
        while stream.read(1 << 20):
            pass
        if whole.digest() != digest.value:
            raise VerificationError("the store has other bytes", reason="blob-corrupt", origin=Origin(digest=str(digest)))
        _refuse_unusable(contents)
    except ApkilnError as fault:
        if fault.retriable or fault.reason in _NOT_THE_PACKAGE:
            raise
        return Finding(_code(fault), str(fault), _name(declared), declared.arch, (fault.reason,))
    return _final(contents, digest, blobs, signers, codec)


_NOT_THE_PACKAGE = frozenset({"no-space", "input-output-error", "store-unavailable", "no-permission", "blob-corrupt"})


def _refuse_unusable(contents: PackageContents) -> None:
    for report in contents.reports:
        if report.reason == "size-zero":
            raise VerificationError(report.message, reason=report.reason, origin=Origin(member="control/.PKGINFO"))


def _code(fault: ApkilnError) -> str:
    """The error code of the interface (spec §10.2)."""
    if "path" in fault.reason or fault.reason.startswith("name-"):
        return "pkg-path"
    if "too-" in fault.reason or "limit" in fault.reason:
        return "pkg-limit"
    return "pkg-meta" if fault.reason in ("size-zero",) or fault.reason.startswith("pkginfo") else "pkg-format"


def _name(declared: DeclaredPackage) -> str:
    return f"{declared.name}-{declared.version}"


def _final(
    contents: PackageContents, digest: Digest, blobs: BlobStore, signers: tuple[SectionSigner, ...], codec: Codec
) -> Package:
    """The package with the repository's signature instead of the builder's, in the store."""
    (_, old), (begin, length), _ = contents.sections
    received = digest.hex
    content = hashlib.sha256()
    for chunk in _read(blobs, digest, old):
        content.update(chunk)
    if not signers:
        return package_of(contents, content.hexdigest(), received)
    control = b"".join(_read(blobs, digest, begin, length))
    section = signature_section(signatures_of(control, signers, ("RSA256",)), codec)
    state = hashlib.sha256(section)
    for chunk in _read(blobs, digest, old):
        state.update(chunk)
    served = Digest.sha256(state.digest())
    blobs.put(served, _concatenated(section, _read(blobs, digest, old)))
    final = replace(contents, sha256=served.value, size=contents.size - old + len(section))
    return package_of(final, content.hexdigest(), received)


def _concatenated(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read(blobs: BlobStore, digest: Digest, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
    chunks = blobs.read(digest, offset, length)
    if chunks is None:
        raise VerificationError("the blob is gone", reason="blob-corrupt", origin=Origin(digest=str(digest)))
    return chunks


class ChunkStream(io.RawIOBase):
    """Chunks as a stream, hashed on the way."""

    def __init__(self, chunks: Iterator[bytes], state: hashlib._Hash) -> None:
        super().__init__()
        self._chunks = chunks
        self._state = state
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._state.update(chunk)
            self._rest = chunk
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
