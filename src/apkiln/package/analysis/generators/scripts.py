"""Interpreters that scripts name (spec package.md §13.2, 8)."""

from __future__ import annotations

from apkiln.core.errors import FormatError
from apkiln.formats.apk.dependency import is_dependency_name
from apkiln.package.analysis.generators.relations import Relations, Scene
from apkiln.package.analysis.interpreters import interpreter

_DIRECTORIES = ("usr/bin/", "usr/local/bin/", "usr/local/sbin/", "usr/sbin/", "bin/", "sbin/")


def scripts(scene: Scene, relations: Relations) -> None:
    """A script at any depth of a command directory needs the command that it names."""
    for entry, facts in scene.tree.examined():
        if not facts.first_line or not entry.path.startswith(_DIRECTORIES):
            continue
        try:
            command = interpreter(facts.first_line).rpartition("/")[2]
        except FormatError as fault:
            relations.notes.append(f"{entry.path}: {fault.message}")
            continue
        if command and is_dependency_name(f"cmd:{command}"):
            relations.depends.add(f"cmd:{command}")
