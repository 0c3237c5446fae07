"""The order in which names are decided: discovery numbers by depth-first search from the world (spec apk.md §10.2 step 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apkiln.solver.universe import Name, Universe


def discover(universe: Universe, roots: Iterable[str]) -> list[Name]:
    """Number every name the roots can reach, roots highest; returns them in ascending order of number.

    Per name: first what its packages depend on, then who mentions it in install_if, then the names its packages provide and
    who mentions those, then the name itself, last the names in its packages' own install_if lists.  Fills `needs`, `reverse_depends`, `reverse_install_if`, `number`, `discovered`.  Iterative:
    chains of any length are fine.
    """
    order: list[Name] = []
    for root in roots:
        name = universe.name(root)
        if name.discovered:
            continue
        name.discovered = True
        stack = [_neighbours(universe, name, order)]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            elif not following.discovered:
                following.discovered = True
                stack.append(_neighbours(universe, following, order))
    return order


def _neighbours(universe: Universe, name: Name, order: list[Name]) -> Iterator[Name]:
    for provide in name.providers:
        for item in provide.candidate.depends:
            needed = universe.name(item.name)
            if needed not in name.needs:
                name.needs[needed] = None
                needed.reverse_depends.append(name)
            yield needed
    yield from _mentioning(universe, name)
    for provide in name.providers:
        candidate = provide.candidate
        if candidate.name != name.text:
            yield from _mentioning(universe, universe.name(candidate.name))
        for provided_name, _ in candidate.provides:
            if provided_name != name.text:
                yield from _mentioning(universe, universe.name(provided_name))
                yield universe.name(provided_name)
    name.number = len(order)
    order.append(name)
    for provide in name.providers:
        for item in provide.candidate.install_if:
            yield universe.name(item.name)


def _mentioning(universe: Universe, name: Name) -> list[Name]:
    if not name.reverse_install_if:
        owners = dict.fromkeys(text for candidate in universe.mentioning(name.text) for text in (candidate.name, *(t for t,_ in candidate.provides)))
        name.reverse_install_if = [universe.name(owner) for owner in owners]
    return name.reverse_install_if
