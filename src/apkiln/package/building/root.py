"""Where the root of a session lies on the disk."""

from __future__ import annotations

from enum import Enum

from apkiln.core.value import value
from apkiln.package.building.guest import GuestTrees
from apkiln.system.trees import Trees


class RootKind(Enum):
    """How the root is put together from the trees of its packages."""

    OVERLAY = "overlay"
    HARD_LINKS = "hardlinks"
    """One tree of links; steps cannot write to it."""
    JOINED = "joined"
    """One tree of links under an overlay, for runners that take one directory."""


@value
class Root:
    """The root of a session on the disk."""

    directories: tuple[str, ...]
    """The uppermost first."""
    trees: GuestTrees
    overlay: bool = True
    """False: there is one directory, shown read-only."""


LARGEST_OVERLAY = 400
"""Directories that one overlay is made of; the kernel takes 500."""


def root_of(made: GuestTrees, kind: RootKind, trees: Trees) -> Root:
    """The root that `make_guest` made; one of very many packages is joined into one tree first."""
    if kind is RootKind.HARD_LINKS:
        return Root((trees.joined(made.keys),), made, overlay=False)
    if kind is RootKind.JOINED or len(made.keys) > LARGEST_OVERLAY:
        return Root((trees.joined(made.keys),), made)
    directories = []
    for key in made.keys:
        found = trees.find(key)
        assert found is not None, "the trees of a root were made before it is used"
        directories.append(found)
    return Root(tuple(directories), made)
