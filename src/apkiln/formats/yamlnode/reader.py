"""Typed reading of nodes: the field's type decides what a scalar's text means; deviations become located faults."""

from __future__ import annotations

from collections.abc import Sequence as Listing

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.yamlnode.excerpt import excerpt, without_passwords
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.formats.yamlnode.node import Document, Mapping, Node, Scalar, Sequence

TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})
FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"})

_INTEGER = pattern(r"[-+]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|0[0-7_]*|[1-9][0-9_]*)")
_LONGEST_INTEGER = 40
_LARGEST_MODE = 0o7777
_EXCERPTS = 100
"""Faults of one document that show their line; more would only cost time."""


class Text(NamedTuple):
    """A text and where it stands."""

    text: str
    origin: Origin


class Value(NamedTuple):
    """A node to be read by type.  Every reader returns a harmless value of its type after adding a fault."""

    document: Document
    node: Node
    path: str
    """Where the value is in the document, for people: `contents.packages[2]`."""
    faults: FaultCollector

    @property
    def origin(self) -> Origin:
        return self.document.origin(self.node)

    @property
    def is_null(self) -> bool:
        return isinstance(self.node, Scalar) and self.node.is_null

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, Mapping)

    @property
    def is_sequence(self) -> bool:
        return isinstance(self.node, Sequence)

    def fault(self, message: str, reason: str, hint: str = "") -> None:
        """Report a fault at this value."""
        report(self.faults, self.document, self.node, message, reason, hint)

    def text(self) -> str:
        """The source text of a scalar: `1.10` stays `1.10`; null is empty."""
        if not isinstance(self.node, Scalar):
            self._wrong("text")
            return ""
        return "" if self.node.is_null else self.node.text

    def integer(self) -> int:
        """A whole number: decimal, `0x`, `0o`, `0b`, or octal by a leading zero; null is 0; quoted text is a fault."""
        if self.is_null:
            return 0
        node = self.node
        if isinstance(node, Scalar) and node.plain and len(node.text) <= _LONGEST_INTEGER and _INTEGER.fullmatch(node.text):
            return parse_integer(node.text)
        self._wrong("a whole number", "remove the quotes" if isinstance(self.node, Scalar) and not self.node.plain else "")
        return 0

    def mode(self) -> int:
        """Permission bits, as `integer`; more than `0o7777` or less than 0 is a fault."""
        mode = self.integer()
        if not 0 <= mode <= _LARGEST_MODE:
            self.fault(f"`{self.path}`: {mode:#o} is not a mode", "bad-mode", "write modes in octal: `0o755`")
            return 0
        return mode

    def boolean(self) -> bool:
        """`true` or `false`, and YAML 1.1's `yes`, `no`, `on`, `off`, `y`, `n`; null is false."""
        if self.is_null:
            return False
        if isinstance(self.node, Scalar) and self.node.plain and self.node.text in TRUE | FALSE:
            return self.node.text in TRUE
        self._wrong("`true` or `false`")
        return False

    def choice(self, known: Listing[str]) -> str:
        """One of `known`, or empty for null or empty text."""
        text = self.text()
        if text and text not in known:
            listed = ", ".join(f"`{word}`" for word in known)
            self.fault(f"`{self.path}`: `{text}` is none of {listed}", "unknown-value", _did_you_mean(text, known))
            return ""
        return text

    def items(self) -> tuple[Value, ...]:
        """The items of a list; null is an empty list."""
        if self.is_null:
            return ()
        if not isinstance(self.node, Sequence):
            self._wrong("a list")
            return ()
        return tuple(
            Value(self.document, item, f"{self.path}[{number}]", self.faults) for number, item in enumerate(self.node.items)
        )

    def texts(self) -> tuple[Text, ...]:
        return tuple(Text(item.text(), item.origin) for item in self.items())

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """A mapping of texts as pairs sorted by key; null is empty."""
        return tuple(sorted((key, value.text()) for key, value in self.members()))

    def members(self) -> tuple[tuple[str, Value], ...]:
        """A mapping with free keys, in source order; null is empty."""
        if self.is_null:
            return ()
        if not isinstance(self.node, Mapping):
            self._wrong("a mapping")
            return ()
        return tuple(
            (key.text, Value(self.document, node, f"{self.path}.{key.text}", self.faults)) for key, node in self.node.items
        )

    def fields(self, known: Listing[str], removed: Listing[tuple[str, str]] = ()) -> Fields:
        """A mapping whose keys must be among `known`; each other key is a fault that names the nearest one.

        `removed`: keys that have a better explanation than "unknown", with that explanation.
        """
        explained = dict(removed)
        found: dict[str, Value] = {}
        for key, node in self._entries():
            place = f"{self.path}.{key.text}" if self.path else key.text
            if key.text in known:
                found[key.text] = Value(self.document, node, place, self.faults)
            elif key.text in explained:
                report(self.faults, self.document, key, f"`{place}`: {explained[key.text]}", "refused-key")
            else:
                hint = _did_you_mean(key.text, known)
                report(self.faults, self.document, key, f"unknown key `{place}`", "unknown-key", hint)
        return Fields(self, found)

    def _entries(self) -> tuple[tuple[Scalar, Node], ...]:
        if self.is_null:
            return ()
        if not isinstance(self.node, Mapping):
            self._wrong("a mapping")
            return ()
        return self.node.items

    def _wrong(self, wanted: str, hint: str = "") -> None:
        kinds = {Scalar: "a single value", Sequence: "a list", Mapping: "a mapping"}
        given = f"`{self.node.text[:40]}`" if isinstance(self.node, Scalar) and self.node.text else kinds[type(self.node)]
        where = f"`{self.path}`" if self.path else "the document"
        self.fault(f"{where} must be {wanted}, not {given}", "wrong-type", hint)


class Fields(NamedTuple):
    """The members of one mapping with known keys."""

    whole: Value
    found: dict[str, Value]

    @property
    def origin(self) -> Origin:
        return self.whole.origin

    def get(self, key: str) -> Value | None:
        """The member; None when it is absent or null."""
        value = self.found.get(key)
        return None if value is None or value.is_null else value

    def origin_of(self, key: str) -> Origin:
        """The member's place, or the mapping's where it is absent."""
        value = self.found.get(key)
        return value.origin if value is not None else self.origin

    def text(self, key: str) -> str:
        value = self.found.get(key)
        return value.text() if value is not None else ""

    def boolean(self, key: str) -> bool:
        value = self.found.get(key)
        return value.boolean() if value is not None else False

    def integer(self, key: str) -> int:
        value = self.found.get(key)
        return value.integer() if value is not None else 0

    def choice(self, key: str, known: Listing[str]) -> str:
        value = self.found.get(key)
        return value.choice(known) if value is not None else ""

    def items(self, key: str) -> tuple[Value, ...]:
        value = self.found.get(key)
        return value.items() if value is not None else ()

    def texts(self, key: str) -> tuple[Text, ...]:
        value = self.found.get(key)
        return value.texts() if value is not None else ()

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        value = self.found.get(key)
        return value.pairs() if value is not None else ()


def root(document: Document, faults: FaultCollector) -> Value:
    """The whole document as a value to read."""
    return Value(document, document.root, "", faults)


def report(faults: FaultCollector, document: Document, node: Node, message: str, reason: str, hint: str = "") -> None:
    """Add a ConfigurationError at `node`, with the line and a marker as its details."""
    shown = len(faults.faults) < _EXCERPTS
    faults.add(
        ConfigurationError(
            without_passwords(message),
            reason=reason,
            origin=document.origin(node),
            hint=hint,
            details=excerpt(document.text, node.line, node.column, node.width) if shown else (),
        )
    )


def parse_integer(text: str) -> int:
    """The value of a text that has the form of a YAML integer (both `0o17` and `017` are octal)."""
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.startswith(prefix):
            return sign * int(digits[2:] or "0", base)
    return sign * int(digits, 8 if digits.startswith("0") else 10)


def _did_you_mean(word: str, known: Listing[str]) -> str:
    guess = nearest(word, known)
    return f"did you mean `{guess}`?" if guess else ""
