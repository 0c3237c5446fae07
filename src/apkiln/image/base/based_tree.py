"""The tree under an image's rules when there is a base image: packages as always, and below them what nobody owns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.base.packages import BaseContents
from apkiln.image.base.planning import PlanUpon
from apkiln.image.base.stored_base import StoredBase
from apkiln.image.generated.draft import Peek
from apkiln.image.planned_tree import PlannedTree
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.segments import Segment, open_content
from apkiln.system.store import Store


class BasedTree(PlannedTree):
    """See `PlannedTree`.  Paths of the base that no package owns have the package "".

    `segments`: of the new packages, in install order.
    """

    def __init__(
        self, store: Store, base: StoredBase, contents: BaseContents, planned: PlanUpon, segments: Sequence[Segment]
    ) -> None:
        self._store = store
        self._base = base
        self._segments_above = segments
        self._old = len(contents.packages)
        self._strays = frozenset(planned.strays)
        self._rest = contents.rest
        implied = frozenset(base.implied)
        self._below = {item.path: item.entry() for item in base.tree.files.directories if item.path not in implied}
        self._stray_links = {path: target for path, target in contents.rest.symlinks if path in self._strays}
        self._stray_names: dict[str, list[str]] | None = None
        super().__init__(planned.plan, lambda position, path: b"".join(self._content(position, path)), self._content)
        self._stray_directories = {item.path: item for item in contents.rest.directories if item.path not in self._directories}

    def stray_directories(self) -> tuple[Directory, ...]:
        return tuple(self._stray_directories.values())

    def below(self, path: str) -> Entry | None:
        """What the layers of the base have at `path`."""
        if path in self._below:
            return self._below[path]
        try:
            return self._base.tree.files.entry(path).entry
        except KeyError:
            return None

    def entry(self, path: str) -> Entry | None:
        if path in self._stray_directories:
            return self._stray_directories[path].entry()
        return self._rest.entry(path).entry if path in self._strays else super().entry(path)

    def peek(self, path: str) -> Peek | None:
        if path in self._stray_directories:
            return Peek(True)
        if path in self._strays:
            return Peek(False, self._stray_links.get(path, ""))
        return super().peek(path)

    def content_entry(self, path: str) -> ContentEntry:
        return self._rest.content_entry(path) if path in self._strays else super().content_entry(path)

    def package(self, path: str) -> str:
        return "" if self._is_stray(path) else super().package(path)

    def position(self, path: str) -> int:
        return -1 if self._is_stray(path) else super().position(path)

    def paths(self) -> Iterable[str]:
        return (*self._stray_directories, *super().paths(), *self._strays)

    def links_to(self, path: str) -> Iterable[str]:
        if path not in self._strays:
            return super().links_to(path)
        if self._stray_names is None:
            self._stray_names = {}
            for item in self._rest.entries():
                if item.entry.type is EntryType.HARDLINK and item.entry.path in self._strays:
                    self._stray_names.setdefault(item.entry.target, []).append(item.entry.path)
        return tuple(self._stray_names.get(path, ()))

    def read(self, path: str) -> bytes:
        return b"".join(self.chunks(path)) if path in self._strays else super().read(path)

    def chunks(self, path: str) -> Iterator[bytes]:
        return self._of_base(path) if path in self._strays else super().chunks(path)

    def identity(self, path: str) -> str:
        if path in self._strays or self.position(path) < self._old:
            return self.content_entry(path).sha256.hex()
        return super().identity(path)

    def strays(self) -> Iterable[str]:
        """All paths that no package owns, directories first."""
        return (*self._stray_directories, *sorted(self._strays))

    def _is_stray(self, path: str) -> bool:
        return path in self._strays or path in self._stray_directories

    def _content(self, position: int, path: str) -> Iterator[bytes]:
        if position < self._old:
            return self._of_base(path)
        return open_content(self._store, self._segments_above[position - self._old], path)

    def _of_base(self, path: str) -> Iterator[bytes]:
        return open_content(self._store, self._base.tree, path)
