"""A whole verified package as a value: what it says of itself and every path it ships, without the bytes."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.archive.entry import ContentEntry
from apkiln.formats.archive.tar_rules import Report


class PackageInfo(NamedTuple):
    """`.PKGINFO` (spec apk.md §2.3)."""

    name: str
    version: str
    arch: str
    description: str = ""
    url: str = ""
    license: str = ""
    origin: str = ""
    maintainer: str = ""
    commit: str = ""
    build_date: int = 0
    installed_size: int = 0
    provider_priority: int = 0
    depends: tuple[str, ...] = ()
    """Single items in source order."""
    provides: tuple[str, ...] = ()
    install_if: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    replaces_priority: int = 0
    triggers: tuple[str, ...] = ()
    """Path globs."""
    data_hash: str = ""
    """64 lower-case hex digits: SHA-256 of the raw data member."""
    packager: str = ""
    comments: tuple[str, ...] = ()
    """Comment lines without `# `, in order (for example `deb-version = …`)."""
    licenses: tuple[str, ...] = ()
    """The `license` lines where there are several; `license` is then all of them as one expression."""

    @property
    def name_version(self) -> str:
        return f"{self.name}-{self.version}"


@value
class PackageContents:
    """A package after a complete verified read."""

    info: PackageInfo
    identity: bytes
    """SHA-1 of the raw control member (20 bytes)."""
    sha256: bytes
    """SHA-256 of the whole file (32 bytes)."""
    size: int
    """Bytes of the whole file."""
    sections: tuple[tuple[int, int], ...]
    """(offset, length) of the signature (length 0 when unsigned), control and data members."""
    scripts: tuple[tuple[str, bytes], ...]
    """(`pre-install`, text) … in archive order; names without the leading dot; includes `trigger`."""
    signatures: tuple[tuple[str, str, bytes], ...]
    """(algorithm `RSA`|`RSA256`|`RSA512`|`DSA`, key file name, signature) in order."""
    entries: tuple[ContentEntry, ...]
    """Every path of the data section in archive order, directories included."""
    other_control: tuple[str, ...] = ()
    """Further names of the control section, which mean nothing to apk (for example `.melange.yaml`)."""
    reports: tuple[Report, ...] = ()
    """Broken rules that the reader's policy lived with, and names that are not UTF-8."""
    signed_by: str = ""
    """File name of the key whose package signature was checked; "" when none was asked for."""
