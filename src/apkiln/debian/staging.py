"""Converted packages as signed files, ready to be added to a repository."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.origin import Origin
from apkiln.debian.converting import ConvertedPackage
from apkiln.debian.lock import ImportedPackage
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package_writer import PackageDraft, write_around
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.deflate.codec import Codec
from apkiln.system.files import FileWriter
from apkiln.system.store import Store

_CHUNK = 1 << 20


def is_same_import(package: ImportedPackage, published: PackageContents) -> bool:
    """Whether a published package of this name and version was made from the same `.deb`.

    Its relations may differ, because they were mapped in another snapshot or with other pruning.  A published version keeps
    its bytes, so such a package stays as it is.
    """
    return f"deb-sha256 = {package.deb_sha256}" in published.info.comments


def write_converted(
    converted: ConvertedPackage,
    store: Store,
    codec: Codec,
    write: Callable[[bytes], object],
    signers: Sequence[SectionSigner] = (),
) -> bytes:
    """Write one package through `write`, with a signature of each signer; the SHA-256 of the file.

    Identity and data digest are those that the import recorded.  Raises UnavailableError (`missing-blob`) and
    VerificationError (`data-hash-mismatch`); what is damaged leaves the store.
    """
    digest = Digest.sha256(converted.data.sha256)
    place = Origin(package=converted.info.name_version)
    stream = store.open(digest)
    if stream is None:
        raise UnavailableError("converted files are gone from the cache", reason="missing-blob", origin=place, retriable=True)
    with stream:
        try:
            chunks = iter(lambda: stream.read(_CHUNK), b"")
            written = write_around(PackageDraft(converted.info, ()), converted.data, chunks, codec, write, signers=signers)
        except VerificationError as fault:
            store.discard(digest)
            fault.hint = "run the command again: the damaged files were removed from the cache"
            raise
    return written.sha256


class StagedPackage(NamedTuple):
    """A package file that waits to be published."""

    path: PurePath
    name_version: str
    arch: str
    sha256: bytes


def stage_package(
    converted: ConvertedPackage,
    signers: Sequence[SectionSigner],
    directory: PurePath,
    store: Store,
    files: FileWriter,
    codec: Codec,
) -> StagedPackage:
    """`write_converted` into a file of `directory`, which appears only when it is whole.  Its name says the architecture, since
    packages of several are staged together."""
    target = directory / f"{converted.info.name_version}.{converted.info.arch}.apk"
    with files.create(target, replace=True) as output:
        sha256 = write_converted(converted, store, codec, output.write, signers)
    return StagedPackage(target, converted.info.name_version, converted.info.arch, sha256)
