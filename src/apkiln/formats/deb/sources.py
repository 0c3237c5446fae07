"""apt source lists, one-line and deb822 style (sources.list(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.deb.deb822 import Stanza, decode, parse_stanzas

_ONE_LINE = re.compile(
    r"(?P<type>deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#]*)"
)
_NO = {"no", "false", "without", "off", "disable", "0"}


@dataclass(frozen=True, slots=True)
class Source:
    """One archive directory: a URI and a suite with components, of binary packages."""

    uri: str
    """Without trailing slash.  May hold credentials: never shown."""
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""
    """Path of a keyring; empty when the list names none (or embeds the key)."""
    architectures: tuple[str, ...] = ()
    """Debian architecture names; empty = all that are configured."""
    origin: Origin = NOWHERE


def parse_one_line(data: bytes, origin: Origin = NOWHERE) -> tuple[Source, ...]:
    """A `*.list` file: `deb [option=value …] URI SUITE COMPONENT…` lines; `deb-src` and comments are skipped.

    Raises FormatError with line (`source-list-syntax`).
    """
    sources: list[Source] = []
    for number, raw in enumerate(decode(data).split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        place = Origin(origin.source, number)
        found = _ONE_LINE.fullmatch(line.partition(" #")[0].rstrip())
        if found is None:
            raise FormatError("not a line of a source list", reason="source-list-syntax", origin=place)
        if found["type"] == "deb":
            sources.append(_from_line(found, place))
    return tuple(sources)


def parse_deb822(data: bytes, origin: Origin = NOWHERE) -> tuple[Source, ...]:
    """A `*.sources` file; disabled stanzas and pure `deb-src` ones are skipped, every URI with every suite in order.

    Raises FormatError (`source-list-syntax`, `control-…`) with line.
    """
    sources: list[Source] = []
    for stanza in parse_stanzas(data, origin):
        place = Origin(origin.source, stanza.line)
        if "deb" not in stanza.get("Types").split() or stanza.get("Enabled", "yes").strip().lower() in _NO:
            continue
        if not stanza.get("URIs").split() or not stanza.get("Suites").split():
            raise FormatError("a source needs `URIs` and `Suites`", reason="source-list-syntax", origin=place)
        sources += _from_stanza(stanza, place)
    return tuple(sources)


def write_deb822(sources: tuple[Source, ...]) -> bytes:
    """A `*.sources` file that apt reads; one stanza per source."""
    return "\n".join(_stanza_text(source) for source in sources).encode()


def _from_line(found: re.Match[str], origin: Origin) -> Source:
    options = dict(item.partition("=")[::2] for item in (found["options"] or "").split())
    architectures = tuple(item for item in options.get("arch", "").split(",") if item)
    components = tuple(found["components"].split())
    return Source(found["uri"].rstrip("/"), found["suite"], components, options.get("signed-by", ""), architectures, origin)


def _from_stanza(stanza: Stanza, origin: Origin) -> list[Source]:
    signed_by = stanza.get("Signed-By").strip()
    keyring = signed_by if signed_by.startswith("/") and "\n" not in signed_by else ""
    architectures = tuple(stanza.get("Architectures").split())
    components = tuple(stanza.get("Components").split())
    return [
        Source(uri.rstrip("/"), suite, components, keyring, architectures, origin)
        for uri in stanza.get("URIs").split()
        for suite in stanza.get("Suites").split()
    ]


def _stanza_text(source: Source) -> str:
    lines = ["Types: deb", f"URIs: {source.uri}", f"Suites: {source.suite}"]
    if source.components:
        lines.append(f"Components: {' '.join(source.components)}")
    if source.architectures:
        lines.append(f"Architectures: {' '.join(source.architectures)}")
    if source.signed_by:
        lines.append(f"Signed-By: {source.signed_by}")
    return "\n".join(lines) + "\n"
