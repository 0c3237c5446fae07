"""`Release` and `InRelease` files: what one suite consists of at one instant (spec debian.md §11)."""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from email.utils import parsedate_tz

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.deb.deb822 import Stanza, parse_stanza

_HASH_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})\s+(?P<size>[0-9]{1,15})\s+(?P<path>\S+)")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file the release vouches for."""

    path: str
    """Relative to the suite's directory, for example `main/binary-amd64/Packages`."""
    size: int
    sha256: str
    """64 hex digits."""


@dataclass(frozen=True, slots=True)
class Release:
    """The signed statement."""

    origin: str
    """For example `Debian`."""
    label: str
    suite: str
    codename: str
    date: int
    """Unix seconds."""
    valid_until: int
    """Unix seconds; 0 = not stated."""
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    files: tuple[IndexFile, ...]
    """SHA-256 section, sorted by path."""

    def file(self, path: str) -> IndexFile | None:
        """The entry of a path, None when the release does not list it."""
        return next((file for file in self.files if file.path == path), None)


def parse_release(body: bytes, origin: Origin = NOWHERE) -> Release:
    """Read the body (without signature armour).  Raises FormatError (`release-syntax`, `control-…`)."""
    stanza = parse_stanza(body, origin)
    return Release(
        origin=stanza.get("Origin"),
        label=stanza.get("Label"),
        suite=stanza.get("Suite"),
        codename=stanza.get("Codename"),
        date=_date(stanza, "Date", origin),
        valid_until=_date(stanza, "Valid-Until", origin) if "Valid-Until" in stanza else 0,
        architectures=tuple(stanza.get("Architectures").split()),
        # Security suites write `updates/main`; the directory is the last part.
        components=tuple(item.rpartition("/")[2] for item in stanza.get("Components").split()),
        files=tuple(sorted(_files(stanza, origin), key=lambda file: file.path)),
    )


def _date(stanza: Stanza, field: str, origin: Origin) -> int:
    parsed = parsedate_tz(stanza.get(field))
    if parsed is None:
        raise FormatError(f"field `{field}` is not a date", reason="release-syntax", origin=origin)
    return timegm(parsed[:6]) - (parsed[9] or 0)


def _files(stanza: Stanza, origin: Origin) -> list[IndexFile]:
    files: list[IndexFile] = []
    for line in stanza.get("SHA256").split("\n"):
        if not line.strip():
            continue
        found = _HASH_LINE.fullmatch(line.strip())
        if found is None:
            raise FormatError(f"`{line[:80]}` is not a SHA-256 line", reason="release-syntax", origin=origin)
        files.append(IndexFile(found["path"], int(found["size"]), found["digest"]))
    if not files:
        raise FormatError("the release lists no SHA-256 digests", reason="release-syntax", origin=origin)
    return files
