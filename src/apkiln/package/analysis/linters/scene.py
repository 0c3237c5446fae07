"""What a linter looks at, and what it reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.package.analysis.finding import Row
from apkiln.package.analysis.tree import REGULAR, Tree
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.definition.parts import PackagePart

SBOM = "var/lib/db/sbom/"


@dataclass(frozen=True, slots=True)
class LintScene:
    """One package among those of its build."""

    tree: Tree
    part: PackagePart
    definition: PackageDefinition
    arch: Arch
    siblings: tuple[Tree, ...]
    """The other packages of the build."""
    depends: tuple[str, ...]
    """As the package will have them."""
    provides: tuple[str, ...]
    vendored: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all but directories, in the order of the walk."""
        return self.tree.others

    @property
    def name(self) -> str:
        return self.part.name

    def below(self, *directories: str) -> list[str]:
        """Paths of all but directories that begin with one of the texts."""
        return [path for path in self.files if path.startswith(directories)]

    def ending(self, suffix: str) -> list[str]:
        """Paths of all but directories that end so."""
        return [path for path in self.files if path.endswith(suffix)]

    def matching(self, pattern: re.Pattern[str], prefix: str = "") -> list[str]:
        """Paths of all but directories that match as a whole; `prefix`: what all of them begin with."""
        return [path for path in self.files if path.startswith(prefix) and pattern.fullmatch(path)]

    def others(self) -> Iterator[Entry]:
        """Entries of all but directories."""
        return (entry for entry in self.tree.entries if entry.type is not EntryType.DIRECTORY)

    def regular(self) -> Iterator[Entry]:
        return (entry for entry in self.tree.entries if entry.type in REGULAR)

    def is_one_of(self, *suffixes: str) -> bool:
        """Whether the package's name has one of the endings."""
        return self.name.endswith(suffixes)


class Report(NamedTuple):
    """What a linter found."""

    message: str
    """One sentence; the package is named beside it."""
    paths: tuple[str, ...] = ()
    rows_name: str = ""
    rows: tuple[Row, ...] = ()
    totals: Row = ()


class Default(Enum):
    """What becomes of a finding when nothing else is said."""

    REQUIRED = "required"
    WARNED = "warned"
    OFF = "off"


Check: TypeAlias = Callable[[LintScene], Iterable[Report]]


class Linter(NamedTuple):
    """One check under its name."""

    name: str
    default: Default
    check: Check
    explain: str
    """What to do about a finding."""


def listed(paths: Iterable[str], message: str) -> Iterator[Report]:
    """A report of paths, sorted; nothing when there are none."""
    found = tuple(sorted(paths))
    if found:
        yield Report(message, found)


def tabulated(rows: Iterable[Row], rows_name: str, message: str) -> Iterator[Report]:
    """A report of rows, each beginning with its path, sorted; nothing when there are none."""
    found = tuple(sorted(rows, key=lambda row: str(dict(row)["path"])))
    if found:
        yield Report(message, tuple(str(dict(row)["path"]) for row in found), rows_name, found)
