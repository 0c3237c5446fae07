"""The order in which names are decided: discovery numbers by depth-first search from the world (spec apk.md §10.2 step 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apkiln.solver.name_table import place
from apkiln.solver.universe import Candidate, Name, Universe


def discover(universe: Universe, roots: Iterable[str], *, partial: bool = False) -> list[Name]:
    """Number every name the roots can reach, roots highest; returns them in ascending order of number.  `partial` leaves out
    what only the install_if lists of reached packages lead to.

    Per name: first what those of its packages depend on that no name led to before; then who mentions it in install_if; then,
    of each of its packages, who mentions the package's own name, and the names it provides; then the name itself; last the
    names in its packages' own install_if lists.  Fills
    `reverse_depends`, `reverse_install_if`, `number`, `discovered`.  Iterative: chains of any length are fine.
    """
    order: list[Name] = []
    for root in roots:
        name = universe.name(root)
        if name.discovered:
            continue
        name.discovered = True
        stack = [_neighbours(universe, name, order, partial)]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            elif not following.discovered:
                following.discovered = True
                stack.append(_neighbours(universe, following, order, partial))
    return order


def _neighbours(universe: Universe, name: Name, order: list[Name], partial: bool) -> Iterator[Name]:
    candidates = list(dict.fromkeys(provide.candidate for provide in name.providers))
    needs = _needs(universe, candidates[0]) if len(candidates) == 1 else _all_needs(universe, candidates)
    for needed in needs:
        needed.reverse_depends.append(name)
    for candidate in candidates:
        if not candidate.entered:
            candidate.entered = True
            for needed in _needs(universe, candidate):
                if not needed.discovered:
                    yield needed
    for other in mentioning(universe, name):
        if not other.discovered:
            yield other
    for candidate in candidates:
        if candidate.concerned is None:
            candidate.concerned = _concerned(universe, candidate)
        yield from candidate.concerned
    name.number = len(order)
    order.append(name)
    if partial:
        return
    for candidate in candidates:
        for item in candidate.install_if:
            other = universe.name(item.name)
            if not other.discovered:
                yield other


def _concerned(universe: Universe, candidate: Candidate) -> Iterator[Name]:
    """Who mentions a package by its own name, and the names it provides.  All names of the package go on with one and the same
    iterator: what lies behind it is discovered already."""
    for other in mentioning(universe, universe.name(candidate.name)):
        if not other.discovered:
            yield other
    for text, _ in candidate.provides:
        provided = universe.name(text)
        if not provided.discovered:
            yield provided


def _needs(universe: Universe, candidate: Candidate) -> tuple[Name, ...]:
    """Names that a package depends on, each once, in order."""
    if candidate.needs is None:
        candidate.needs = tuple([universe.name(text) for text in dict.fromkeys([item.name for item in candidate.depends])])
    return candidate.needs


def _all_needs(universe: Universe, candidates: Iterable[Candidate]) -> dict[Name, None]:
    return {needed: None for candidate in candidates for needed in _needs(universe, candidate)}


def mentioning(universe: Universe, name: Name) -> list[Name]:
    """Names that own a package whose install_if mentions `name`, in the order of apk's reverse list."""
    found = name.reverse_install_if
    if found is None:
        owners = {
            text: None
            for candidate in universe.mentioning(name.text)
            for text in (candidate.name, *(provided for provided, _ in candidate.provides))
        }
        found = name.reverse_install_if = [universe.name(owner) for owner in sorted(owners, key=place)]
    return found
