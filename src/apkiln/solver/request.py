"""What is asked of the solver, as plain values (spec apk.md §10.3)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.dependency import Dependency
from apkiln.formats.apk.records import IndexRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.solver.source import PackageSource


class Wish(IntFlag):
    """What is wanted of a package beyond satisfying the world."""

    NONE = 0
    UPGRADE = 1
    """Do not prefer the installed version."""
    AVAILABLE = 2
    """Prefer what a repository has, even when that is a downgrade (`upgrade --available`)."""
    REINSTALL = 4
    """Write the package again although it is installed (`fix`)."""
    LATEST = 8
    """The newest version, even when that makes the world unsatisfiable (`--latest`)."""
    REMOVE = 16
    """The package was named by `del`: the installed one is not preferred."""
    KEEP = 32
    """Prefer the installed version above all (`--ignore`, pre-upgrade)."""


class NamedWish(NamedTuple):
    """Wishes for every package that provides one name."""

    name: str
    wish: Wish
    inherited: Wish = Wish.NONE
    """The part that dependencies of the package inherit."""


@value
class SolverRepository:
    """One repository as the solver sees it."""

    records: Sequence[IndexRecord] | PackageSource
    """Records in index order, or a table over them."""
    number: int = 0
    """Place among the repository lines: the lower one wins ties (§10.4 row 14)."""
    tag: str = ""
    """Repository tag without `@`; empty = untagged."""
    reachable: bool = True
    """False when packages cannot be fetched from here (`--no-network` and not cached)."""
    name: str = ""
    """What people call it; only explanations show it."""


@value
class Request:
    """A world and the mode in which it is to be reached."""

    world: tuple[Dependency, ...]
    """A conjunction; its order has no meaning."""
    installed: tuple[IndexRecord, ...] = ()
    """The installed database; `repository_tag` and `flags` count."""
    cached: tuple[IndexRecord, ...] = ()
    """Packages at hand without any repository."""
    named: frozenset[str] = frozenset()
    """Names given on the command line: decided before the rest of the world."""
    tag_order: tuple[str, ...] = ()
    """A package that several allowed tags have is taken from the first of these, then of those of the repository lines."""
    wish: Wish = Wish.NONE
    """Wishes for every package."""
    wishes: tuple[NamedWish, ...] = ()
    strict_apk: bool = False
    """Stop where apk stops, and let record order decide ties as apk does (§10.6.7)."""
    drop_broken_world: bool = False
    """Drop world items that cannot be met (`--force-broken-world`)."""
    step_limit: int = 200_000
    """Decisions of the complete search before the verdict is `undecided`."""
    architectures: frozenset[str] = frozenset()
    """Accepted values of `A:` besides the root's own and `noarch`."""


def adding(world: Sequence[Dependency], installed: Sequence[IndexRecord] = ()) -> Request:
    """What `apk add` asks for that names the whole world, as on an empty root: its names are decided first."""
    return Request(tuple(world), tuple(installed), named=frozenset([item.name for item in world]))
