"""Converted packages as signed files, ready to be added to a repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.debian.lock import ImportedPackage
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.signing import SectionSigner, signature_section, signatures_of
from apkiln.formats.deflate.codec import Codec
from apkiln.system.files import FileWriter
from apkiln.system.store import Store

ALGORITHMS = ("RSA256",)
_CHUNK = 1 << 20


def is_same_import(package: ImportedPackage, published: PackageContents) -> bool:
    """Whether a published package of this name and version was made from the same `.deb`.

    Its relations may differ, because they were mapped in another snapshot or with other pruning.  A published version keeps
    its bytes, so such a package stays as it is.
    """
    return f"deb-sha256 = {package.deb_sha256}" in published.info.comments


def stage_package(
    package: ImportedPackage,
    signers: Sequence[SectionSigner],
    directory: PurePath,
    store: Store,
    files: FileWriter,
    codec: Codec,
    limits: Limits,
) -> PurePath:
    """Write one package, read and checked from the store, with a signature of each signer; the path of the file.

    Identity and data digest are those of the unsigned package.  Raises UnavailableError (`missing-blob`), VerificationError
    (`digest-mismatch`) and the errors of `read_package`.
    """
    name = f"{package.name}-{package.version}"
    expected = Digest.sha256(bytes.fromhex(package.sha256))
    stream = store.open(expected)
    if stream is None:
        raise UnavailableError(
            "the converted package is gone from the cache", reason="missing-blob", origin=Origin(package=name), retriable=True
        )
    with stream:
        contents = read_package(stream, limits)
        if contents.sha256 != expected.value:
            store.discard(expected)
            raise VerificationError(
                "the converted package in the cache is damaged",
                reason="digest-mismatch",
                origin=Origin(package=name, digest=str(expected)),
                retriable=True,
            )
        (_, _), (start, length), _ = contents.sections
        stream.seek(start)
        section = signature_section(
            signatures_of(stream.read(length), signers, ALGORITHMS), codec, mtime=contents.info.build_date
        )
        target = directory / f"{name}.apk"
        stream.seek(start)
        with files.create(target, replace=True) as output:
            output.write(section)
            while chunk := stream.read(_CHUNK):
                output.write(chunk)
    return target
