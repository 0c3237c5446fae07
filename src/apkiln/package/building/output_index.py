"""The index beside the packages of a build: what it listed before, with the new packages in place of equal versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from apkiln.core.errors import VerificationError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.index import read_index, record_of, write_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.deflate.codec import Codec
from apkiln.package.emission.request import EmittedPackage
from apkiln.system.files import Files
from apkiln.system.signer import Signer

NAME = "APKINDEX.tar.gz"
_CHUNK = 1 << 20
_LOCK = ".apkiln-index.lock"
_DESCRIPTION = "apkiln build"


def update_index(
    packages: Sequence[EmittedPackage], signers: Sequence[Signer], files: Files, codec: Codec, limits: Limits
) -> PurePath:
    """List published packages of one architecture in the index of their directory; the path of the index.

    With signers an index that is there must be unsigned or signed by one of them: VerificationError as of
    `signature.verify`, `index-of-another-key`.  Readers see the old index or the new one.
    """
    directory = packages[0].path.parent
    path = directory / NAME
    with files.lock(directory / _LOCK):
        listed = {(record.name, record.version): record for record in _present(path, signers, files, limits)}
        for package in packages:
            record = _record(package)
            listed[record.name, record.version] = record
        content = write_index(listed.values(), _DESCRIPTION, codec, signers)
        with files.create(path, replace=True) as stream:
            stream.write(content)
    return path


def index_files(
    paths: Sequence[PurePath], directory: PurePath, signers: Sequence[Signer], files: Files, codec: Codec, limits: Limits
) -> None:
    """Copy package files into an empty directory and list them in an index there.  Raises what `read_package` raises."""
    from apkiln.formats.apk.package import read_package

    records = []
    for path in paths:
        with files.open(path) as stream:
            contents = read_package(stream, limits)
            stream.seek(0)
            with files.create(directory / f"{contents.info.name_version}.apk", replace=True) as copy:
                while chunk := stream.read(_CHUNK):
                    copy.write(chunk)
        records.append(record_of(contents))
    with files.create(directory / NAME) as output:
        output.write(write_index(records, _DESCRIPTION, codec, signers))


def _present(path: PurePath, signers: Sequence[Signer], files: Files, limits: Limits) -> tuple[IndexRecord, ...]:
    status = files.status(path)
    if status is None:
        return ()
    index = read_index(files.read(path, limits.index_decompressed), limits)
    if signers and index.signatures:
        from apkiln.formats.apk.signature import verify

        keyring = Keyring.of(parse_public_key(signer.name, signer.public_key()) for signer in signers)
        if not any(keyring.named(name) for _, name, _ in index.signatures):
            message = f"`{path}` is signed by another key"
            hint = "sign with that key, or write packages to another `--out-dir`"
            raise VerificationError(message, reason="index-of-another-key", origin=Origin(str(path)), hint=hint)
        verify(index.signatures, index.signed_bytes, keyring)
    return tuple(parse_index_text(index.text, limits).records)


def _record(package: EmittedPackage) -> IndexRecord:
    return record_of(PackageContents(package.info, package.identity, package.sha256, package.size, (), (), (), ()))
