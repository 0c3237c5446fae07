"""What generators add to, and what they may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from apkiln.package.analysis.rules import AnalysisRules
from apkiln.package.analysis.tree import Tree
from apkiln.package.definition.parts import PackagePart


@dataclass(slots=True)
class Relations:
    """Relations found so far."""

    depends: set[str] = field(default_factory=set)
    provides: set[str] = field(default_factory=set)
    vendored: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    """Remarks on files that could not be understood, in the order of the walk."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One package among those of its build."""

    tree: Tree
    part: PackagePart
    version: str
    """Full version of every package of the build."""
    siblings: tuple[Tree, ...]
    """All packages of the build, this one included."""
    guest_provides: Callable[[str], str]
    """Name of a provide → its version among the packages of the guest; empty when there is none."""
    rules: AnalysisRules

    def declares(self, test: Callable[[str], bool]) -> bool:
        """Whether some declared dependency passes a test."""
        return any(test(item.text) for item in self.part.dependencies.runtime)


Generator: TypeAlias = Callable[[Scene, Relations], None]
