"""Circles that hold themselves up: literals of a model that are granted by each other and by nothing from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence


def circles(grants: Mapping[int, Sequence[int]], holds: Callable[[int], bool]) -> list[set[int]]:
    """Smallest groups of granted literals that hold although no member is granted from outside its group.

    `grants`: literal → literals that grant it, each of them enough; a literal that is not a key needs no grant.  Empty when
    everything that holds is derived.  Cost: linear in the grants of what holds.
    """
    floating = _floating(grants, holds)
    if not floating:
        return []
    inside = {literal: [giver for giver in grants[literal] if giver in floating] for literal in floating}
    return [group for group in _components(inside) if all(giver in group for literal in group for giver in inside[literal])]


def _floating(grants: Mapping[int, Sequence[int]], holds: Callable[[int], bool]) -> set[int]:
    """What holds without being derived."""
    floating = {literal for literal in grants if holds(literal)}
    receivers: dict[int, list[int]] = {}
    ready: list[int] = []
    for literal in floating:
        for giver in grants[literal]:
            if giver in grants:
                receivers.setdefault(giver, []).append(literal)
            elif holds(giver):
                ready.append(literal)
                break
    while ready:
        literal = ready.pop()
        if literal in floating:
            floating.discard(literal)
            ready += receivers.get(literal, ())
    return floating


def _components(edges: Mapping[int, Collection[int]]) -> list[set[int]]:
    """Strongly connected components, in the order in which Tarjan's algorithm closes them.  Iterative."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[set[int]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            other = next(following, None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    position = _last(stack, node)
                    found.append(set(stack[position:]))
                    on_stack.difference_update(stack[position:])
                    del stack[position:]
            elif other not in index:
                index[other] = low[other] = len(index)
                stack.append(other)
                on_stack.add(other)
                work.append((other, iter(edges[other])))
            elif other in on_stack:
                low[node] = min(low[node], index[other])
    return found


def _last(items: Sequence[int], wanted: int) -> int:
    position = len(items) - 1
    while items[position] != wanted:
        position -= 1
    return position
