"""Programs that a package brings (spec package.md §13.2, 2)."""

from __future__ import annotations

from apkiln.formats.archive.entry import EntryType
from apkiln.package.analysis.directories import lies_in
from apkiln.package.analysis.facts import DAMAGED_ELF
from apkiln.package.analysis.generators.relations import Relations, Scene
from apkiln.package.analysis.tree import REGULAR

DIRECTORIES = ("bin", "sbin", "usr/bin", "usr/sbin")
_EXECUTABLE = 0o555


def commands(scene: Scene, relations: Relations) -> None:
    """Every executable file of a command directory provides its name; what only looks like a program does not."""
    for entry in scene.tree.entries:
        if not lies_in(entry.path, DIRECTORIES):
            continue
        found = scene.tree.resolve(entry.path) if scene.rules.command_links and entry.type is EntryType.SYMLINK else entry
        if found is None or found.type not in REGULAR or found.mode & _EXECUTABLE != _EXECUTABLE:
            continue
        if DAMAGED_ELF not in scene.tree.facts(found).marks:
            relations.provides.add(f"cmd:{entry.path.rpartition('/')[2]}={scene.version}")
