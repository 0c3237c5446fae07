"""Which packages share a layer (spec image.md §8).  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.image.configuration.model import Layering
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.replacing import replaces

DEFAULT_BUDGET = 10
"""Package layers when the definition gives no number."""

MOST_GROUPS = 120
"""Package layers at most, whatever the budget: container engines stop near 127 layers (spec image.md §8.1)."""
MANY_GROUPS = 40
"""From here on every pull and start pays for the number of layers."""

Groups = tuple[tuple[int, ...], ...]
"""Positions of packages, a tuple per layer, lowest layer first; inside a group by package name."""


def is_layered(layering: Layering | None) -> bool:
    """Whether packages get layers of their own."""
    return layering is not None and layering.strategy not in ("", "single")


def group_packages(packages: Sequence[PackageFiles], layering: Layering | None) -> Groups:
    """The groups of a layered image; () for an image of one layer.

    Groups are ranked by installed size, larger ones below, ties by the greatest package name; what exceeds the budget is
    merged into the last one.  Packages that replace each other's files share a group.
    """
    if layering is None or not is_layered(layering):
        return ()
    budget = DEFAULT_BUDGET if layering.budget is None else max(1, layering.budget)
    if layering.strategy == "groups":
        groups = _named_groups(packages, layering)
        budget = len(groups) if layering.budget is None else budget
    else:
        keys = [_key(package, layering.strategy) for package in packages]
        groups = _merged_by_replaces(packages, [_where(keys, key) for key in dict.fromkeys(keys)])
        groups = sorted(groups, key=lambda group: _rank(packages, group))
    return tuple(_sorted(packages, group) for group in _within(groups, min(budget, MOST_GROUPS)))


def group_notices(groups: Groups) -> tuple[str, ...]:
    """What is worth saying about the number of layers."""
    if len(groups) <= MANY_GROUPS:
        return ()
    return (f"the image has {len(groups) + 1} layers; more than {MANY_GROUPS} cost time wherever it is pulled and started",)


def places_of(groups: Groups, count: int) -> tuple[int, ...]:
    """Number of the layer of each of `count` packages."""
    places = [0] * count
    for number, group in enumerate(groups):
        for position in group:
            places[position] = number
    return tuple(places)


def _key(package: PackageFiles, strategy: str) -> str:
    return package.head.info.origin if strategy == "origin" else package.name


def _where(keys: Sequence[str], wanted: str) -> list[int]:
    return [position for position, key in enumerate(keys) if key == wanted]


def _named_groups(packages: Sequence[PackageFiles], layering: Layering) -> list[list[int]]:
    """The definition's groups in its order, what they leave over last; names that are not installed are no fault."""
    by_name = {package.name: position for position, package in enumerate(packages)}
    groups = [[by_name[name] for name in group if name in by_name] for group in layering.groups]
    named = {position for group in groups for position in group}
    rest = [position for position in range(len(packages)) if position not in named]
    return _merged_by_replaces(packages, [group for group in (*groups, rest) if group])


def _merged_by_replaces(packages: Sequence[PackageFiles], groups: Sequence[list[int]]) -> list[list[int]]:
    """Join groups as long as a package of one replaces an installed package of another."""
    found = [list(group) for group in groups]
    home = {position: group for group in found for position in group}
    for position, package in enumerate(packages):
        if not package.head.info.replaces:
            continue
        for other, candidate in enumerate(packages):
            if home[other] is not home[position] and replaces(package, candidate):
                kept, gone = home[position], home[other]
                kept += gone
                home.update((member, kept) for member in gone)
                found = [group for group in found if group is not gone]
    return found


def _rank(packages: Sequence[PackageFiles], group: Sequence[int]) -> tuple[int, str]:
    size = sum(packages[position].head.info.installed_size for position in group)
    return -size, max(packages[position].name for position in group)


def _within(groups: Sequence[list[int]], budget: int) -> list[list[int]]:
    if len(groups) <= budget:
        return list(groups)
    kept = list(groups[: budget - 1])
    return [*kept, [position for group in groups[budget - 1 :] for position in group]]


def _sorted(packages: Sequence[PackageFiles], group: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(group, key=lambda position: packages[position].name))
