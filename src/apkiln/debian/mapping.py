"""Fields and relations of a Debian package in apk's terms (spec debian.md §3, §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apkiln.core.arch import from_debian
from apkiln.core.errors import ConfigurationError, InputError
from apkiln.core.origin import Origin
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import Choice
from apkiln.debian.facts import PackageFacts
from apkiln.debian.ledger import ANCHOR, PACKAGE, Ledger
from apkiln.debian.override_file import NO_OVERRIDES, Overrides
from apkiln.debian.snapshot import Snapshot
from apkiln.formats.deb.copyright import licence_reference
from apkiln.formats.deb.relations import Relation

MAPPING_VERSION = 5
"""Raise it when the same input gives other fields: cached imports are then not used."""
REPLACING_PRIORITY = 100
"""`replaces_priority` of a package that takes over files of one it can be installed with."""

OWNING_PRIORITY = 10
"""`replaces_priority` of a package whose script sets owners or modes: of shared directories its own count."""

_OPERATORS = {"": "", "<<": "<", "<=": "<=", "=": "=", ">=": ">=", ">>": ">"}


@dataclass(frozen=True, slots=True)
class MappedPackage:
    """Everything of a `.PKGINFO` that does not come from the files."""

    name: str
    version: str
    """apk version."""
    arch: str
    """apk name."""
    description: str
    url: str
    maintainer: str
    licence: str
    origin: str
    depends: tuple[str, ...]
    """Conflicts included, as `!name…`; sorted."""
    provides: tuple[str, ...]
    replaces: tuple[str, ...]
    replaces_priority: int
    provider_priority: int
    """0 = none."""
    comments: tuple[str, ...]
    """Raw Debian values that apk has no field for."""
    install_if: tuple[str, ...] = ()
    """What brings the package in by itself."""


@dataclass(frozen=True, slots=True)
class MappingResult:
    """A mapped package and what was left out of it."""

    package: MappedPackage
    unknown: int
    """Conflicts and Replaces with names outside the snapshot."""
    notes: tuple[str, ...]


class Mapper:
    """Maps packages of one snapshot; grows the ledger by the versions it meets."""

    def __init__(
        self, snapshot: Snapshot, ledger: Ledger, facts: Mapping[str, PackageFacts], overrides: Overrides = NO_OVERRIDES
    ) -> None:
        self._snapshot = snapshot
        self._ledger = ledger
        self._facts = facts
        self._licences = dict(overrides.licences)
        self._priorities = dict(overrides.priorities)
        self._enhances = dict(overrides.enhances)

    def seed(self, packages: Iterable[BinaryPackage]) -> None:
        """Give the ledger every version the snapshot holds of these packages and every version their relations name, each
        name from its lowest version up, so that labels are natural and independent of the order of packages."""
        seen: dict[str, dict[str, str]] = {}
        for package in packages:
            own = seen.setdefault(package.name, {})
            own.update((item.version, PACKAGE) for item in self._snapshot.versions(package.name))
            for name, version in package.provides:
                if version:
                    seen.setdefault(name, {})[version] = PACKAGE
            for group in (*package.depends, *package.conflicts, *package.replaces, *package.enhances):
                for relation in group:
                    if relation.version:
                        seen.setdefault(relation.name, {}).setdefault(relation.version, ANCHOR)
        for name in sorted(seen):
            self._ledger.seed(name, seen[name])

    def map(self, package: BinaryPackage, choices: Iterable[Choice], layout: str = "") -> MappingResult:
        """Map one package with the dependencies chosen for it; `layout` is a further dependency.

        Raises InputError (`unknown-architecture`), VersionGapError, FormatError (`version-syntax`), ConfigurationError
        (`not-enhanced`).
        """
        notes: list[str] = []
        depends = {self.dependency(choice) for choice in choices if choice.provider != package.name}
        excluded = [item for group in package.conflicts for item in group if self._is_exclusion(item)]
        conflicts, unknown_conflicts = self._relations(package, excluded)
        replaces, unknown_replaces = self._relations(package, (item for group in package.replaces for item in group))
        mapped = MappedPackage(
            name=package.name,
            version=self._ledger.assign(package.name, package.version),
            arch=_arch(package),
            description=_one_line(package.description),
            url=_one_line(package.homepage),
            maintainer=_one_line(package.maintainer),
            licence=self._licence(package.name),
            origin=package.source,
            depends=tuple(sorted(depends | {f"!{text}" for text in conflicts} | ({layout} if layout else set()))),
            provides=self._provides(package, notes),
            replaces=replaces,
            replaces_priority=self._priority(package),
            provider_priority=self._priorities.get(package.name, 0),
            comments=_comments(package),
            install_if=self._install_if(package),
        )
        return MappingResult(mapped, unknown_conflicts + unknown_replaces, tuple(notes))

    def dependency(self, choice: Choice) -> str:
        """A group met by a provider of a virtual name depends on that provider: apk picks none by itself (§5.3)."""
        return self._relation(choice.relation) if choice.provider == choice.relation.name else choice.provider

    def _relation(self, relation: Relation) -> str:
        if not relation.operator:
            return relation.name
        return f"{relation.name}{_OPERATORS[relation.operator]}{self._ledger.assign(relation.name, relation.version, ANCHOR)}"

    def _relations(self, package: BinaryPackage, relations: Iterable[Relation]) -> tuple[tuple[str, ...], int]:
        """(items whose name the snapshot knows, sorted; number of others).  The package's own name says nothing."""
        items: set[str] = set()
        unknown = 0
        for relation in relations:
            if relation.name == package.name:
                continue
            if self._snapshot.knows(relation.name):
                items.add(self._relation(relation))
            else:
                unknown += 1
        return tuple(sorted(items)), unknown

    def _priority(self, package: BinaryPackage) -> int:
        """§5.5; and a package whose script gives a directory its owner has more to say about it than one that only ships it."""
        if _takes_over(package, self._snapshot):
            return REPLACING_PRIORITY
        facts = self._facts.get(package.name)
        return OWNING_PRIORITY if facts is not None and _owns_directories(facts) else 0

    def _install_if(self, package: BinaryPackage) -> tuple[str, ...]:
        """The one relation of `Enhances` that an override picks: apk's list means all of its items, Debian's any of them."""
        wanted = self._enhances.get(package.name)
        if wanted is None:
            return ()
        for group in package.enhances:
            for relation in group:
                if relation.name == wanted:
                    return (self._relation(relation),)
        raise ConfigurationError(
            f"`{package.name}` does not enhance `{wanted}`",
            reason="not-enhanced",
            origin=Origin(package=package.name),
            hint="take it out of `enhances` in the override file",
        )

    def _is_exclusion(self, relation: Relation) -> bool:
        """Whether a conflict may be carried over.

        apk takes an unversioned provide for lower than every version, so `!x<2` would also exclude packages that provide `x` in
        a form without version.  Debian's versioned conflicts do not concern those: where there are some, the conflict is kept
        only when the suite's own `x` is meant.
        """
        if relation.operator not in ("<<", "<="):
            return True
        providers = self._snapshot.providers(relation.name)
        real = self._snapshot.candidate(relation.name)
        sole = (
            len(providers) == 1
            and real is None
            and all(version for name, version in providers[0].provides if name == relation.name)
        )
        return not providers or sole or (real is not None and relation.allows(real.version))

    def _provides(self, package: BinaryPackage, notes: list[str]) -> tuple[str, ...]:
        """§5.3: a version makes a provide exclusive in apk, so only a sole provider keeps it."""
        items: set[str] = set()
        shared: list[str] = []
        for name, version in package.provides:
            if name == package.name:
                continue
            if not version:
                items.add(name)
            elif self._is_provided_by_others(name, package.name):
                items.add(name)
                shared.append(name)
            else:
                items.add(f"{name}={self._ledger.assign(name, version)}")
        if shared:
            names = ", ".join(f"`{name}`" for name in shared[:3]) + (f" and {len(shared) - 3} more" if len(shared) > 3 else "")
            notes.append(f"others provide {names} too, so the version is left out (PROVIDE_EXCLUSIVE)")
        return tuple(sorted(items))

    def _is_provided_by_others(self, name: str, package: str) -> bool:
        return self._snapshot.candidate(name) is not None or any(item.name != package for item in self._snapshot.providers(name))

    def _licence(self, name: str) -> str:
        if name in self._licences:
            return self._licences[name]
        facts = self._facts.get(name)
        seen = {name}
        while facts is not None and not facts.licence and facts.licence_package not in ("", *seen):
            seen.add(facts.licence_package)
            name = facts.licence_package
            facts = self._facts.get(name)
        if facts is not None and facts.licence:
            return facts.licence
        return licence_reference(name)


def _owns_directories(facts: PackageFacts) -> bool:
    """Whether a step gives a directory an owner or a mode."""
    files = set(facts.paths)
    for step in facts.translation.steps:
        if step.verb in ("file", "link"):
            files.add(step.arguments[0])
        elif step.verb in ("copy", "move"):
            files.add(step.arguments[1])
    return any(
        step.verb == "owners" or (step.verb in ("owner", "mode") and step.arguments[0] not in files)
        for step in facts.translation.steps
    )


def _arch(package: BinaryPackage) -> str:
    if package.architecture == "all":
        return "noarch"
    arch = from_debian(package.architecture)
    if arch is None:
        message = f"apk has no architecture for `{package.architecture}`"
        raise InputError(message, reason="unknown-architecture", origin=Origin(package=package.name))
    return arch.apk


def _takes_over(package: BinaryPackage, snapshot: Snapshot) -> bool:
    """Whether the package replaces files of one that it does not conflict with (§5.5)."""
    conflicting = {item.name for group in package.conflicts for item in group}
    replaced = {item.name for group in package.replaces for item in group} - conflicting - {package.name}
    return any(snapshot.candidate(name) is not None for name in replaced)


def replaces_cycles(packages: Iterable[BinaryPackage]) -> tuple[tuple[str, str], ...]:
    """Pairs of packages that replace each other's files, sorted (REPLACES_CYCLE)."""
    replaced = {package.name: {item.name for group in package.replaces for item in group} for package in packages}
    pairs = ((name, other) for name, others in replaced.items() for other in others if name < other)
    return tuple(sorted((name, other) for name, other in pairs if name in replaced.get(other, ())))


def _one_line(text: str) -> str:
    """White space collapsed, control characters gone: `.PKGINFO` is a text of lines."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


def _comments(package: BinaryPackage) -> tuple[str, ...]:
    return (
        f"deb-version = {package.version}",
        f"deb-architecture = {package.architecture}",
        f"deb-source = {package.source}",
        f"deb-source-version = {package.source_version}",
        f"deb-sha256 = {package.sha256}",
    )
