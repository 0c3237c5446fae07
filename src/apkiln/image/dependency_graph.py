"""Why each package of an image is there: who asks for what, and which package answers (spec image.md §3 `why`, `dot`).  Pure.

The graph is read off the chosen packages, not off the solver: it is the same for a plan, a lock and an installed database.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependency, provided
from apkiln.formats.apk.records import IndexRecord

WORLD = ""
"""As the source of an edge: the definition itself."""


class EdgeKind(Enum):
    REQUESTED = "requested"
    """An entry of the world."""
    DEPENDS = "depends"
    """A dependency of a package."""
    INSTALL_IF = "install-if"
    """The target came because the source, with the other packages that its `install_if` names, is there."""


class Edge(NamedTuple):
    """One reason for one package."""

    source: str
    """Package name, or WORLD."""
    item: str
    """What is asked for, as written."""
    target: str
    """Name of the package that answers."""
    kind: EdgeKind


@value
class DependencyGraph:
    """Packages and the reasons for them."""

    packages: tuple[IndexRecord, ...]
    """In install order."""
    edges: tuple[Edge, ...]
    """World entries first, then package by package, items in their order."""
    unanswered: tuple[tuple[str, str], ...] = ()
    """(source, item): what no package answers; empty for a solution."""

    def answer(self, name: str) -> str | None:
        """The package that is called or provides `name`."""
        return _Answers(self.packages).find(Dependency(name))

    def needs(self) -> dict[str, tuple[str, ...]]:
        """Package → the packages that its dependencies lead to, sorted, each once, without itself."""
        found: dict[str, set[str]] = {record.name: set() for record in self.packages}
        for edge in self.edges:
            if edge.kind is EdgeKind.DEPENDS and edge.target != edge.source:
                found[edge.source].add(edge.target)
        return {name: tuple(sorted(targets)) for name, targets in found.items()}

    def requests(self) -> dict[str, tuple[str, ...]]:
        """Package → the world entries that it answers directly, in order."""
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            if edge.kind is EdgeKind.REQUESTED:
                found.setdefault(edge.target, []).append(edge.item)
        return {name: tuple(items) for name, items in found.items()}

    def reasons(self, package: str) -> tuple[Edge, ...]:
        """The edges that lead to `package`, in order; a package's wish for itself is none."""
        return tuple(edge for edge in self.edges if edge.target == package and edge.source != package)

    def chains(self, package: str) -> tuple[tuple[Edge, ...], ...]:
        """For each world entry from which `package` is reached, the shortest chain of edges to it; shortest chain first.

        Among chains of one length the first in the order of `edges`.  Cost: one walk over the edges for each world entry.
        """
        outgoing: dict[str, list[Edge]] = {}
        for edge in self.edges:
            if edge.source != WORLD:
                outgoing.setdefault(edge.source, []).append(edge)
        found = [_chain(edge, package, outgoing) for edge in self.edges if edge.source == WORLD]
        return tuple(sorted((chain for chain in found if chain), key=len))

    def only_for(self, package: str) -> tuple[str, ...]:
        """Packages that would go with `package`, sorted: nothing else leads to them."""
        return tuple(sorted({record.name for record in self.packages} - self._reached({package}) - {package}))

    def _reached(self, without: set[str]) -> set[str]:
        """What the world leads to; an `install_if` leads to its package when all that it names is there."""
        outgoing: dict[str, list[Edge]] = {}
        conditions: dict[str, set[str]] = {}
        for edge in self.edges:
            outgoing.setdefault(edge.source, []).append(edge)
            if edge.kind is EdgeKind.INSTALL_IF:
                conditions.setdefault(edge.target, set()).add(edge.source)
        waiting, reached = [WORLD], {WORLD}
        while waiting:
            for edge in outgoing.get(waiting.pop(), ()):
                ready = edge.kind is not EdgeKind.INSTALL_IF or conditions[edge.target] <= reached
                if ready and edge.target not in without and edge.target not in reached:
                    reached.add(edge.target)
                    waiting.append(edge.target)
        return reached


def dependency_graph(world: Iterable[str], packages: Sequence[IndexRecord]) -> DependencyGraph:
    """The graph of the packages of one architecture.  `world`: entries as written; conflicts are no reason for anything.

    Where several packages answer an item, the one that is called so comes first, then the higher `provider_priority`, then
    the earlier in `packages`.
    """
    answers = _Answers(packages)
    edges: list[Edge] = []
    unanswered: list[tuple[str, str]] = []
    wanted = [(WORLD, item, EdgeKind.REQUESTED) for item in world]
    wanted += [(record.name, item, EdgeKind.DEPENDS) for record in packages for item in record.depends.split()]
    for source, item, kind in wanted:
        dependency = _parsed(item, lenient=kind is EdgeKind.DEPENDS)
        if dependency.conflict:
            continue
        target = answers.find(dependency)
        if target is None:
            unanswered.append((source, item))
        else:
            edges.append(Edge(source, item, target, kind))
    for record in packages:
        for item in record.install_if.split():
            dependency = _parsed(item, lenient=True)
            found = None if dependency.conflict else answers.find(dependency)
            if found is not None:
                edges.append(Edge(found, record.install_if, record.name, EdgeKind.INSTALL_IF))
    return DependencyGraph(tuple(packages), tuple(dict.fromkeys(edges)), tuple(unanswered))


class _Answers:
    """Which package answers an item."""

    def __init__(self, packages: Sequence[IndexRecord]) -> None:
        self._found: dict[str, list[tuple[IndexRecord, str]]] = {}
        for record in packages:
            for name, version in _provided(record):
                self._found.setdefault(name, []).append((record, version))

    def find(self, dependency: Dependency) -> str | None:
        fitting = [
            record for record, version in self._found.get(dependency.name, ()) if hits(dependency, version, record.identity)
        ]
        if not fitting:
            return None
        return min(fitting, key=lambda record: (record.name != dependency.name, -record.provider_priority)).name


def _provided(record: IndexRecord) -> Iterable[tuple[str, str]]:
    yield record.name, record.version
    for text in record.provides.split():
        try:
            yield provided(text)
        except FormatError:
            continue  # apk passes over it as well


def _parsed(item: str, *, lenient: bool) -> Dependency:
    try:
        return parse_dependency(item, lenient=lenient)
    except FormatError:
        return Dependency(item)


def _chain(first: Edge, package: str, outgoing: dict[str, list[Edge]]) -> tuple[Edge, ...]:
    """The shortest way from a world entry to `package`, () when there is none."""
    ways: dict[str, tuple[Edge, ...]] = {first.target: (first,)}
    waiting = deque([first.target])
    while waiting and package not in ways:
        here = waiting.popleft()
        for edge in outgoing.get(here, ()):
            if edge.target not in ways:
                ways[edge.target] = (*ways[here], edge)
                waiting.append(edge.target)
    return ways.get(package, ())
