"""Modules of pkg-config (spec package.md §13.2, 4)."""

from __future__ import annotations

from apkiln.core.errors import FormatError
from apkiln.formats.archive.entry import Entry
from apkiln.formats.pkg_config import PkgConfig, parse_pkg_config
from apkiln.package.analysis.directories import lies_in
from apkiln.package.analysis.facts import FileFacts
from apkiln.package.analysis.generators.relations import Relations, Scene

DIRECTORIES = (
    "usr/lib/pkgconfig",
    "usr/lib64/pkgconfig",
    "usr/share/pkgconfig",
    "usr/local/lib/pkgconfig",
    "usr/local/share/pkgconfig",
)
_REQUIREMENTS = ("Requires", "Requires.private", "Requires.internal")


def pkg_config(scene: Scene, relations: Relations) -> None:
    """A `.pc` file where pkg-config looks provides its module and needs those it requires; elsewhere it is vendored."""
    for entry, facts in scene.tree.examined():
        if not entry.path.endswith(".pc"):
            continue
        name = entry.path.rpartition("/")[2].removesuffix(".pc")
        parsed = _parsed(entry, facts, relations)
        if parsed is None or any(letter in name for letter in " =<>~!"):
            continue
        if not lies_in(entry.path, DIRECTORIES):
            relations.vendored.add(f"pc:{name}={scene.version}")
            continue
        relations.provides.add(f"pc:{name}={scene.version}")
        modules = (module for field in _REQUIREMENTS for module in parsed.modules(field))
        relations.depends.update(f"pc:{module}" for module in modules)


def _parsed(entry: Entry, facts: FileFacts, relations: Relations) -> PkgConfig | None:
    try:
        return parse_pkg_config(facts.text.decode("utf-8", "replace"))
    except FormatError as fault:
        relations.notes.append(f"{entry.path}: {fault.message}")
        return None
