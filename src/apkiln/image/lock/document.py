"""A lock as a value: apko's version 1 document and what ours adds to it (spec image.md §4.1, §4.2)."""

from __future__ import annotations

from apkiln.acquire.facts import Member
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value

VERSION = "v1"
NO_MEMBER = Member(0, 0, b"")
"""Written as two empty texts: the package is not signed."""


class LockedKey(NamedTuple):
    """A key that the indexes were verified with."""

    name: str
    """The URL without its scheme."""
    url: str
    """Path or URL, without credentials."""
    content: str
    """PEM."""
    discovered: bool = False
    """A repository offered it and the definition does not list it.  Ours."""


class LockedRepository(NamedTuple):
    """One index."""

    name: str
    """`<repository>/<arch>`, without scheme unless the repository is tagged."""
    url: str
    """Of the index file, without credentials."""
    architecture: str
    """apk name."""
    index_sha256: str = ""
    """Hex SHA-256 of the index file as it was fetched.  Ours; empty in runtime repositories, which are not opened."""
    fetched: str = ""
    """Age of the index: build time of its newest package, RFC 3339.  Ours."""
    generation: str = ""
    """Number that the repository itself gives its state.  Ours."""


class LockedPackage(NamedTuple):
    """One package file for one architecture."""

    name: str
    url: str
    version: str
    architecture: str
    """Of the index that lists it, apk name."""
    signature: Member
    control: Member
    data: Member
    identity: bytes
    """What `checksum` says: SHA-1 of the control member."""
    sha256: str = ""
    """Hex SHA-256 of the whole file.  Ours, as everything below."""
    size: int = 0
    """Bytes of the whole file; always known: the data member is the last one."""
    origin: str = ""
    depends_on: tuple[str, ...] = ()
    """Names of the packages of the lock that its dependencies lead to, sorted."""
    requested_by: tuple[str, ...] = ()
    """Entries of the world that it answers."""
    tag: str = ""
    """Of its repository, when it is pinned to it."""
    listed_architecture: str = ""
    """What its index record says when that is not `architecture`: `noarch`."""
    order: int = 0
    """Place in the install order of its architecture, from 1; 0 where the lock does not say."""

    @property
    def name_version(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def record_architecture(self) -> str:
        return self.listed_architecture or self.architecture


class LockedFile(NamedTuple):
    """A local file that decides about the image."""

    path: str
    kind: str
    """`definition`, `file` or `tree`."""
    sha256: str
    """Of the bytes; of a canonical listing for trees."""


class LockedBase(NamedTuple):
    """The base image of one architecture."""

    architecture: str
    """apk name."""
    digest: str
    """Of its manifest, or over its diffIDs where it has none."""


@value
class Lock:
    """The whole document."""

    configuration_name: str
    """Path of the definition as it was typed."""
    configuration_checksum: str
    """`sha256-<base64>` over the definition and its includes; empty in locks without `config`."""
    keyring: tuple[LockedKey, ...]
    build_repositories: tuple[LockedRepository, ...]
    runtime_repositories: tuple[LockedRepository, ...]
    repositories: tuple[LockedRepository, ...]
    packages: tuple[LockedPackage, ...]
    """Architecture by architecture, each in install order."""
    requested: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """apk name of each architecture with the world as asked, sorted.  Ours; empty in apko's locks."""
    flags: tuple[str, ...] = ()
    """Flags that decided about packages, without credentials."""
    drift: tuple[str, ...] = ()
    """Names whose versions differ between architectures."""
    files: tuple[LockedFile, ...] = ()
    bases: tuple[LockedBase, ...] = ()
    """Base images by architecture.  Ours; their packages are not among `packages`."""

    @property
    def architectures(self) -> tuple[str, ...]:
        """apk names, in order of appearance."""
        return tuple(dict.fromkeys([*(arch for arch, _ in self.requested), *(item.architecture for item in self.packages)]))

    def of(self, architecture: str) -> tuple[LockedPackage, ...]:
        """The packages of one architecture."""
        return tuple(item for item in self.packages if item.architecture == architecture)

    @property
    def is_ours(self) -> bool:
        """Whether the document has our keys."""
        return bool(self.requested)
