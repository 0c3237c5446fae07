"""Dependencies that only maintainer scripts need, left out with a proof (spec debian.md §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import Closure, Drop, resolve_closure
from apkiln.debian.facts import DOCUMENTATION, FileFacts, PackageFacts
from apkiln.debian.snapshot import Snapshot

RULES_VERSION = 1
"""Version of the proof's rules, recorded with every decision."""

INSTALLER_ONLY = frozenset(
    {
        "dpkg", "debconf", "debconf-2.0", "cdebconf", "perl-base", "init-system-helpers", "ucf", "adduser", "lsb-base",
        "sysvinit-utils", "update-inetd", "dictionaries-common", "iproute2", "install-info", "mawk", "original-awk", "gawk",
    }
)  # fmt: skip
"""Packages that may be left out when the proof holds.  The awks are here for base-files, which needs one only to be set up."""

MAXIMUM_EVIDENCE = 20
"""Items of evidence recorded per kept package."""

_PROGRAM_DIRECTORIES = ("usr/bin/", "usr/sbin/", "usr/games/", "usr/local/bin/")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Evidence that a person has read and found to be none."""

    package: str
    """Package whose file holds it."""
    path: str
    """File, or a directory with everything below it."""
    reason: str


ACKNOWLEDGED = (
    Acknowledgement("python3-minimal", "usr/bin/py3clean", "run by maintainer scripts to remove compiled files"),
    Acknowledgement("python3-minimal", "usr/bin/py3compile", "run by maintainer scripts to compile files"),
    Acknowledgement("python3-minimal", "usr/share/python3/debpython", "modules of py3clean and py3compile"),
    Acknowledgement("python3", "usr/share/python3", "run by maintainer scripts when the default version changes"),
    Acknowledgement("libpython3.11-stdlib", "usr/lib/python3.11/sysconfig", "names paths of a Debian system as data"),
)
"""Reviewed once for the packages of the distribution itself."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a package may still be needed."""

    package: str
    path: str
    """File that needs it."""
    kind: str
    """`library`, `dlopen`, `interpreter`, `command` or `path`."""
    text: str


@dataclass(frozen=True, slots=True)
class PruneDecision:
    """What was decided about one package of the list."""

    package: str
    dropped: bool
    dependents: tuple[str, ...]
    """Packages of the closure that declare a dependency on it, sorted."""
    evidence: tuple[Evidence, ...]
    """For a package that is kept; at most `MAXIMUM_EVIDENCE`."""
    acknowledged: tuple[Evidence, ...]
    """Evidence set aside by an acknowledgement."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A closure without installer-only packages, and the reasons."""

    closure: Closure
    decisions: tuple[PruneDecision, ...]
    """By package name."""


def prune_installer(
    snapshot: Snapshot,
    names: tuple[str, ...],
    full: Closure,
    facts: Mapping[str, PackageFacts],
    acknowledged: tuple[Acknowledgement, ...] = ACKNOWLEDGED,
) -> Pruned:
    """Leave out every package of the list for which the proof holds over all that remains.

    Begins with all candidates left out; one with evidence against it comes back, with all it needs, and the rest is looked
    at again, until nothing changes.  `names` themselves are never left out.  `facts`: of every package of `full`.  Cost: one
    look at all facts per round.
    """
    candidates = frozenset(package.name for package in full.packages) & INSTALLER_ONLY - frozenset(names)
    refused: dict[str, list[Evidence]] = {}
    while True:
        left_out = candidates - frozenset(refused)
        closure = resolve_closure(snapshot, names, _drop(left_out))
        found = _Search(facts, closure, left_out, acknowledged).run()
        against = {name: items for name, items in found.items() if items.evidence}
        if not against:
            decisions = (_decision(name, full, left_out, refused.get(name, []), found.get(name)) for name in sorted(candidates))
            return Pruned(closure, tuple(decisions))
        refused.update({name: items.evidence for name, items in against.items()})


def _drop(names: frozenset[str]) -> Drop:
    def leave_out(package: BinaryPackage, provider: str) -> bool:
        return provider in names

    return leave_out


def _decision(
    name: str, full: Closure, left_out: frozenset[str], evidence: list[Evidence], found: _Found | None
) -> PruneDecision:
    dependents = sorted({choice.package for choice in full.choices if choice.provider == name})
    acknowledged = tuple(islice(found.acknowledged, MAXIMUM_EVIDENCE)) if found else ()
    return PruneDecision(name, name in left_out, tuple(dependents), tuple(evidence[:MAXIMUM_EVIDENCE]), acknowledged)


@dataclass(slots=True)
class _Found:
    evidence: list[Evidence]
    acknowledged: list[Evidence]


class _Search:
    """Looks through the files of a closure for anything that reaches into packages left out."""

    def __init__(
        self,
        facts: Mapping[str, PackageFacts],
        closure: Closure,
        left_out: frozenset[str],
        acknowledged: tuple[Acknowledgement, ...],
    ) -> None:
        self._remaining = [facts[package.name] for package in closure.packages]
        self._acknowledged = acknowledged
        there = {path for item in self._remaining for path in item.paths}
        there_sonames = _sonames(self._remaining)
        dropped = [facts[name] for name in sorted(left_out)]
        self._paths = {path: item.name for item in dropped for path in _tellable(item) if path not in there}
        self._programs = {
            path.rpartition("/")[2]: owner for path, owner in self._paths.items() if path.startswith(_PROGRAM_DIRECTORIES)
        }
        self._programs = {name: owner for name, owner in self._programs.items() if not _is_program(name, there)}
        self._sonames = {soname: item.name for item in dropped for soname in _sonames([item]) if soname not in there_sonames}
        self._found: dict[str, _Found] = {}

    def run(self) -> dict[str, _Found]:
        """Evidence by name of the package left out."""
        for item in self._remaining:
            for file in item.files:
                for kind, text, owner in self._reaches(file):
                    self._record(owner, Evidence(item.name, file.path, kind, text))
        return self._found

    def _reaches(self, file: FileFacts) -> Iterable[tuple[str, str, str]]:
        for kind, names in (("library", file.needed), ("dlopen", file.sonames)):
            yield from ((kind, name, self._sonames[name]) for name in names if name in self._sonames)
        if file.interpreter:
            yield from self._program("interpreter", file.interpreter)
        for command in file.commands:
            yield from self._program("command", command)
        yield from (("path", path, self._paths[path]) for path in file.paths if path in self._paths)

    def _program(self, kind: str, word: str) -> Iterable[tuple[str, str, str]]:
        name = word.rpartition("/")[2]
        if name in self._programs:
            yield kind, word, self._programs[name]

    def _record(self, owner: str, evidence: Evidence) -> None:
        found = self._found.setdefault(owner, _Found([], []))
        acknowledged = any(
            item.package == evidence.package and (evidence.path == item.path or evidence.path.startswith(f"{item.path}/"))
            for item in self._acknowledged
        )
        (found.acknowledged if acknowledged else found.evidence).append(evidence)


def _sonames(packages: Iterable[PackageFacts]) -> set[str]:
    """Names under which libraries can be found: sonames, and file names of libraries without one."""
    return {
        name
        for item in packages
        for file in item.files
        if file.kind == "elf"
        for name in (file.soname, file.path.rpartition("/")[2])
        if name
    }


def _tellable(item: PackageFacts) -> Iterable[str]:
    return (path for path in item.paths if not path.startswith(DOCUMENTATION))


def _is_program(name: str, paths: set[str]) -> bool:
    return any(f"{directory}{name}" in paths for directory in _PROGRAM_DIRECTORIES)


def unresolved_libraries(facts: Iterable[PackageFacts]) -> tuple[tuple[str, str, str], ...]:
    """(package, file, library) of every needed library that nothing in the set provides, sorted (SO_UNRESOLVED)."""
    packages = list(facts)
    there = _sonames(packages)
    links = {path.rpartition("/")[2] for item in packages for path in item.paths}
    return tuple(
        sorted(
            (item.name, file.path, name)
            for item in packages
            for file in item.files
            for name in file.needed
            if name not in there and name not in links
        )
    )


def missing_interpreters(facts: Iterable[PackageFacts]) -> tuple[tuple[str, str, str], ...]:
    """(package, file, interpreter) of every script or program whose interpreter nothing provides, sorted (INTERPRETER_MISSING).

    Modules without a `#!` line are not counted: they are loaded by a program that is there already.
    """
    packages = list(facts)
    there = {path for item in packages for path in item.paths}
    programs = {path.rpartition("/")[2] for path in there if path.startswith(_PROGRAM_DIRECTORIES)}
    return tuple(
        sorted(
            (item.name, file.path, file.interpreter)
            for item in packages
            for file in item.files
            if file.kind in ("script", "elf") and file.interpreter and not _interpreter_there(file.interpreter, there, programs)
        )
    )


def _interpreter_there(interpreter: str, there: set[str], programs: set[str]) -> bool:
    # The loader's own path and links of the base layout are found by name: packages are rewritten to `usr`.
    path = interpreter.lstrip("/")
    return path in there or f"usr/{path}" in there or interpreter.rpartition("/")[2] in programs
