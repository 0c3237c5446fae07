"""One binary package as the archive lists it, and the list of all of them at one instant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.deb.deb822 import Stanza, parse_stanza
from apkiln.formats.deb.relations import Group, parse_relations
from apkiln.formats.deb.version import sort_key

_NAME = re.compile(rb"^Package: *(\S+)", re.MULTILINE)
_PROVIDES = re.compile(rb"Provides: *(.+(?:\n[ \t].+)*)")
_LATER_NAME, _LATER_PROVIDES = re.compile(rb"\nPackage: *(\S+)"), re.compile(rb"\nProvides: *(.+(?:\n[ \t].+)*)")
"""The same anywhere but at the start of the text: a literal first byte is found several times faster than a start of a line."""
_ESSENTIAL = re.compile(rb"^Essential: *yes", re.MULTILINE | re.IGNORECASE)
_PROVIDED_NAME = re.compile(rb"\s*([a-z0-9][a-z0-9+.-]*)")
_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BinaryPackage:
    """A stanza of a `Packages` list or the control file of a `.deb`, with relations parsed for one architecture."""

    name: str
    version: str
    architecture: str
    """Debian name or `all`."""
    source: str
    source_version: str
    """Differs from `version` in binary-only rebuilds and packages with versions of their own."""
    description: str
    """First line."""
    homepage: str
    maintainer: str
    priority: str
    essential: bool
    depends: tuple[Group, ...]
    """Pre-Depends, then Depends."""
    provides: tuple[tuple[str, str], ...]
    """(name, version or "")."""
    conflicts: tuple[Group, ...]
    """Breaks, then Conflicts."""
    replaces: tuple[Group, ...]
    enhances: tuple[Group, ...] = ()
    filename: str = ""
    """Path below the archive's root; empty in a control file."""
    size: int = 0
    sha256: str = ""
    archive: int = 0
    """Which list of the snapshot it comes from."""


def binary_package(stanza: Stanza, architecture: str, archive: int = 0, origin: Origin | None = None) -> BinaryPackage:
    """Read the fields of one stanza.  Raises FormatError (`control-field`, `relation-syntax`, `version-syntax`)."""
    place = origin or Origin(package=stanza.get("Package"))
    name, version = stanza.get("Package"), stanza.get("Version")
    if not _PLAIN_NAME.fullmatch(name):
        raise FormatError(f"`{name}` is not a package name", reason="control-field", origin=place)
    try:
        sort_key(version)
        source, source_version = _source(stanza, name, version)
        return BinaryPackage(
            name=name,
            version=version,
            architecture=stanza.get("Architecture"),
            source=source,
            source_version=source_version,
            description=stanza.get("Description").split("\n")[0],
            homepage=stanza.folded("Homepage"),
            maintainer=stanza.folded("Maintainer"),
            priority=stanza.folded("Priority"),
            essential=stanza.get("Essential").strip().lower() == "yes",
            depends=_groups(stanza, ("Pre-Depends", "Depends"), architecture),
            provides=_provides(stanza, architecture),
            conflicts=_groups(stanza, ("Breaks", "Conflicts"), architecture),
            replaces=_groups(stanza, ("Replaces",), architecture),
            enhances=_groups(stanza, ("Enhances",), architecture),
            filename=stanza.folded("Filename"),
            size=_size(stanza),
            sha256=_sha256(stanza),
            archive=archive,
        )
    except FormatError as fault:
        raise fault.located(place) from None


def _groups(stanza: Stanza, fields: tuple[str, ...], architecture: str) -> tuple[Group, ...]:
    found = [group for field in fields for group in parse_relations(stanza.get(field), architecture)]
    return tuple(dict.fromkeys(found))


def _provides(stanza: Stanza, architecture: str) -> tuple[tuple[str, str], ...]:
    groups = parse_relations(stanza.get("Provides"), architecture)
    return tuple(dict.fromkeys((item.name, item.version if item.operator == "=" else "") for group in groups for item in group))


def _source(stanza: Stanza, name: str, version: str) -> tuple[str, str]:
    text = stanza.folded("Source") or name
    source, _, rest = text.partition(" (")
    return source, rest.rstrip(")") or version


def _size(stanza: Stanza) -> int:
    text = stanza.folded("Size") or "0"
    if not text.isdigit() or len(text) > 15:
        raise FormatError("field `Size` is not a number", reason="control-field")
    return int(text)


def _sha256(stanza: Stanza) -> str:
    text = stanza.folded("SHA256")
    if text and not _SHA256.fullmatch(text):
        raise FormatError("field `SHA256` is not a digest", reason="control-field")
    return text


class PackageList:
    """The text of one `Packages` file with an index of names; stanzas are parsed when they are asked for.

    Opening costs about 50 ms for 63,000 packages; a stanza 60 µs.
    """

    def __init__(self, text: bytes, architecture: str, number: int = 0, source: str = "") -> None:
        self._text = text
        self._architecture = architecture
        self._number = number
        self._source = source
        self._starts: dict[bytes, list[int]] = {}
        first = _NAME.match(text)
        if first is not None:
            self._starts[first[1]] = [0]
        for found in _LATER_NAME.finditer(text):
            self._starts.setdefault(found[1], []).append(found.start() + 1)
        self._providers: dict[bytes, list[int]] | None = None

    def packages(self, name: str) -> Iterator[BinaryPackage]:
        """All versions of a name, in file order."""
        for start in self._starts.get(name.encode(), ()):
            package = self._parse(start)
            if package.architecture in (self._architecture, "all"):
                yield package

    def providers(self, name: str) -> Iterator[BinaryPackage]:
        """Packages whose Provides names `name`, in file order."""
        if self._providers is None:
            self._providers = self._index_provides()
        for start in self._providers.get(name.encode(), ()):
            yield self._parse(start)

    def names(self) -> Iterator[str]:
        """Every package name, in file order."""
        return (name.decode("latin-1") for name in self._starts)

    def essential(self) -> Iterator[str]:
        """Names of packages marked as essential, in file order."""
        for found in _ESSENTIAL.finditer(self._text):
            yield self._parse(self._stanza_start(found.start())).name

    def _index_provides(self) -> dict[bytes, list[int]]:
        table: dict[bytes, list[int]] = {}
        first = _PROVIDES.match(self._text)
        for found in (*((first,) if first is not None else ()), *_LATER_PROVIDES.finditer(self._text)):
            start = self._stanza_start(found.start(1))
            for item in found[1].split(b","):
                name = _PROVIDED_NAME.match(item)
                if name is not None:
                    table.setdefault(name[1], []).append(start)
        return table

    def _stanza_start(self, position: int) -> int:
        """Start of the `Package:` line of the stanza around `position`."""
        begin = self._text.rfind(b"\n\n", 0, position) + 2
        begin = 0 if begin == 1 else begin
        found = _NAME.search(self._text, begin)
        return begin if found is None else found.start()

    def _parse(self, start: int) -> BinaryPackage:
        begin = self._text.rfind(b"\n\n", 0, start) + 2
        begin = 0 if begin == 1 else begin
        end = self._text.find(b"\n\n", start)
        place = Origin(source=self._source, offset=begin)
        stanza = parse_stanza(self._text[begin : len(self._text) if end < 0 else end], place)
        name = stanza.get("Package")
        return binary_package(stanza, self._architecture, self._number, Origin(source=self._source, package=name))
