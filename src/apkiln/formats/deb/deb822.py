"""Control data: stanzas of `Field: value` lines (Debian Policy 5.1; spec debian.md §14 row 20)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.origin import Origin

MAXIMUM_FIELDS = 500
"""Fields of one stanza."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """One paragraph.  Field names are compared without regard to case and keep the spelling of the source."""

    fields: tuple[tuple[str, str], ...]
    """(name, value) in source order.  A value keeps its line breaks; each continuation line has lost its one leading blank."""
    line: int = 1
    """Line of the first field in the document, from 1."""

    def get(self, name: str, default: str = "") -> str:
        """The value of a field, `default` when absent."""
        wanted = name.lower()
        return next((value for field, value in self.fields if field.lower() == wanted), default)

    def __contains__(self, name: str) -> bool:
        wanted = name.lower()
        return any(field.lower() == wanted for field, _ in self.fields)

    def folded(self, name: str) -> str:
        """The value with all line breaks and runs of blanks made one blank: for fields whose line breaks mean nothing."""
        return " ".join(self.get(name).split())


def decode(data: bytes) -> str:
    """UTF-8, else Latin-1: old packages carry names of people in it, and no byte may be lost or refused."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_stanzas(data: bytes, origin: Origin = NOWHERE) -> Iterator[Stanza]:
    """All stanzas in order.

    Blank lines separate; lines that begin with `#` are comments; a line that begins with a blank continues the field above.
    Raises FormatError with line: `control-syntax` (no colon, continuation of nothing), `control-duplicate-field`,
    `limit-control-fields`.
    """
    reader = _StanzaReader(origin)
    for number, line in enumerate(decode(data).split("\n"), 1):
        stanza = reader.line(number, line.rstrip("\r"))
        if stanza is not None:
            yield stanza
    last = reader.finish()
    if last is not None:
        yield last


def parse_stanza(data: bytes, origin: Origin = NOWHERE) -> Stanza:
    """Exactly one stanza.  Raises FormatError (`control-syntax`) when there is none or more than one."""
    stanzas = list(parse_stanzas(data, origin))
    if len(stanzas) != 1:
        raise FormatError(f"expected one paragraph of control data, found {len(stanzas)}", reason="control-syntax", origin=origin)
    return stanzas[0]


def write_stanza(stanza: Stanza) -> bytes:
    """Text form that parses back to equal fields, with a final newline."""
    return "".join(_field_text(name, value) for name, value in stanza.fields).encode()


def _field_text(name: str, value: str) -> str:
    blank = "" if not value or value.startswith("\n") else " "
    return f"{name}:{blank}" + value.replace("\n", "\n ") + "\n"


class _StanzaReader:
    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._names: list[str] = []
        self._values: list[list[str]] = []
        self._seen: set[str] = set()
        self._first = 0

    def line(self, number: int, text: str) -> Stanza | None:
        if not text.strip():
            return self.finish()
        if text[0] == "#":
            return None
        if text[0] in " \t":
            self._continue(number, text)
        else:
            self._begin(number, text)
        return None

    def finish(self) -> Stanza | None:
        if not self._names:
            return None
        fields = tuple((name, "\n".join(lines)) for name, lines in zip(self._names, self._values, strict=True))
        stanza = Stanza(fields, self._first)
        self._names, self._values, self._seen = [], [], set()
        return stanza

    def _continue(self, number: int, text: str) -> None:
        if not self._values:
            raise self._fault(number, "a continuation line has no field above it", "control-syntax")
        self._values[-1].append(text[1:].rstrip())

    def _begin(self, number: int, text: str) -> None:
        name, colon, value = text.partition(":")
        if not colon or not name or any(char <= " " or char > "~" for char in name) or name[0] == "-":
            raise self._fault(number, f"`{text[:60]}` is not a field", "control-syntax")
        if name.lower() in self._seen:
            raise self._fault(number, f"field `{name}` is given twice", "control-duplicate-field")
        if len(self._names) >= MAXIMUM_FIELDS:
            raise self._fault(number, f"more than {MAXIMUM_FIELDS} fields in one paragraph", "limit-control-fields")
        self._first = number if not self._names else self._first
        self._seen.add(name.lower())
        self._names.append(name)
        self._values.append([value.strip()])

    def _fault(self, number: int, message: str, reason: str) -> FormatError:
        return FormatError(message, reason=reason, origin=Origin(self._origin.source, number, 1).filled(self._origin))
