"""Kernel images and modules (spec package.md §13.2, 9)."""

from __future__ import annotations

from apkiln.package.analysis.generators.relations import Relations, Scene
from apkiln.package.analysis.observing import is_module


def kernels(scene: Scene, relations: Relations) -> None:
    """An image provides `linux:VERSION`, which modules depend on."""
    for entry, facts in scene.tree.examined():
        if facts.kernel:
            place = relations.depends if is_module(entry.path) else relations.provides
            place.add(f"linux:{facts.kernel}")
