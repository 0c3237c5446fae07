"""`${{name}}` in texts: one grammar for every phase (spec package.md §4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition.model import Condition, Prose
from apkiln.package.definition.note import Note

MAXIMUM_TEXT = 1 << 20
"""Characters of one text after replacement."""
MAXIMUM_TOTAL = 64 << 20
"""Characters of all texts of one definition after replacement."""

_Part = TypeVar("_Part")
_OPEN = "${{"
_REFERENCE = pattern(r"\$\{\{(?:[ \t\r\n]*([A-Za-z0-9._-]*)[ \t\r\n]*\}\}|([^\n}]*)(\}\})?)")


class Later:
    """A name that only a later phase knows; the reference stays as it is."""


LATER: Final = Later()

Lookup = Callable[[str], "str | Later | None"]
"""The value of a name, LATER, or None for a name that no phase knows."""


@dataclass(slots=True)
class Sources:
    """Texts of the files that were read, to point at a reference inside a scalar."""

    texts: dict[str, str] = field(default_factory=dict)

    def place(self, origin: Origin, fragment: str) -> Origin:
        """The first place of `fragment` at or behind `origin` in its file; `origin` itself where there is none."""
        text = self.texts.get(origin.source, "")
        lines = text.splitlines(keepends=True)
        start = sum(map(len, lines[: origin.line - 1])) + origin.column - 1
        at = text.find(fragment, start) if origin.line and fragment else -1
        if at < 0:
            return origin
        line = text.count("\n", 0, at) + 1
        return Origin(origin.source, line, at - (text.rfind("\n", 0, at) + 1) + 1)


@dataclass(slots=True)
class Substitution:
    """Replaces references in texts; faults go to `faults` and the broken reference stays in the text.

    Reasons: `unknown-variable`, `unterminated-reference`, `bad-reference`, `text-too-large`.
    """

    faults: FaultCollector
    sources: Sources
    notes: list[Note] = field(default_factory=list)
    """Remarks, also of those who use this."""
    total: int = 0
    """Characters made so far."""
    reported: set[tuple[Origin, str]] = field(default_factory=set)
    """What was already said: texts of pipelines are used many times."""

    def text(self, text: Text, lookup: Lookup, known: Iterable[str] = ()) -> Text:
        """The text with what `lookup` knows put in; `known`: names for a hint when it does not."""
        if _OPEN not in text.text:
            return text
        return Text(self.expand(text.text, text.origin, lookup, known), text.origin)

    def prose(self, prose: Prose, lookup: Lookup) -> Prose:
        """The same for a text that nothing depends on: what would be a fault is a remark."""
        if _OPEN not in prose.text:
            return prose
        faults = self.faults
        self.faults = FaultCollector.empty()
        try:
            text = self.expand(prose.text, prose.origin, lookup)
        finally:
            found, self.faults = self.faults, faults
        self.notes += [Note(f"{fault.message}; the text stays as it is", fault.origin) for fault in found.faults]
        return Prose(text, prose.origin)

    def expand(self, text: str, origin: Origin, lookup: Lookup, known: Iterable[str] = ()) -> str:
        """`text` with its references replaced."""
        parts: list[str] = []
        position = 0
        for found in _REFERENCE.finditer(text):
            parts.append(text[position : found.start()])
            parts.append(self._value(found, origin, lookup, known))
            position = found.end()
        parts.append(text[position:])
        return self._bounded(parts, origin)

    def condition(self, condition: Condition, lookup: Lookup, known: Iterable[str] = ()) -> Condition:
        """The expression with values put in as quoted texts, or as escaped text where the reference stands inside quotes."""
        text = condition.text
        if _OPEN not in text:
            return condition
        parts: list[str] = []
        position, quote = 0, ""
        for found in _REFERENCE.finditer(text):
            between = text[position : found.start()]
            quote = _open_quote(between, quote)
            value = self._value(found, condition.origin, lookup, known)
            kept = value == found.group()
            parts += [between, value if kept else escaped(value) if quote else f'"{escaped(value)}"']
            position = found.end()
        parts.append(text[position:])
        return Condition(self._bounded(parts, condition.origin), condition.origin)

    def _value(self, found: re.Match[str], origin: Origin, lookup: Lookup, known: Iterable[str]) -> str:
        whole, name = found.group(), found[1]
        if name:
            value = lookup(name)
            if value is None:
                self._unknown(name, whole, origin, known)
            return value if isinstance(value, str) else whole
        if name == "":
            self.fault("a variable reference without a name", "bad-reference", origin, whole)
        elif found[3] is None:
            shown = (found[2] or "").strip()[:40]
            self.fault(
                f"unterminated variable reference `{shown}`", "unterminated-reference", origin, whole, "close it with `}}`"
            )
        else:
            self.fault(f"`{found[2].strip()[:40]}` is no name of a variable", "bad-reference", origin, whole)
        return whole

    def _unknown(self, name: str, whole: str, origin: Origin, known: Iterable[str]) -> None:
        guess = nearest(name, known)
        hint = f"did you mean `{guess}`?" if guess else _where_known(name)
        self.fault(f"variable `{name}` is not defined", "unknown-variable", origin, whole, hint)

    def _bounded(self, parts: list[str], origin: Origin) -> str:
        size = sum(map(len, parts))
        self.total += size
        if size > MAXIMUM_TEXT or self.total > MAXIMUM_TOTAL:
            limit = MAXIMUM_TEXT if size > MAXIMUM_TEXT else MAXIMUM_TOTAL
            raise ConfigurationError(
                f"replacing variables makes more than {limit} characters", reason="text-too-large", origin=origin
            )
        return "".join(parts)

    def replaced(self, part: _Part, lookup: Lookup, known: Iterable[str]) -> _Part:
        """A part of the definition with every reference in it replaced."""
        change = Change(
            lambda item: self.text(item, lookup, known),
            lambda item: self.prose(item, lookup),
            lambda item: self.condition(item, lookup, known),
        )
        return mapped(part, change)

    def fault(self, message: str, reason: str, origin: Origin, fragment: str = "", hint: str = "") -> None:
        """Report at the place of `fragment`, once."""
        if (origin, message) not in self.reported:
            self.reported.add((origin, message))
            place = self.sources.place(origin, fragment)
            self.faults.add(ConfigurationError(message, reason=reason, origin=place, hint=hint))


class Change(NamedTuple):
    """What happens to each kind of text."""

    text: Callable[[Text], Text]
    prose: Callable[[Prose], Prose]
    condition: Callable[[Condition], Condition]


def mapped(value: _Part, change: Change) -> _Part:
    """A value of the definition with every text inside it changed, at any depth; what takes no part is kept."""
    changed: Any = _mapped(value, change)
    return changed  # type: ignore[no-any-return]


def _mapped(value: Any, change: Change) -> Any:
    kind = type(value)
    if kind is Text:
        return change.text(value)
    if kind is Prose:
        return change.prose(value)
    if kind is Condition:
        return change.condition(value)
    if not isinstance(value, tuple) or not value:
        return value
    items = [_mapped(item, change) for item in value]
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value
    return kind(*items) if hasattr(value, "_fields") else tuple(items)


def escaped(text: str) -> str:
    """`text` for the inside of a quoted value of a condition: backslash, both quotes, line feed, tab."""
    table: Mapping[str, str] = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return "".join(table.get(char, char) for char in text)


def _open_quote(text: str, quote: str) -> str:
    """The quote that is open behind `text`, when `quote` was open before it."""
    position = 0
    while position < len(text):
        char = text[position]
        if quote and char == "\\":
            position += 1
        elif quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        position += 1
    return quote


def _where_known(name: str) -> str:
    if name.startswith("range."):
        return "`range.key` and `range.value` exist only in a subpackage with `range`"
    if name in ("subpkg.name", "targets.subpkgdir"):
        return "it exists only in subpackages"
    if name.startswith("inputs."):
        return "inputs exist only in pipelines that declare them"
    return ""
