"""The packages' part of a tree with the cheap look-up that rules need on their way to a path."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.image.generated.draft import Peek
from apkiln.rootfs.tree import ContentReader, PackagesTree
from apkiln.rootfs.tree_plan import TreePlan


class PlannedTree(PackagesTree):
    """A `generated.draft.PackageTree`.  `peek` never decodes the file list of a package."""

    def __init__(self, plan: TreePlan, read: ContentReader) -> None:
        super().__init__(plan, read)
        self.plan = plan
        """The plan without what rules take over."""
        self._symlinks = dict(self._owned_symlinks())

    def peek(self, path: str) -> Peek | None:
        """The kind of what packages put at `path`, None when nothing."""
        if path in self._directories:
            return Peek(True)
        return Peek(False, self._symlinks.get(path, "")) if path in self._owners else None

    def _owned_symlinks(self) -> Iterator[tuple[str, str]]:
        for position, package in enumerate(self._plan.packages):
            moved = dict(package.moved)
            for shipped, target in package.files.symlinks:
                path = moved.get(shipped, shipped)
                if self._owners.get(path) == position:
                    yield path, target
