"""What licence files say against what a definition says (spec package.md §15.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.package.definition.model import Copyright
from apkiln.package.licences.classifying import Match

NO_ASSERTION = "NOASSERTION"
_OPERATOR = re.compile(r"\s+(?:AND|OR)\s+")
_VARIANT = re.compile(r"(-only|-or-later|\+)$")
_NOT_PERMISSIVE = ("AGPL-", "GPL-", "LGPL-", "GFDL-", "OSL-", "SSPL-", "EUPL-", "CPAL-", "QPL-", "RPL-", "Sleepycat", "CC-BY-NC")


class LicenceFile(NamedTuple):
    """One file and the licences that are certainly in it."""

    path: str
    matches: tuple[Match, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(match.name for match in self.matches) or (NO_ASSERTION,)


class Difference(NamedTuple):
    """One way in which definition and files disagree."""

    kind: str
    """`not-found`: declared, in no file; `not-declared`: in a file, not declared; `stale-override`: the file has another
    licence than the override says; `missing-file`: there is no file at `license-path`."""
    licence: str
    path: str
    origin: Origin


class Comparison(NamedTuple):
    """The whole answer."""

    differences: tuple[Difference, ...]
    not_permissive: tuple[str, ...]
    """Licences found that ask more of those who pass the software on than to keep a notice."""


def declared_names(expression: str) -> tuple[str, ...]:
    """The licences of an expression, without `AND`, `OR` and parentheses; exceptions stay with their licence."""
    return tuple(name.strip(" ()") for name in _OPERATOR.split(expression.strip()) if name.strip(" ()"))


def short_name(name: str) -> str:
    """A name as texts tell it: without `-only`, `-or-later`, `+` and an exception."""
    return _VARIANT.sub("", name.partition(" WITH ")[0].strip())


def compare(entries: Iterable[Copyright], files: Iterable[LicenceFile]) -> Comparison:
    """`entries`: of an evaluated definition; `files`: all that were found, with those of every `license-path`."""
    entries, files = tuple(entries), tuple(files)
    found: dict[str, str] = {}
    for file in files:
        for name in _standing_for(file, entries):
            found.setdefault(short_name(name), file.path)
    found.pop(NO_ASSERTION, None)
    declared = {short_name(name): entry for entry in entries for name in declared_names(entry.license.text)}
    differences = [*_stale(entries, files)]
    differences += [Difference("not-found", name, "", _place(entry)) for name, entry in declared.items() if name not in found]
    nowhere = entries[0].origin if entries else Origin()
    differences += [Difference("not-declared", name, path, nowhere) for name, path in found.items() if name not in declared]
    names = sorted({name for file in files for name in file.names if name.startswith(_NOT_PERMISSIVE)})
    return Comparison(tuple(differences), tuple(names))


def _standing_for(file: LicenceFile, entries: tuple[Copyright, ...]) -> tuple[str, ...]:
    """What a file counts as: an entry of its path may say that what is detected stands for its own licence."""
    for entry in entries:
        if entry.detection_override and entry.license_path.text == file.path and _is_meant(entry.detection_override, file):
            return declared_names(entry.license.text)
    return file.names


def _is_meant(override: str, file: LicenceFile) -> bool:
    return short_name(override) in {short_name(name) for name in file.names}


def _stale(entries: tuple[Copyright, ...], files: tuple[LicenceFile, ...]) -> Iterator[Difference]:
    known = {file.path: file for file in files}
    for entry in entries:
        path = entry.license_path.text
        if path and path not in known:
            yield Difference("missing-file", entry.license.text, path, _place(entry))
        elif path and entry.detection_override and not _is_meant(entry.detection_override, known[path]):
            yield Difference("stale-override", ", ".join(known[path].names), path, _place(entry))


def _place(entry: Copyright) -> Origin:
    return entry.license.origin if entry.license.text else entry.origin


_SAID = {
    "not-found": "{licence} is declared, and in no licence file",
    "not-declared": "{licence} is in {path}, and not declared",
    "stale-override": "{path} holds {licence}, not what `detection-override` says",
    "missing-file": "there is no file {path}",
}


def lines(comparison: Comparison) -> tuple[str, ...]:
    """The differences, one line each, with their places."""
    return tuple(
        f"{one.origin}: " * bool(one.origin.line) + _SAID[one.kind].format(licence=one.licence, path=one.path)
        for one in comparison.differences
    )
