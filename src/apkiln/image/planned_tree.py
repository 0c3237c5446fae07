"""The packages' part of a tree with the cheap look-up that rules need on their way to a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apkiln.formats.archive.entry import Entry
from apkiln.image.generated.draft import Peek
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.tree import ContentReader, PackagesTree
from apkiln.rootfs.tree_plan import TreePlan

ContentStream = Callable[[int, str], Iterator[bytes]]
"""As `ContentReader`, in chunks; what they are is known to be right when the last one was taken without an error."""


class PlannedTree(PackagesTree):
    """A `generated.draft.PackageTree`.  `peek` never decodes the file list of a package."""

    def __init__(self, plan: TreePlan, read: ContentReader, stream: ContentStream | None = None) -> None:
        super().__init__(plan, read)
        self._stream = stream or (lambda position, path: iter((read(position, path),)))
        self.plan = plan
        """The plan without what rules take over."""
        self._symlinks = dict(self._owned_symlinks())

    def peek(self, path: str) -> Peek | None:
        """The kind of what packages put at `path`, None when nothing."""
        if path in self._directories:
            return Peek(True)
        return Peek(False, self._symlinks.get(path, "")) if path in self._owners else None

    def chunks(self, path: str) -> Iterator[bytes]:
        """As `read`, in chunks: content too large for memory."""
        return self._stream(self._owners[path], self.content_entry(path).entry.path)

    def stray_directories(self) -> tuple[Directory, ...]:
        """Directories of a base image that no package ships."""
        return ()

    def below(self, path: str) -> Entry | None:
        """What the layers of a base image have at `path`."""
        return None

    def identity(self, path: str) -> str:
        """A text that differs when the content of the FILE at `path` does; cheap: no file list is decoded for it."""
        return self._plan.packages[self.position(path)].files.head.sha256.hex() + path

    def _owned_symlinks(self) -> Iterator[tuple[str, str]]:
        for position, package in enumerate(self._plan.packages):
            moved = dict(package.moved)
            for shipped, target in package.files.symlinks:
                path = moved.get(shipped, shipped)
                if self._owners.get(path) == position:
                    yield path, target
