"""The installed database `lib/apk/db/installed` (spec apk.md §4, §12.3 last row)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.dependency import identity_digest
from apkiln.formats.apk.identity import identity_text
from apkiln.formats.apk.index_text import format_record
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.path import CONTROL, fault, parent

_LETTERS = {
    "P": "name", "V": "version", "A": "arch", "S": "size", "I": "installed_size", "T": "description", "U": "url",
    "L": "license", "o": "origin", "m": "maintainer", "t": "build_date", "c": "commit", "k": "provider_priority",
    "D": "depends", "p": "provides", "i": "install_if", "r": "replaces", "q": "replaces_priority", "s": "repository_tag",
    "f": "flags",
}  # fmt: skip
_NUMBERS = frozenset("SItkq")
_ITEMS = frozenset("Dpir")
_ACL = re.compile(r"([0-9]{1,10}):([0-9]{1,10}):([0-7]{1,6})(?::(Q1[A-Za-z0-9+/]{27}=))?")
_DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644


class InstalledPath(NamedTuple):
    """A directory or file as the database has it."""

    path: str
    """Whole path, without leading slash; "" = the root (directories only)."""
    mode: int
    """12 bits."""
    uid: int = 0
    gid: int = 0
    digest: bytes = b""
    """Files: SHA-1 of the content or of a symlink's text (with the package flag `S`: SHA-256 cut to 20 bytes)."""
    xattrs: bytes = b""
    """Digest of the extended attributes; empty = none."""


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One record."""

    record: IndexRecord
    """With `replaces`, `replaces_priority`, `repository_tag` and `flags`."""
    directories: tuple[InstalledPath, ...] = ()
    files: tuple[InstalledPath, ...] = ()
    """Whatever is not a directory; each lies in one of `directories`."""
    tags: str = ""
    """`g:`, space-separated."""


def parse_installed(content: bytes) -> tuple[InstalledPackage, ...]:
    """All records in the order of the file.

    FormatError with the line: `installed-line-ends`, `installed-not-utf8`, `installed-line`, `installed-letter` (unknown: the
    database may be of a newer apk), `installed-field-missing` (C, P, V), `installed-identity`, `installed-number`,
    `installed-order` (`R:` before `F:`, `M:` without `F:`, `a:` or `Z:` without `R:`), `installed-name`, `installed-mode`,
    `installed-digest`, `installed-twice`.  Of each record the first fault is reported, all records' faults together.
    """
    text = _decode(content)
    faults = FaultCollector.empty()
    packages: list[InstalledPackage] = []
    names: set[str] = set()
    for start, lines in _blocks(text):
        try:
            package = _Block(start, lines).package()
            if package.record.name in names:
                raise _fault(f"`{package.record.name}` is installed twice", "installed-twice", start)
            names.add(package.record.name)
            packages.append(package)
        except FormatError as error:
            faults.add(error)
    faults.raise_if_any()
    return tuple(packages)


def _decode(content: bytes) -> str:
    if b"\r" in content:
        line = 1 + content.count(b"\n", 0, content.index(b"\r"))
        raise _fault("a line holds a carriage return", "installed-line-ends", line)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _fault("the database is not UTF-8", "installed-not-utf8", 1 + content.count(b"\n", 0, error.start)) from None


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between empty lines, each with the number of its first line."""
    start, block = 1, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if line:
            if not block:
                start = number
            block.append(line)
        elif block:
            yield start, block
            block = []
    if block:
        yield start, block


def _fault(message: str, reason: str, line: int, package: str = "") -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(member="installed", line=line, package=package))


class _Block:
    """The lines of one record being read."""

    def __init__(self, start: int, lines: list[str]) -> None:
        self._start = start
        self._lines = lines
        self._fields: dict[str, str] = {}
        self._directories: dict[str, InstalledPath] = {}
        self._files: dict[str, InstalledPath] = {}
        self._folder: str | None = None
        self._file: str | None = None

    def package(self) -> InstalledPackage:
        """FormatError at the first line that breaks a rule."""
        for position, line in enumerate(self._lines):
            letter, value = line[0], line[2:]
            if line[1:2] != ":":
                raise self._at(position, f"{line[:60]!r} is not a line of the database", "installed-line")
            if letter in "FMRaZ":
                self._path_line(position, letter, value)
            elif letter not in _LETTERS and letter not in "Cg":
                raise self._at(position, f"the letter `{letter}` is not known", "installed-letter")
            elif letter in self._fields or self._folder is not None:
                raise self._at(position, f"`{letter}:` is out of place", "installed-line")
            else:
                self._fields[letter] = value
        return InstalledPackage(
            self._record(), tuple(self._directories.values()), tuple(self._files.values()), self._fields.get("g", "")
        )

    def _at(self, position: int, message: str, reason: str) -> FormatError:
        name = f"{self._fields.get('P', '')}-{self._fields.get('V', '')}"
        return _fault(message, reason, self._start + position, name)

    def _record(self) -> IndexRecord:
        for letter in "CPV":
            if not self._fields.get(letter):
                raise self._at(0, f"the record has no `{letter}:` line", "installed-field-missing")
        identity = identity_digest(self._fields["C"])
        if identity is None:
            raise self._at(0, f"`C:{self._fields['C']}` is not an identity", "installed-identity")
        values: dict[str, str | int] = {}
        for letter, field in _LETTERS.items():
            value = self._fields.get(letter, "")
            # apko writes empty lists in the form of its language.
            plain = "" if letter in _ITEMS and value == "[]" else value
            values[field] = self._number(letter, plain) if letter in _NUMBERS else plain
        return IndexRecord(identity=identity, **values)  # type: ignore[arg-type]

    def _number(self, letter: str, text: str) -> int:
        if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise self._at(0, f"`{letter}:{text[:40]}` is not a number", "installed-number")
        return int(text or 0)

    def _path_line(self, position: int, letter: str, value: str) -> None:
        if letter == "F":
            if value and fault(value):
                raise self._at(position, f"the directory {value!r} breaks the rule `{fault(value)}`", "installed-name")
            self._folder, self._file = value, None
            self._directories.setdefault(value, InstalledPath(value, _DIRECTORY_MODE))
        elif letter == "R":
            self._file = self._file_path(position, value)
            self._files[self._file] = InstalledPath(self._file, _FILE_MODE)
        elif letter == "M" and self._folder is not None and self._file is None:
            self._directories[self._folder] = self._acl(position, self._directories[self._folder], value)
        elif letter == "a" and self._file is not None:
            self._files[self._file] = self._acl(position, self._files[self._file], value)
        elif letter == "Z" and self._file is not None:
            digest = identity_digest(value)
            if digest is None:
                raise self._at(position, f"`Z:{value[:60]}` is not a digest", "installed-digest")
            self._files[self._file] = self._files[self._file]._replace(digest=digest)
        else:
            raise self._at(position, f"`{letter}:` is out of place", "installed-order")

    def _file_path(self, position: int, name: str) -> str:
        if self._folder is None:
            raise self._at(position, "`R:` stands before any `F:`", "installed-order")
        if fault(name) or "/" in name:
            raise self._at(position, f"the file name {name!r} breaks the rule `{fault(name) or 'name-slash'}`", "installed-name")
        path = f"{self._folder}/{name}" if self._folder else name
        if path in self._files:
            raise self._at(position, f"`{path}` stands twice", "installed-name")
        return path

    def _acl(self, position: int, path: InstalledPath, value: str) -> InstalledPath:
        match = _ACL.fullmatch(value)
        if match is None or int(match[3], 8) >= 0o10000:
            raise self._at(position, f"{value[:60]!r} is not `uid:gid:mode`", "installed-mode")
        xattrs = identity_digest(match[4]) if match[4] else b""
        return path._replace(uid=int(match[1]), gid=int(match[2]), mode=int(match[3], 8), xattrs=xattrs or b"")


def write_installed(packages: Iterable[InstalledPackage]) -> bytes:
    """The database as apk writes it: packages by name without regard to case, then bytewise; directories and files bytewise.

    A directory that `files` need but `directories` lack is added with mode 755.  FormatError `installed-field` when a field
    holds a control character or a path breaks a rule.
    """
    ordered = sorted(packages, key=lambda package: (package.record.name.lower(), package.record.name.encode()))
    return "".join([_format(package) for package in ordered]).encode()


def _format(package: InstalledPackage) -> str:
    record = package.record
    fields = [field for field in record if isinstance(field, str)]
    paths = [item.path for item in (*package.directories, *package.files)]
    bad = CONTROL.search("".join([*fields, package.tags])) or any(path and fault(path) for path in paths)
    if bad:
        message = "a field or path cannot stand in the database"
        raise FormatError(message, reason="installed-field", origin=Origin(package=record.name_version))
    lines = [format_record(record)]
    lines += [
        f"{letter}:{value}\n"
        for letter, value in (
            ("g", package.tags), ("r", record.replaces), ("q", record.replaces_priority), ("s", record.repository_tag),
            ("f", record.flags),
        )
        if value
    ]  # fmt: skip
    lines += _path_lines(package)
    return "".join([*lines, "\n"])


def _path_lines(package: InstalledPackage) -> Iterator[str]:
    directories = {item.path: item for item in package.directories}
    contents: dict[str, list[InstalledPath]] = {}
    for item in package.files:
        contents.setdefault(parent(item.path), []).append(item)
    for path in sorted(directories.keys() | contents.keys(), key=str.encode):
        yield f"F:{path}\n"
        if path in directories:
            yield _acl_line("M", directories[path], _DIRECTORY_MODE)
        for item in sorted(contents.get(path, ()), key=lambda file: file.path.encode()):
            yield f"R:{item.path.rpartition('/')[2]}\n"
            yield _acl_line("a", item, _FILE_MODE)
            if item.digest:
                yield f"Z:{identity_text(item.digest)}\n"


def _acl_line(letter: str, item: InstalledPath, usual: int) -> str:
    if (item.uid, item.gid, item.mode, item.xattrs) == (0, 0, usual, b""):
        return ""
    xattrs = f":{identity_text(item.xattrs)}" if item.xattrs else ""
    return f"{letter}:{item.uid}:{item.gid}:{item.mode:o}{xattrs}\n"
