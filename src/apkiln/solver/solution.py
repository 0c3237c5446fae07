"""What the solver answers: an ordered list of changes and the set of packages they lead to (spec apk.md §10.5)."""

from __future__ import annotations

from enum import Enum

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.dependency import Dependency
from apkiln.formats.apk.records import IndexRecord


class ChangeKind(Enum):
    """The value is the word apk prints."""

    INSTALL = "Installing"
    UPGRADE = "Upgrading"
    DOWNGRADE = "Downgrading"
    REPLACE = "Replacing"
    REINSTALL = "Reinstalling"
    RETAG = "Updating"
    PURGE = "Purging"


class SelectedPackage(NamedTuple):
    """A package of the solution and where it comes from."""

    record: IndexRecord
    repository: int
    """Number of the repository it is taken from; -1 when no repository has it (installed or cached only)."""
    tag: str = ""
    """Tag of that repository when the package is pinned to it."""


class Change(NamedTuple):
    """One step of the transaction."""

    kind: ChangeKind
    old: IndexRecord | None
    """The installed record it starts from; None for INSTALL."""
    new: SelectedPackage | None
    """None for PURGE."""

    @property
    def name(self) -> str:
        record = self.new.record if self.new else self.old
        assert record is not None, "a change has an old or a new side"
        return record.name


class LeftOut(NamedTuple):
    """A package whose install_if was met and that was left out because the rest would fail with it (§10.6.3)."""

    record: IndexRecord
    reason: str
    """What speaks against it, in one phrase; empty when only apk's order of decisions did."""


@value
class Statistics:
    """How much work an answer took."""

    names: int = 0
    """Names discovered."""
    packages: int = 0
    """Packages looked at."""
    decisions: int = 0
    """Decisions of the accepted run."""
    search_steps: int = 0
    """Decisions of the complete search; 0 when the fast path answered."""


@value
class Solution:
    """A satisfied world."""

    world: tuple[Dependency, ...]
    """The world it satisfies, sorted by name (§10.2 step 1); shorter than the request's when broken items were dropped."""
    changes: tuple[Change, ...]
    """In the order of the transaction: dependencies before dependants."""
    packages: tuple[SelectedPackage, ...]
    """Every package present afterwards, by name."""
    left_out: tuple[LeftOut, ...] = ()
    statistics: Statistics = Statistics()
