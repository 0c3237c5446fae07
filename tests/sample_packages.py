"""Small packages, keys and repositories made on demand, for every test that needs some."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from apkiln.formats.apk import pkginfo
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.index import write_index
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.payload import CHECKSUM
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signing import signature_section, signatures_of
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_writer import PACKAGE, PLAIN, archive
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.formats.deflate.deflater import compress_member
from apkiln.system.signer import RsaSigner, generate_key_pair


class SamplePackage(NamedTuple):
    """A package file and the record that an index should have of it."""

    data: bytes
    record: IndexRecord
    borders: tuple[int, int]
    """Where the control and the data member begin."""

    @property
    def file_name(self) -> str:
        return f"{self.record.name_version}.apk"


@lru_cache(maxsize=8)
def sample_signer(name: str = "sample.rsa.pub") -> RsaSigner:
    """A key, made once per process and name."""
    return generate_key_pair(name, bits=2048).signer


def keyring_of(*signers: RsaSigner) -> Keyring:
    """The public halves."""
    return Keyring.of(parse_public_key(signer.name, signer.public_key()) for signer in signers)


def sample_package(
    name: str = "a",
    version: str = "1.0-r0",
    arch: str = "x86_64",
    *,
    files: Mapping[str, bytes] | None = None,
    depends: Sequence[str] = (),
    provides: Sequence[str] = (),
    signer: RsaSigner | None = None,
    description: str = "a sample",
    mode: int = 0o644,
    installed_size: int | None = None,
    origin: str = "",
    replaces: Sequence[str] = (),
    install_if: Sequence[str] = (),
) -> SamplePackage:
    """A correct package; equal arguments give equal bytes."""
    contents = {f"usr/share/{name}/text": f"{name} {version}\n".encode() * 50} if files is None else dict(files)
    codec = canonical_codec()
    data = compress_member(codec, archive(_members(contents, mode), PACKAGE))
    info = PackageInfo(
        name=name,
        version=version,
        arch=arch,
        description=description,
        license="Apache-2.0",
        origin=origin or name,
        installed_size=sum(map(len, contents.values())) if installed_size is None else installed_size,
        build_date=1_700_000_000,
        depends=tuple(depends),
        provides=tuple(provides),
        replaces=tuple(replaces),
        install_if=tuple(install_if),
        data_hash=hashlib.sha256(data).hexdigest(),
    )
    text = pkginfo.write(info)
    entry = Entry(".PKGINFO", EntryType.FILE, 0o644, uname="root", gname="root", size=len(text))
    control = compress_member(codec, archive([(entry, text)], PLAIN, end=False))
    signature = b"" if signer is None else signature_section(signatures_of(control, [signer], ["RSA256"]), codec)
    whole = signature + control + data
    borders = (len(signature), len(signature) + len(control))
    return SamplePackage(whole, _record(info, control, len(whole)), borders)


def sample_index(packages: Sequence[SamplePackage | IndexRecord], signer: RsaSigner | None) -> bytes:
    """A signed index (unsigned without a signer)."""
    records = [item.record if isinstance(item, SamplePackage) else item for item in packages]
    return write_index(records, "sample", canonical_codec(), [signer] if signer else [])


def _members(contents: Mapping[str, bytes], mode: int) -> list[tuple[Entry, bytes]]:
    directories = {str(path) for name in contents for path in _parents(name)}
    members = [(Entry(path, EntryType.DIRECTORY, 0o755), b"") for path in sorted(directories)]
    for path, content in sorted(contents.items()):
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        members.append((Entry(path, EntryType.FILE, mode, size=len(content), pax=((CHECKSUM, digest),)), content))
    return members


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _record(info: PackageInfo, control: bytes, size: int) -> IndexRecord:
    return IndexRecord(
        name=info.name,
        version=info.version,
        arch=info.arch,
        identity=hashlib.sha1(control, usedforsecurity=False).digest(),
        size=size,
        installed_size=info.installed_size,
        description=info.description,
        license=info.license,
        origin=info.origin,
        build_date=info.build_date,
        depends=" ".join(info.depends),
        provides=" ".join(info.provides),
        install_if=" ".join(info.install_if),
    )
