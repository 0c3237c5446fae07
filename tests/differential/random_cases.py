"""Random repositories, roots and commands in the shape of the recorded corpus (spec apk.md §14): one case a seed and family.

A case is a JSON object: `repos` (`tag`, `pkgs`), `installed`, `world`, `args`; a package is an object of index letters, with
`b` for the build.  Records are in canonical order (name, version, identity), as the comparison with apk needs (§10.7).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.conformance.suites.apk_random import record

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import sort_key
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

Package = dict[str, Any]
Case = dict[str, Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
OPERATORS = ("=", ">", ">=", "<", "<=", "~")
ODD_NAMES = ("A", "B2", "a+", "a.b", "a-b", "a_b", "lib-c++", "x86", "7z", "py3-Foo", "D-doc", "so:libx.so.1", "cmd:foo")


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a family draws from; shares are probabilities."""

    names: tuple[int, int] = (3, 8)
    most_versions: int = 4
    density: tuple[float, float] = (0.05, 0.4)
    """Of the possible dependencies of a package on another name."""
    constraints: float = 0.3
    """Share of dependencies with a version."""
    conflicts: float = 0.05
    versioned: float = 0.0
    """Share of packages with a versioned provide; likewise below."""
    shared: float = 0.0
    priority: float = 0.0
    install_if: float = 0.0
    own_names: float = 0.0
    """Share of provides that name a real package."""
    repositories: tuple[str, ...] = ("",)
    """Tags."""
    builds: float = 0.0
    """Share of packages of a further repository that are another build."""
    suffixes: bool = False
    """Versions with letters, suffixes and revisions."""
    odd_names: bool = False
    architectures: tuple[str, ...] = ()
    malformed: float = 0.0
    identity_pins: float = 0.0
    installed: float = 0.0
    """Share of cases that start from an installed set."""
    verbs: tuple[str, ...] = ("add",)
    repeated: float = 0.0
    """Share of worlds with several items on one name."""


FAMILIES: dict[str, Knobs] = {
    "add": Knobs(names=(3, 16)),
    "dense": Knobs(names=(3, 6), density=(0.3, 0.7), constraints=0.6, conflicts=0.15),
    "versions": Knobs(suffixes=True, constraints=0.7),
    "provides": Knobs(versioned=0.25, shared=0.25, priority=0.3, own_names=0.2),
    "conflict": Knobs(conflicts=0.3),
    "install-if": Knobs(install_if=0.4),
    "tags": Knobs(repositories=("", "edge", "test-ing"), builds=0.2),
    "repositories": Knobs(repositories=("", "", ""), builds=0.3, versioned=0.1),
    "arch": Knobs(architectures=("noarch", "aarch64", "all"), malformed=0.1, shared=0.1, install_if=0.1),
    "identity": Knobs(identity_pins=0.4, repositories=("", ""), builds=0.4),
    "odd-names": Knobs(odd_names=True, versioned=0.2, shared=0.2),
    "world": Knobs(repeated=0.6, conflicts=0.1),
    "mixed": Knobs(
        names=(3, 10), versioned=0.15, shared=0.15, priority=0.2, own_names=0.1, install_if=0.15, repositories=("", "edge", ""),
        builds=0.2, conflicts=0.1,
    ),
    "installed-add": Knobs(installed=1.0, repositories=("", "edge"), builds=0.1, shared=0.1, versioned=0.1, install_if=0.1),
    "upgrade": Knobs(installed=1.0, verbs=("upgrade",), builds=0.1, versioned=0.1, shared=0.1, priority=0.2, install_if=0.1),
    "del": Knobs(installed=1.0, verbs=("del",), versioned=0.1, shared=0.1, install_if=0.1),
    "fix": Knobs(installed=1.0, verbs=("fix",), builds=0.1, versioned=0.1, install_if=0.1),
}  # fmt: skip
ADD_ONLY = tuple(name for name, knobs in FAMILIES.items() if not knobs.installed)
STATEFUL = tuple(name for name, knobs in FAMILIES.items() if knobs.installed)
MALFORMED = ("=1", "!", "!=1", "a>", "a<x", "b=", "b@x", "b><x", "b><", "a<=>2", "v=v1", "a=1=")
OPTIONS = {
    "add": ((), (), (), ("-u",), ("-l",)),
    "upgrade": ((), (), ("-a",), ("-l",), ("--prune",), ("-a", "--prune"), ("-a", "-l"), ("--ignore",)),
    "del": ((), ("-r",)),
    "fix": ((), ("-d",), ("-r",), ("-u",), ("-d", "-u"), ("-r", "-u")),
}


def make_case(family: str, seed: int) -> Case:
    """The case of a family and seed; equal on every machine and run."""
    return _Maker(family, seed).case()


class _Maker:
    def __init__(self, family: str, seed: int) -> None:
        self.identifier = f"{family}-{seed}"
        self.knobs = FAMILIES[family]
        self.random = random.Random(self.identifier)
        count = self.random.randint(*self.knobs.names)
        self.names = list(self.random.sample(ODD_NAMES, count) if self.knobs.odd_names else LETTERS[:count])
        self.virtual = ["v", "w", "y"] if not self.knobs.odd_names else ["/bin/sh", "pc:x", "py3.10:m[x]"]
        self.density = self.random.uniform(*self.knobs.density)
        self.versions: dict[str, list[str]] = {}

    def chance(self, share: float) -> bool:
        return share > 0 and self.random.random() < share

    def case(self) -> Case:
        for name in self.names:
            self.versions[name] = self._versions()
        first = [self._package(name, version) for name in self.names for version in self.versions[name]]
        repositories = [{"tag": tag or None, "pkgs": canonical(self._listed(first, number))} for number, tag in self._tags()]
        world: list[str] = []
        installed: list[Package] = []
        if self.chance(self.knobs.installed):
            world, installed = self._installed(first, repositories)
        elif self.chance(0.3) or self.knobs.repeated:
            world = self._items(self.random.randint(1, 3))
        if self.chance(self.knobs.repeated):
            world += [self._item(self.random.choice(world).lstrip("!").rstrip("0123456789.<>=~")) for _ in range(2)]
        verb = self.random.choice(self.knobs.verbs)
        args = [verb, *self.random.choice(OPTIONS[verb]), *self._arguments(verb, world)]
        if not world and len(args) == 1:
            args.append(self.names[0])
        return {"id": self.identifier, "repos": repositories, "installed": installed, "world": world, "args": args}

    def _tags(self) -> list[tuple[int, str]]:
        further = list(self.knobs.repositories[1:])
        self.random.shuffle(further)
        return list(enumerate(["", *further[: self.random.randint(min(1, len(further)), len(further))]]))

    def _versions(self) -> list[str]:
        count = self.random.choice([1, 1, 2, 2, 3, self.knobs.most_versions])
        if not self.knobs.suffixes:
            return [str(number) for number in sorted(self.random.sample(range(1, 6), count))]
        return sorted({self._odd_version() for _ in range(count)}, key=lambda text: (sort_key(text), text))

    def _odd_version(self) -> str:
        parts = [self.random.choice(["0", "1", "01", "2", "10"])]
        parts += [
            "." + self.random.choice(["0", "00", "1", "01", "2", "9", "10"]) for _ in range(self.random.choice([0, 1, 1, 2]))
        ]
        parts.append(self.random.choice(["", "", "", "a", "b"]))
        suffixes = ["", "", "", "", "_alpha", "_rc1", "_pre2", "_git20", "_p1", "_p01", "_cvs", "_rc1_git2"]
        parts.append(self.random.choice(suffixes))
        parts.append(self.random.choice(["", "", "", "", "~ab", "~0f"]))
        parts.append(self.random.choice(["", "", "-r0", "-r1", "-r01", "-r10"]))
        return "".join(parts)

    def _package(self, name: str, version: str) -> Package:
        package: Package = {"P": name, "V": version}
        needs = [self._item(other) for other in self.names if other != name and self.chance(self.density)]
        if self.knobs.versioned or self.knobs.shared:
            needs += [self._item(virtual) for virtual in self.virtual if self.chance(self.density / 2)]
        if self.chance(self.knobs.malformed):
            needs.append(self.random.choice(MALFORMED))
        self.random.shuffle(needs)
        provides = self._provides(name)
        for letter, items in (("D", needs[:4]), ("p", provides), ("i", self._install_if(name))):
            if items:
                package[letter] = " ".join(items)
        if self.chance(self.knobs.priority):
            package["k"] = self.random.choice([1, 5, 10])
        if self.knobs.architectures and self.chance(0.3):
            package["A"] = self.random.choice(self.knobs.architectures)
        return package

    def _provides(self, name: str) -> list[str]:
        names = [other for other in (self.names if self.chance(self.knobs.own_names) else self.virtual) if other != name]
        provides = []
        if names and self.chance(self.knobs.versioned):
            provides.append(f"{self.random.choice(names)}={self.random.randint(1, 3)}")
        if names and self.chance(self.knobs.shared):
            provides.append(self.random.choice(names))
        if self.chance(self.knobs.malformed):
            provides.append(self.random.choice(("v=v1", "v=1.0_x", "v=", "=1", "!v", "v>1", "v@x")))
        return provides

    def _install_if(self, name: str) -> list[str]:
        if not self.chance(self.knobs.install_if):
            return []
        others = [other for other in self.names if other != name]
        items = [self._item(other) for other in self.random.sample(others, min(len(others), self.random.randint(1, 2)))]
        if self.chance(self.knobs.malformed):
            items.append(self.random.choice(MALFORMED))
        return items

    def _item(self, name: str) -> str:
        mark = "!" if self.chance(self.knobs.conflicts) else ""
        if not self.chance(self.knobs.constraints):
            return mark + name
        versions = self.versions.get(name) or ["1", "2", "3"]
        operator = self.random.choice(OPERATORS)
        version = self.random.choice(versions)
        impossible = (operator == ">" and version == versions[-1]) or (operator == "<" and version == versions[0])
        if impossible and self.chance(0.7):
            operator += "="
        if operator == "~" and self.knobs.suffixes and self.chance(0.5):
            version = version.partition(".")[0].partition("_")[0].partition("~")[0].partition("-")[0].rstrip("ab")
        return f"{mark}{name}{operator}{version}"

    def _items(self, count: int) -> list[str]:
        """World items of different names, tags and identities among them."""
        pool = list(self.names)
        if self.knobs.versioned or self.knobs.shared:
            pool += self.virtual[:1]
        return [self._world_item(name) for name in self.random.sample(pool, min(count, len(pool)))]

    def _world_item(self, name: str) -> str:
        if self.chance(self.knobs.identity_pins) and self.versions.get(name):
            row = {"P": name, "V": self.random.choice(self.versions[name]), "b": self.random.choice([0, 0, 1])}
            return f"{name}><X1{record(row).identity.hex()}"
        item = self._item(name)
        tags = [tag for tag in self.knobs.repositories if tag]
        if tags and not item.startswith("!") and self.chance(0.3):
            return item.replace(name, f"{name}@{self.random.choice(tags)}", 1)
        return item

    def _listed(self, packages: list[Package], number: int) -> list[Package]:
        """What a repository has: the first one all in a case of one repository, else a part, some of it built anew."""
        if len(self.knobs.repositories) == 1 and not self.knobs.installed:
            return packages
        listed = []
        for package in packages:
            if self.chance(0.15):
                continue
            copy = dict(package)
            if self.chance(self.knobs.builds):
                copy["b"] = number + 1
            listed.append(copy)
        return listed

    def _installed(self, packages: list[Package], repositories: list[dict[str, Any]]) -> tuple[list[str], list[Package]]:
        """A world and a set that satisfies it, from an older state of the repositories: some packages have no newer version
        yet, some are from nowhere, some are broken."""
        older = [dict(package) for package in packages if self.chance(0.7)]
        by_identity = {record(package).identity: package for package in older}
        for _ in range(4):
            world = self._items(self.random.randint(1, 4))
            tags = {item.partition("@")[2].rstrip("0123456789.<>=~") for item in world if "@" in item}
            records = [record(package) for package in canonical(older)]
            sources = [
                SolverRepository(records),
                *(SolverRepository(records, number + 1, tag) for number, tag in enumerate(tags)),
            ]
            try:
                found = solve(sources, Request(parse_dependencies(" ".join(world))), Arch.parse("x86_64"))
            except ApkilnError:
                continue
            chosen = [by_identity[item.record.identity] for item in found.packages]
            known = {repository["tag"] for repository in repositories}
            kept = [item for item in world if "@" not in item or item.partition("@")[2].rstrip("0123456789.<>=~") in known]
            return kept, self._worn(canonical(chosen))
        return [], []

    def _worn(self, packages: list[Package]) -> list[Package]:
        worn = []
        for package in packages:
            copy = dict(package)
            if "fix" in self.knobs.verbs and self.chance(0.3):
                copy["f"] = self.random.choice(["f", "s", "x", "fs"])
            if self.chance(0.05):
                continue
            worn.append(copy)
        if self.chance(0.15):
            worn = canonical([*worn, {"P": "orphan", "V": "1"}])
        return worn

    def _arguments(self, verb: str, world: list[str]) -> list[str]:
        named = [item.lstrip("!").partition("@")[0].rstrip("0123456789.<>=~") for item in world]
        match verb:
            case "add":
                return self._items(self.random.randint(0 if world else 1, 3))
            case "upgrade":
                return self.random.sample(self.names, 1) if self.chance(0.25) else []
            case "del":
                pool = named if named and self.chance(0.9) else self.names
                return self.random.sample(pool, min(len(pool), self.random.choice([1, 1, 2])))
            case _:
                return self.random.sample(self.names, 1) if self.chance(0.5) else []


def canonical(packages: list[Package]) -> list[Package]:
    """By name (bytewise), version, identity; one of each identity."""

    def order(package: Package) -> tuple[bytes, bytes, str, bytes]:
        row: IndexRecord = record(package)
        return row.name.encode(), sort_key(row.version), row.version, row.identity

    return sorted({record(package).identity: package for package in packages}.values(), key=order)
