"""One accepted package version as the ledger keeps it: everything the package declares, and the digests of its bytes.

All of `.PKGINFO` is kept, not only today's letters of an index: an index that a later version writes can carry more for old
packages, and no blob is ever read to write an index (spec repository.md §3.6, F2, F8).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.records import IndexRecord


class Key(NamedTuple):
    """What names one package for ever; `arch` is the package's own, so `noarch` counts once."""

    arch: str
    name: str
    version: str

    @property
    def name_version(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def file(self) -> str:
        """The only name it is served under."""
        return f"{self.name}-{self.version}.apk"


class Package(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A verified package."""

    arch: str
    name: str
    version: str
    digest: str
    """Hex SHA-256 of the file as it is served."""
    size: int
    """Bytes of that file."""
    content: str
    """Hex SHA-256 of what follows the signature member: the same whoever signed the file (I3)."""
    identity: str
    """Hex SHA-1 of the control member."""
    data_hash: str
    received: str = ""
    """Hex SHA-256 of the file as it was uploaded; empty when that is `digest`."""
    installed_size: int = 0
    description: str = ""
    url: str = ""
    license: str = ""
    origin: str = ""
    """Source package; the package's own name where it states none."""
    maintainer: str = ""
    packager: str = ""
    commit: str = ""
    build_date: int = 0
    provider_priority: int = 0
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    install_if: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    replaces_priority: int = 0
    triggers: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    """Where there are several lines of them."""

    @property
    def key(self) -> Key:
        return Key(self.arch, self.name, self.version)

    @property
    def build(self) -> tuple[str, str]:
        """(origin, version): what is built, published and withdrawn together."""
        return self.origin, self.version


def package_of(contents: PackageContents, content: str, received: str = "") -> Package:
    """What the ledger keeps of a completely verified file; `content` and `received` as in `Package`."""
    info = contents.info
    return Package(
        arch=info.arch,
        name=info.name,
        version=info.version,
        digest=contents.sha256.hex(),
        size=contents.size,
        content=content,
        identity=contents.identity.hex(),
        data_hash=info.data_hash,
        received="" if received == contents.sha256.hex() else received,
        installed_size=info.installed_size,
        description=info.description,
        url=info.url,
        license=info.license,
        origin=info.origin or info.name,
        maintainer=info.maintainer,
        packager=info.packager,
        commit=info.commit,
        build_date=info.build_date,
        provider_priority=info.provider_priority,
        depends=info.depends,
        provides=info.provides,
        install_if=info.install_if,
        replaces=info.replaces,
        replaces_priority=info.replaces_priority,
        triggers=info.triggers,
        comments=info.comments,
        licenses=info.licenses,
    )


def record_of(package: Package) -> IndexRecord:
    """The record that an index lists; `A:` is the package's own, also for `noarch` (spec §4.3)."""
    return IndexRecord(
        package.name,
        package.version,
        package.arch,
        bytes.fromhex(package.identity),
        package.size,
        package.installed_size,
        package.description,
        package.url,
        package.license,
        package.origin,
        package.maintainer,
        package.build_date,
        package.commit,
        package.provider_priority,
        " ".join(package.depends),
        " ".join(package.provides),
        " ".join(package.install_if),
    )
