"""What documentation packages are read with (spec package.md §13.2, 3)."""

from __future__ import annotations

from apkiln.package.analysis.generators.relations import Relations, Scene

_READERS = {"usr/share/man": "man-db", "usr/share/info": "texinfo"}


def documentation(scene: Scene, relations: Relations) -> None:
    """A `-doc` package with manual or info pages depends on a reader."""
    if scene.part.name.endswith("-doc"):
        above = {entry.path.rpartition("/")[0] for entry in scene.tree.entries}
        relations.depends.update(reader for directory, reader in _READERS.items() if directory in above)
