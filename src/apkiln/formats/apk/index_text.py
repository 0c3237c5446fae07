"""The text inside an index: records as lines of `<letter>:<value>` (spec apk.md §3, §12.3 "index", §19)."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk import dependency, version
from apkiln.formats.apk.identity import identity_text
from apkiln.formats.apk.pkginfo import is_safe_name
from apkiln.formats.apk.records import IndexRecord

KNOWN = frozenset("CPVASITULomtckDpi")
DATABASE_ONLY = frozenset("FMRZrqasfg")
"""Letters of the installed database, ignored in an index."""
_LARGEST = 1 << 63
_CANONICAL = re.compile(
    r"C:Q1([A-Za-z0-9+/]{27}=)\nP:([A-Za-z0-9][A-Za-z0-9._+-]*)\nV:([a-z0-9._~-]+)\nA:([a-z0-9_]+)"
    r"\nS:([0-9]{1,18})\nI:([0-9]{1,18})\nT:([^\n]*)\nU:([^\n]*)\nL:([^\n]*)"
    r"(?:\no:([^\n]*))?(?:\nm:([^\n]*))?(?:\nt:([0-9]{1,18}))?(?:\nc:([^\n]*))?(?:\nk:([0-9]{1,18}))?"
    r"(?:\nD:([^\n]*))?(?:\np:([^\n]*))?(?:\ni:([^\n]*))?"
)
"""A record as writers of indexes put it: one match instead of twenty steps.  What does not match is read line by line."""
_new_record = IndexRecord._make
_BREAK = re.compile(r"\n\n+")


class IndexWarning(NamedTuple):
    """Something in a record that a reader lives with."""

    reason: str
    """`unknown-letter-upper`, `unknown-letter-lower`, `version-invalid`, `name-invalid`, `item-invalid`, `not-utf8`."""
    record: int
    """Position of the record in `IndexText.records`."""
    package: str
    """`name-version` of the record."""
    letter: str
    item: str
    """The value or dependency item concerned."""
    message: str


@dataclass(frozen=True, slots=True)
class IndexText:
    """A parsed index: every record, in the order of the text, good or not."""

    records: tuple[IndexRecord, ...]
    warnings: tuple[IndexWarning, ...]
    """Without those on dependency items, which cost more to find: see `item_warnings`."""

    @property
    def unusable(self) -> frozenset[int]:
        """Positions of records that must not be chosen: an upper-case letter nobody knows, an invalid name or version."""
        return frozenset(warning.record for warning in self.warnings if warning.reason in _UNUSABLE)

    def item_warnings(self) -> tuple[IndexWarning, ...]:
        """One warning for each malformed item of `D`, `p`, `i`.  A bad item in `D` makes the package uninstallable, one in `p`
        still matches by name, one in `i` drops the whole list."""
        found: list[IndexWarning] = []
        for position, record in enumerate(self.records):
            for letter, items in (("D", record.depends), ("p", record.provides), ("i", record.install_if)):
                for item in items.split():
                    message = item_fault(item, letter)
                    if message:
                        found.append(IndexWarning("item-invalid", position, record.name_version, letter, item, message))
        return tuple(found)


_UNUSABLE = frozenset({"unknown-letter-upper", "version-invalid", "name-invalid"})


def item_fault(item: str, letter: str) -> str:
    """Why `item` is malformed in a field of kind `letter` (`D`, `p` or `i`); "" when it is good."""
    try:
        if letter == "p":
            name, stated = dependency.provided(item)
            valid = dependency.is_dependency_name(name) and (not stated or version.is_valid(stated))
            return "" if valid else f"`{item}` is not a name with a version"
        parsed = dependency.parse_dependency(item, lenient=True)
        if not parsed.name or (parsed.operator == "><" and dependency.identity_digest(parsed.version) is None):
            return f"`{item}` asks for nothing that can be"
    except FormatError as error:
        return error.message
    return ""


def parse_index_text(content: bytes, limits: Limits = DEFAULT_LIMITS) -> IndexText:
    """All records of an index's text; the last one need not be followed by an empty line.

    FormatError with the line of the record: `index-line-ends` (CRLF), `index-line-too-long`, `index-line` (no `letter:`),
    `index-letter-repeated`, `index-field-missing` (P, V, A, C), `index-identity` (C without a digest of 20 bytes or more),
    `index-number` (S or another number: not one, or from 2^63), `index-path-characters` (P, V, A unfit for a path),
    `index-identity-twice` (one C, two packages).  Cost: some 4 µs a record.
    """
    text, warnings = _decode(content)
    records: list[IndexRecord] = []
    parser = _Parser(text, limits, warnings)
    for position, block in enumerate(parser.blocks):
        records.append(parser.canonical(block) or parser.record(block, position))
    _refuse_collisions(records, parser)
    return IndexText(tuple(records), tuple(warnings))


def _refuse_collisions(records: list[IndexRecord], parser: _Parser) -> None:
    """One identity is one package: the same C with another name or version is a collision or damage."""
    by_identity = {record[3]: record for record in records}
    if len(by_identity) == len(records):
        return
    for position, record in enumerate(records):
        other = by_identity[record.identity]
        if other[:2] != record[:2]:
            message = f"`{record.name_version}` and `{other.name_version}` have one identity"
            raise parser.fault(message, "index-identity-twice", position, "C")


def _decode(content: bytes) -> tuple[str, list[IndexWarning]]:
    if b"\r" in content:
        origin = Origin(member="APKINDEX", line=1 + content.count(b"\n", 0, content.index(b"\r")))
        hint = "write the index with plain line feeds"
        raise FormatError("lines end with CR LF", reason="index-line-ends", origin=origin, hint=hint)
    try:
        return content.decode(), []
    except UnicodeDecodeError:
        return content.decode("utf-8", "surrogateescape"), [IndexWarning("not-utf8", 0, "", "", "", "the index is not UTF-8")]


class _Parser:
    """Blocks of lines to records."""

    def __init__(self, text: str, limits: Limits, warnings: list[IndexWarning]) -> None:
        self._limits = limits
        self._warnings = warnings
        stripped = text.strip("\n")
        blocks = stripped.split("\n\n") if stripped else []
        self.blocks = [block for block in _BREAK.split(stripped) if block] if "\n\n\n" in stripped else blocks
        self._text = text
        self._valid_versions: set[str] = set()

    def canonical(self, block: str) -> IndexRecord | None:
        """The record when it has the usual shape and is good; None = take `record`.  Never says anything else than it."""
        match = _CANONICAL.fullmatch(block)
        if match is None or len(block) > self._limits.index_line:
            return None
        (identity, name, text, arch, size, installed, description, url, licence, origin, maintainer, date, commit, priority,
         depends, provides, install_if) = match.groups("")  # fmt: skip
        if text not in self._valid_versions:
            if not version.is_valid(text):
                return None
            self._valid_versions.add(text)
        return _new_record((
            name, text, arch, a2b_base64(identity), int(size), int(installed), description, url, licence, origin, maintainer,
            int(date or 0), commit, int(priority or 0), depends, provides, install_if, "", 0, "", "",
        ))  # fmt: skip

    def fault(self, message: str, reason: str, position: int, letter: str = "") -> FormatError:
        """An error in record `position`, at the line of `letter` if that is in it."""
        start = 0
        for block in self.blocks[:position]:
            start = self._text.index(block, start) + len(block)
        block = self.blocks[position]
        start = self._text.index(block, start)
        offset = f"\n{block}".find(f"\n{letter}:") if letter else 0
        line = 1 + self._text.count("\n", 0, start + max(offset, 0))
        name = f"{_value(block, 'P')}-{_value(block, 'V')}"
        return FormatError(message, reason=reason, origin=Origin(member="APKINDEX", line=line, package=name))

    def record(self, block: str, position: int) -> IndexRecord:
        lines = block.split("\n")
        try:
            fields = dict([line.split(":", 1) for line in lines])
        except ValueError:
            bad = next(line for line in lines if ":" not in line)
            raise self.fault(f"{bad[:60]!r} is not a line of an index", "index-line", position) from None
        if not fields.keys() <= KNOWN:
            self._unknown_letters(fields, position)
        if len(fields) != len(lines) or len(block) > self._limits.index_line:
            self._unusual_lines(lines, position)
        record = self._record(fields, position)
        name, text, arch = record[:3]
        if not (dependency.is_package_name(name) and version.is_valid(text) and arch.isidentifier()):
            self._check_names(record, position)
        return record

    def _record(self, fields: dict[str, str], position: int) -> IndexRecord:
        get = fields.get
        try:
            return IndexRecord(
                fields["P"], fields["V"], fields["A"], self._identity(fields["C"], position),
                self._number(get("S", "0"), "S", position), self._number(get("I", "0"), "I", position),
                get("T", ""), get("U", ""), get("L", ""), get("o", ""), get("m", ""),
                self._number(get("t") or "0", "t", position), get("c", ""), self._number(get("k") or "0", "k", position),
                get("D", ""), get("p", ""), get("i", ""),
            )  # fmt: skip
        except KeyError as error:
            raise self.fault(f"the record has no `{error.args[0]}:` line", "index-field-missing", position) from None

    def _identity(self, text: str, position: int) -> bytes:
        try:
            kind = text[:2]
            raw = bytes.fromhex(text[2:]) if kind == "X1" else a2b_base64(text[2:], strict_mode=True)
            if len(raw) >= 20 and kind in ("Q1", "Q2", "X1"):
                return raw
        except (ValueError, Base64Error):
            pass
        raise self.fault(f"`C:{text}` is not an identity: `Q1` and base64 of a SHA-1", "index-identity", position, "C")

    def _number(self, text: str, letter: str, position: int) -> int:
        if text.isdecimal() and text.isascii() and len(text) <= 19 and (value := int(text)) < _LARGEST:
            return value
        raise self.fault(f"`{letter}:{text[:40]}` is not a number below 2^63", "index-number", position, letter)

    def _check_names(self, record: IndexRecord, position: int) -> None:
        for letter, text in (("P", record.name), ("V", record.version), ("A", record.arch)):
            if not is_safe_name(text):
                message = f"`{letter}:{text}` cannot be part of a path"
                raise self.fault(message, "index-path-characters", position, letter)
        if not version.is_valid(record.version):
            hint = _spelling_hint(record.version)
            self._warn("version-invalid", record, position, "V", record.version, f"`{record.version}` is not a version{hint}")
        if not dependency.is_package_name(record.name):
            self._warn("name-invalid", record, position, "P", record.name, f"`{record.name}` is not a package name")

    def _warn(self, reason: str, record: IndexRecord, position: int, letter: str, item: str, message: str) -> None:
        self._warnings.append(IndexWarning(reason, position, record.name_version, letter, item, message))

    def _unknown_letters(self, fields: dict[str, str], position: int) -> None:
        package = f"{fields.get('P', '')}-{fields.get('V', '')}"
        for letter in sorted(fields.keys() - KNOWN - DATABASE_ONLY):
            if len(letter) != 1 or not (letter.isascii() and letter.isalpha()):
                raise self.fault(f"{letter[:40]!r} is not a letter of an index", "index-line", position)
            reason = "unknown-letter-upper" if letter.isupper() else "unknown-letter-lower"
            self._warnings.append(IndexWarning(reason, position, package, letter, "", f"the letter `{letter}` is not known"))

    def _unusual_lines(self, lines: list[str], position: int) -> None:
        seen: set[str] = set()
        for line in lines:
            if len(line) > self._limits.index_line:
                raise self.fault(f"a line is longer than {self._limits.index_line} bytes", "index-line-too-long", position)
            letter = line[:1]
            if letter in seen and letter not in DATABASE_ONLY:
                raise self.fault(f"`{letter}:` stands twice in one record", "index-letter-repeated", position, letter)
            seen.add(letter)


def _value(block: str, letter: str) -> str:
    return next((line[2:] for line in block.split("\n") if line.startswith(f"{letter}:")), "")


def _spelling_hint(text: str) -> str:
    """` (write …)` for the usual slips: `1.2-1` for `1.2-r1`, `1.2-rc1` for `1.2_rc1`."""
    for pattern, replacement in ((r"-([0-9]+)$", r"-r\1"), (r"-((?:alpha|beta|pre|rc|p)[0-9]*)", r"_\1"), (r"^v", "")):
        spelled = re.sub(pattern, replacement, text)
        if spelled != text and version.is_valid(spelled):
            return f" (write `{spelled}`)"
    return ""


def format_record(record: IndexRecord) -> str:
    """The lines of one record without the empty line after it, in the canonical order C P V A S I T U L o m t c k D p i.

    Nothing is checked; see `index.record_faults`.
    """
    lines = [
        f"C:{identity_text(record.identity)}", f"P:{record.name}", f"V:{record.version}", f"A:{record.arch}",
        f"S:{record.size}", f"I:{record.installed_size}", f"T:{record.description}", f"U:{record.url}", f"L:{record.license}",
    ]  # fmt: skip
    for letter, value in (
        ("o", record.origin), ("m", record.maintainer), ("t", record.build_date), ("c", record.commit),
        ("k", record.provider_priority), ("D", record.depends), ("p", record.provides), ("i", record.install_if),
    ):  # fmt: skip
        if value:
            lines.append(f"{letter}:{value}")
    return "\n".join([*lines, ""])
