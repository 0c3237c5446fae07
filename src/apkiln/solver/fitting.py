"""Which packages an item of a world or of a package speaks of: a stretch of the versions of a name."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.formats.apk.version import sort_key
from apkiln.solver.universe import Candidate, Provide, Universe

FEW = 4
"""Provides of a name that are gone through one by one."""
_STRETCHES = {"<": (0, 0), "<=": (0, 1), "=": (1, 1), ">=": (1, 2), ">": (2, 2)}
"""Operator → where its versions begin and end: before all, before, behind those that equal the one given, behind all."""


class Fitting:
    """Looks at some of the packages of a universe; each item is read once."""

    def __init__(self, universe: Universe, packages: Container[Candidate]) -> None:
        self._universe = universe
        self._packages = packages
        self._found: dict[Dependency, tuple[Candidate, ...]] = {}
        self._keys: dict[str, list[bytes]] = {}
        """Name → sort keys of its provides; empty when they are not in order."""

    def of(self, item: Dependency) -> tuple[Candidate, ...]:
        """Packages that the item speaks of, in the order of the providers of its name."""
        found = self._found.get(item)
        if found is None:
            fits = [each.candidate for each in self._hit(item)]
            found = self._found[item] = tuple(dict.fromkeys([each for each in fits if each in self._packages]))
        return found

    def _hit(self, item: Dependency) -> Sequence[Provide]:
        """Provides that an item speaks of: a stretch of them where they are in the order of versions."""
        provides = self._universe.name(item.name).providers
        if not item.operator:
            return provides
        if len(provides) < FEW or item.operator not in _STRETCHES:
            return [each for each in provides if hits(item, each.version, each.candidate.identity)]
        keys = self._keys.get(item.name)
        if keys is None:
            keys = [each.key for each in provides]
            self._keys[item.name] = keys = keys if keys == sorted(keys) else []
        if not keys:
            return [each for each in provides if hits(item, each.version, each.candidate.identity)]
        key = sort_key(item.version)
        low, high = bisect_left(keys, key), bisect_right(keys, key)
        first, last = _STRETCHES[item.operator]
        return provides[(0, low, high)[first] : (low, high, len(keys))[last]]
