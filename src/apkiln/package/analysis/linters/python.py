"""What Python packages should not bring (spec package.md §14)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apkiln.core.pattern import pattern
from apkiln.package.analysis.linters.scene import LintScene, Report, listed

_PREFIX = "usr/lib/python3."
_SITE = pattern(r"(usr/lib/python3\.[^/]*)/site-packages/([^/]+)")
_INTERPRETER = pattern(r"usr/lib/python3\.[^/]*")
_NO_MODULES = ("test", "tests", "doc", "docs")
_METADATA = (".egg-info", ".dist-info", ".pth")


def documentation(scene: LintScene) -> Iterator[Report]:
    return _named(scene, ("doc", "docs"), "puts documentation where every package would put it")


def tests(scene: LintScene) -> Iterator[Report]:
    return _named(scene, ("test", "tests"), "puts tests where every package would put them")


def _named(scene: LintScene, names: tuple[str, ...], message: str) -> Iterator[Report]:
    yield from _several_pythons(scene)
    found = (entry.path for entry in scene.tree.entries if (match := _site(entry.path)) and match[2] in names)
    yield from listed(found, message)


def several(scene: LintScene) -> Iterator[Report]:
    """One package, one top-level module."""
    yield from _several_pythons(scene)
    found: dict[str, str] = {}
    for entry in scene.tree.entries:
        match = _site(entry.path)
        if match is None or match[2].startswith("_") or match[2] in _NO_MODULES or match[2].endswith(_METADATA):
            continue
        found.setdefault(match[2].partition(".")[0], entry.path)
    if len(found) > 1:
        names = tuple(sorted(found))
        totals = (("count", len(names)), ("packages", names))
        yield Report(f"has several Python modules: {', '.join(names)}", tuple(sorted(found.values())), totals=totals)


def _site(path: str) -> re.Match[str] | None:
    return _SITE.fullmatch(path) if path.startswith(_PREFIX) else None


def _several_pythons(scene: LintScene) -> Iterator[Report]:
    found = {entry.path for entry in scene.tree.entries if entry.path.startswith(_PREFIX) and _INTERPRETER.fullmatch(entry.path)}
    if len(found) > 1:
        yield from listed(found, "has modules for several Python versions")
