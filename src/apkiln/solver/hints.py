"""What nearly fits a request that cannot be satisfied: beside the proof, where to look next (spec apk.md §10.9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependency
from apkiln.solver.clauses import Fact
from apkiln.solver.request import SolverRepository
from apkiln.solver.universe import Candidate, Universe

MOST_NAMES = 3
"""Similar names that are offered for one missing name."""
MOST_HINTS = 12


class Hint(NamedTuple):
    """Something near what was asked for."""

    kind: str
    """`other-version`, `masked-by-tag`, `other-architecture`, `excluded-by`, `similar-name`."""
    item: str
    """The item that nothing fits."""
    found: str
    """`name-version`, or a name for `similar-name`; several of them separated by spaces."""
    where: str = ""
    """Repositories that list it, as people know them; the excluding item for `excluded-by`."""


def places(repositories: Sequence[SolverRepository], candidate: Candidate) -> str:
    """The repositories of a package, by name and tag; empty where they have neither, or where there is only one."""
    names = {repository.number: repository.name for repository in repositories} if len(repositories) > 1 else {}
    labels = [
        f"{names.get(number, '')} @{tag}".strip() if tag else names.get(number, "") for number, tag in candidate.repositories
    ]
    return ", ".join(dict.fromkeys(label for label in labels if label))


def hints(repositories: Sequence[SolverRepository], universe: Universe, facts: Sequence[Fact]) -> tuple[Hint, ...]:
    """Near misses for the facts of a conflict, in their order, each once."""
    found: dict[Hint, None] = {}
    for fact in facts:
        for hint in _near(repositories, universe, fact, facts):
            found[hint] = None
    return tuple(found)[:MOST_HINTS]


def _near(repositories: Sequence[SolverRepository], universe: Universe, fact: Fact, facts: Sequence[Fact]) -> Iterator[Hint]:
    match fact.kind:
        case "no-such-package":
            wanted = parse_dependency(fact.item, lenient=bool(fact.package)).name
            close = _similar(wanted, _names(repositories))
            if close:
                yield Hint("similar-name", fact.item, " ".join(close))
        case "version":
            item = parse_dependency(fact.item, lenient=fact.package != "")
            for candidate in _providers(universe, item):
                yield Hint("other-version", fact.item, candidate.record.name_version, places(repositories, candidate))
        case "tag":
            yield from _described(repositories, universe, fact, "masked-by-tag", facts)
        case "arch":
            yield from _described(repositories, universe, fact, "other-architecture", facts)
        case "conflict":
            by = f"{fact.package} refuses {fact.item.removeprefix('!')}" if fact.package else fact.item
            for name in fact.by.split():
                yield Hint("excluded-by", fact.item, name, by)
        case _:
            return


def _providers(universe: Universe, item: Dependency) -> Iterable[Candidate]:
    return dict.fromkeys(provide.candidate for provide in universe.name(item.name).providers)


def _described(
    repositories: Sequence[SolverRepository], universe: Universe, fact: Fact, kind: str, facts: Sequence[Fact]
) -> Iterator[Hint]:
    """A package that would fit if it were allowed, under the item that asks for it."""
    for asking in facts:
        if asking.kind == "depends" and fact.package in asking.by.split():
            item = parse_dependency(asking.item, lenient=asking.package != "")
            for provide in universe.name(item.name).providers:
                candidate = provide.candidate
                fits = hits(item, provide.version, candidate.identity)
                if fits and candidate.record.name_version == fact.package:
                    where = places(repositories, candidate)
                    yield Hint(
                        kind, asking.item, fact.package, f"{fact.item} {where}".strip() if kind != "masked-by-tag" else where
                    )


def _names(repositories: Sequence[SolverRepository]) -> Iterable[str]:
    for repository in repositories:
        if isinstance(repository.records, Iterable):
            for record in repository.records:
                yield record.name


def _similar(name: str, names: Iterable[str]) -> list[str]:
    """Names that differ by a slip: `opnessl` for `openssl`."""
    from difflib import get_close_matches

    lower = name.lower()
    near: dict[str, str] = {}
    for other in names:
        alike = other.lower()
        if abs(len(alike) - len(lower)) <= 3 and (alike[:1] == lower[:1] or alike[-1:] == lower[-1:]):
            near.setdefault(alike, other)
    return [near[alike] for alike in get_close_matches(lower, sorted(near), MOST_NAMES, 0.7)]
