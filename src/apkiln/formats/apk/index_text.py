"""The text inside an index: records as lines of `<letter>:<value>` (spec apk.md §3, §12.3 "index", §19)."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, compress
from operator import itemgetter

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.apk import dependency, version
from apkiln.formats.apk.identity import identity_text
from apkiln.formats.apk.index_record import read_records, record_of_fields
from apkiln.formats.apk.pkginfo import is_safe_name
from apkiln.formats.apk.records import IndexRecord

KNOWN = frozenset("CPVASITULomtckDpi")
DATABASE_ONLY = frozenset("FMRZrqasfg")
"""Letters of the installed database, ignored in an index."""
_LARGEST = 1 << 63
_BLOCKS = pattern(
    rb"(C:Q1([A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]=)\nP:([A-Za-z0-9][A-Za-z0-9._+-]*+)\nV:([a-z0-9._~-]++)\nA:[a-z0-9_]++"
    rb"\nS:[0-9]{1,18}+\nI:[0-9]{1,18}+\nT:.*+\nU:.*+\nL:.*+"
    rb"(?:\no:.*+)?(?:\nm:.*+)?(?:\nt:[0-9]{1,18}+)?(?:\nc:.*+)?(?:\nk:[0-9]{1,18}+)?"
    rb"(?:\nD:.*+)?(?:\np:(.*+))?(?:\ni:(.*+))?(?:\n\n++|\n?\Z)"
    rb"|.++(?:\n.++)*+\n*+)"
)
"""Everything between two empty lines: a record as writers of indexes put it, which is good when its version is, or anything
else, which is read line by line.  One match after the other covers the whole text."""


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
    `index-identity-twice` (one C, two packages).  Cost: some 5 µs a record.
    """
    warnings = scan_index_text(content, limits).warnings
    return IndexText(tuple(read_records(_text(content))), warnings)


class IndexOutline(NamedTuple):
    """An index whose text is good: where its records are, and what they are looked for by; side by side, in the order of the
    text."""

    begins: Sequence[int]
    """Offset of the first byte of each record."""
    names: Sequence[bytes]
    provides: Sequence[bytes]
    """As written after `p:`."""
    install_if: Sequence[bytes]
    warnings: tuple[IndexWarning, ...]

    def usable(self) -> IndexOutline:
        """Without the records that must not be chosen."""
        unusable = IndexText((), self.warnings).unusable
        if not unusable:
            return self
        kept = [position not in unusable for position in range(len(self.begins))]
        begins = tuple(compress(self.begins, kept))
        names, provides, install_if = (tuple(compress(texts, kept)) for texts in (self.names, self.provides, self.install_if))
        return IndexOutline(begins, names, provides, install_if, self.warnings)


def scan_index_text(content: bytes, limits: Limits = DEFAULT_LIMITS) -> IndexOutline:
    """Check all of an index's text without making records of it.  FormatError as `parse_index_text`.

    Cost: some 2 µs a record.
    """
    warnings = _text_warnings(content)
    found = _BLOCKS.findall(content)
    blocks, identities, names, versions, provides, install_if = [list(map(itemgetter(group), found)) for group in range(6)]
    del found
    begins = list(accumulate(map(len, blocks), initial=len(content) - len(content.lstrip(b"\n"))))[:-1]
    reader = _Reader(content, begins, limits, warnings)
    for position in _irregular(versions, blocks, limits.index_line):
        record = reader.record(_text(blocks[position].strip(b"\n")), position)
        names[position], versions[position] = _bytes(record.name), _bytes(record.version)
        provides[position], install_if[position] = _bytes(record.provides), _bytes(record.install_if)
        identities[position] = identity_text(record.identity)[2:].encode()
    _refuse_collisions(identities, names, versions, reader)
    return IndexOutline(begins, names, provides, install_if, tuple(warnings))


def _irregular(versions: Sequence[bytes], blocks: Sequence[bytes], longest: int) -> Sequence[int]:
    """Positions of the blocks that must be read line by line; those that are not canonical have no version here."""
    invalid = {text for text in set(versions) if not version.is_valid(text.decode())}
    if not invalid and max(map(len, blocks), default=0) <= longest:
        return ()
    pairs = enumerate(zip(versions, blocks, strict=True))
    return [position for position, (text, block) in pairs if text in invalid or len(block) > longest]


def _refuse_collisions(identities: Sequence[bytes], names: Sequence[bytes], versions: Sequence[bytes], reader: _Reader) -> None:
    """One identity is one package: the same C with another name or version is a collision or damage."""
    if len(set(identities)) == len(identities):
        return
    packages = list(zip(names, versions, strict=True))
    by_identity = dict(zip(identities, packages, strict=True))
    for position, (identity, package) in enumerate(zip(identities, packages, strict=True)):
        other = by_identity[identity]
        if other != package:
            first, second = (_text(b"-".join(item)) for item in (package, other))
            raise reader.fault(f"`{first}` and `{second}` have one identity", "index-identity-twice", position, "C")


def _text_warnings(content: bytes) -> list[IndexWarning]:
    if b"\r" in content:
        origin = Origin(member="APKINDEX", line=1 + content.count(b"\n", 0, content.index(b"\r")))
        hint = "write the index with plain line feeds"
        raise FormatError("lines end with CR LF", reason="index-line-ends", origin=origin, hint=hint)
    try:
        if not content.isascii():
            content.decode()
    except UnicodeDecodeError:
        return [IndexWarning("not-utf8", 0, "", "", "", "the index is not UTF-8")]
    return []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class _Reader:
    """Blocks of lines to records, with a word on everything that is wrong."""

    def __init__(self, content: bytes, begins: Sequence[int], limits: Limits, warnings: list[IndexWarning]) -> None:
        self._content = content
        self._begins = begins
        self._limits = limits
        self._warnings = warnings

    def fault(self, message: str, reason: str, position: int, letter: str = "") -> FormatError:
        """An error in record `position`, at the line of `letter` if that is in it."""
        start = self._begins[position]
        end = self._begins[position + 1] if position + 1 < len(self._begins) else len(self._content)
        block = _text(self._content[start:end])
        offset = f"\n{block}".find(f"\n{letter}:") if letter else 0
        line = 1 + self._content.count(b"\n", 0, start) + block.count("\n", 0, max(offset, 0))
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
        self._check_fields(fields, position)
        record = record_of_fields(fields)
        name, text, arch = record[:3]
        if not (dependency.is_package_name(name) and version.is_valid(text) and arch.isidentifier()):
            self._check_names(record, position)
        return record

    def _check_fields(self, fields: dict[str, str], position: int) -> None:
        for letter in "PVAC":
            if letter not in fields:
                raise self.fault(f"the record has no `{letter}:` line", "index-field-missing", position)
        self._check_identity(fields["C"], position)
        for letter, text in (("S", fields.get("S", "0")), ("I", fields.get("I", "0")), ("t", fields.get("t") or "0"),
                             ("k", fields.get("k") or "0")):  # fmt: skip
            if not (text.isdecimal() and text.isascii() and len(text) <= 19 and int(text) < _LARGEST):
                message = f"`{letter}:{text[:40]}` is not a number below 2^63"
                raise self.fault(message, "index-number", position, letter)

    def _check_identity(self, text: str, position: int) -> None:
        try:
            kind = text[:2]
            raw = bytes.fromhex(text[2:]) if kind == "X1" else a2b_base64(text[2:], strict_mode=True)
            if len(raw) >= 20 and kind in ("Q1", "Q2", "X1"):
                return
        except (ValueError, Base64Error):
            pass
        raise self.fault(f"`C:{text}` is not an identity: `Q1` and base64 of a SHA-1", "index-identity", position, "C")

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
    for slip, replacement in ((r"-([0-9]+)$", r"-r\1"), (r"-((?:alpha|beta|pre|rc|p)[0-9]*)", r"_\1"), (r"^v", "")):
        spelled = re.sub(slip, replacement, text)
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
