"""Dependencies that only maintainer scripts need, left out with a proof (spec debian.md §7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import Closure, Preferred, resolve_closure
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

    def covers(self, evidence: Evidence) -> bool:
        """Whether it speaks of this evidence."""
        inside = evidence.path == self.path or evidence.path.startswith(f"{self.path}/")
        return self.package == evidence.package and inside


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
    present: bool
    """Whether the closure still holds it."""
    dropped_for: tuple[str, ...]
    """Packages whose dependency on it is left out, sorted."""
    kept_for: tuple[str, ...]
    """Packages whose files reach into it, so that their dependency stays, sorted."""
    evidence: tuple[Evidence, ...]
    """For `kept_for`; at most `MAXIMUM_EVIDENCE`."""
    acknowledged: tuple[Evidence, ...]
    """Evidence set aside by an acknowledgement."""
    undeclared: tuple[Evidence, ...]
    """Uses by packages that declare no dependency on it (it may be Essential), when the closure does not hold it."""


@dataclass(frozen=True, slots=True)
class PruneRules:
    """What a person adds to the rules of this module."""

    keep: frozenset[str] = frozenset()
    """Packages that are never left out."""
    drop: frozenset[str] = frozenset()
    """Further packages that are left out where the proof holds."""
    acknowledged: tuple[Acknowledgement, ...] = ACKNOWLEDGED
    preferred: Preferred = field(default_factory=dict)
    """Alternatives that overrides take."""


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
    rules: PruneRules | None = None,
) -> Pruned:
    """Leave out every dependency on a package of the list that the dependent's own files give no evidence for.

    A dependency P → D is judged by the files of P and D alone, never by who else is in the closure: the same `.deb` gets the
    same dependencies in every import, and a package that uses D keeps its own dependency on it.  Uses that are declared
    nowhere are told, not repaired, as with all of Essential (§6).  `facts`: of every package of `full`.
    """
    given = rules or PruneRules()
    proof = _Proof(facts, given)
    closure = resolve_closure(snapshot, names, proof.may_drop, given.preferred)
    concerned = sorted({choice.provider for choice in full.choices} & (INSTALLER_ONLY | given.drop))
    return Pruned(closure, tuple(_decision(name, closure, proof, facts) for name in concerned))


def _decision(name: str, closure: Closure, proof: _Proof, facts: Mapping[str, PackageFacts]) -> PruneDecision:
    dropped = sorted({choice.package for choice in closure.dropped if choice.provider == name})
    kept = sorted({choice.package for choice in closure.choices if choice.provider == name})
    present = name in closure.names()
    silent = () if present else sorted(closure.names() - {*dropped, *kept, name})
    undeclared = [item for package in silent for item in proof.found(package, name).evidence]
    return PruneDecision(
        name,
        present,
        tuple(dropped),
        tuple(kept),
        tuple(item for package in kept for item in proof.found(package, name).evidence)[:MAXIMUM_EVIDENCE],
        tuple(item for package in (*dropped, *kept) for item in proof.found(package, name).acknowledged)[:MAXIMUM_EVIDENCE],
        tuple(undeclared[:MAXIMUM_EVIDENCE]),
    )


class _Found(NamedTuple):
    evidence: tuple[Evidence, ...]
    acknowledged: tuple[Evidence, ...]


class _Proof:
    """Evidence between pairs of packages, looked for once."""

    def __init__(self, facts: Mapping[str, PackageFacts], rules: PruneRules) -> None:
        self._facts = facts
        self._acknowledged = rules.acknowledged
        self._droppable = (INSTALLER_ONLY | rules.drop) - rules.keep
        self._pairs: dict[tuple[str, str], _Found] = {}
        self._reach: dict[str, _Reach] = {}

    def may_drop(self, package: BinaryPackage, provider: str) -> bool:
        """The `Drop` of `resolve_closure`."""
        return provider in self._droppable and not self.found(package.name, provider).evidence

    def found(self, package: str, provider: str) -> _Found:
        """Evidence in the files of `package` for `provider`."""
        pair = (package, provider)
        if pair not in self._pairs:
            self._pairs[pair] = self._look(self._facts[package], self._reach_of(provider))
        return self._pairs[pair]

    def _reach_of(self, provider: str) -> _Reach:
        if provider not in self._reach:
            self._reach[provider] = _Reach.of(self._facts[provider])
        return self._reach[provider]

    def _look(self, package: PackageFacts, reach: _Reach) -> _Found:
        own = set(package.paths)
        items = [
            Evidence(package.name, file.path, kind, text) for file in package.files for kind, text in reach.reached_by(file, own)
        ]
        aside = [any(note.covers(item) for note in self._acknowledged) for item in items]
        return _Found(
            tuple(item for item, noted in zip(items, aside, strict=True) if not noted),
            tuple(item for item, noted in zip(items, aside, strict=True) if noted),
        )


class _Reach(NamedTuple):
    """By what a package can be reached."""

    paths: frozenset[str]
    programs: frozenset[str]
    sonames: frozenset[str]

    @classmethod
    def of(cls, facts: PackageFacts) -> _Reach:
        paths = frozenset(path for path in facts.paths if not path.startswith(DOCUMENTATION))
        programs = frozenset(path.rpartition("/")[2] for path in paths if path.startswith(_PROGRAM_DIRECTORIES))
        return cls(paths, programs, frozenset(_sonames([facts])))

    def reached_by(self, file: FileFacts, own: set[str]) -> Iterator[tuple[str, str]]:
        """(kind, text) of everything in `file` that leads here; `own` paths of the file's package lead to itself."""
        for kind, names in (("library", file.needed), ("dlopen", file.sonames)):
            yield from ((kind, name) for name in names if name in self.sonames)
        for kind, words in (("interpreter", (file.interpreter,)), ("command", file.commands)):
            yield from ((kind, word) for word in words if word.rpartition("/")[2] in self.programs and not _ships(own, word))
        yield from (("path", path) for path in file.paths if path in self.paths and path not in own)


def _ships(own: set[str], word: str) -> bool:
    name = word.rpartition("/")[2]
    return any(f"{directory}{name}" in own for directory in _PROGRAM_DIRECTORIES)


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
