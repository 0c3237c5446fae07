"""Where the bytes of a tree lie: directories that together are the whole, cut as finely as a picture can show.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.named_tuple import NamedTuple

MOST = 48
"""Rows that a picture holds."""
_ROOT = ""


class DirectorySize(NamedTuple):
    """A directory with what lies below it, or with its own files alone where its directories are rows of their own."""

    path: str
    """Without leading `/`; empty = the root."""
    size: int
    """Bytes of files."""
    files: int
    whole: bool
    """Whether everything below is counted."""


class _Node:
    """A directory while it is filled."""

    __slots__ = ("below", "files", "path", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self.files = 0
        self.below: dict[str, _Node] = {}

    def total(self) -> tuple[int, int]:
        """(bytes, files) of everything below."""
        size, files = self.size, self.files
        for node in self.below.values():
            more = node.total()
            size, files = size + more[0], files + more[1]
        return size, files


def directory_sizes(files: Iterable[tuple[str, int]], most: int = MOST) -> tuple[DirectorySize, ...]:
    """Rows whose sizes add up to that of all `files` (path, bytes), the largest first.

    Starting with the root, the largest directory is cut into its directories and its own files until there are `most` rows,
    or nothing is left to cut.  The order of `files` decides nothing.
    """
    whole = [_filled(files)]
    own: list[DirectorySize] = []
    while whole:
        whole.sort(key=lambda node: (-node.total()[0], node.path))
        place = next((number for number, node in enumerate(whole) if node.below), None)
        if place is None:
            break
        chosen = whole[place]
        if len(whole) - 1 + len(own) + len(chosen.below) + bool(chosen.files) > most:
            break
        del whole[place]
        whole += chosen.below.values()
        if chosen.files:
            own.append(DirectorySize(chosen.path, chosen.size, chosen.files, False))
    rows = [*own, *(DirectorySize(node.path, *node.total(), True) for node in whole)]
    return tuple(sorted((row for row in rows if row.files), key=lambda row: (-row.size, row.path)))


def _filled(files: Iterable[tuple[str, int]]) -> _Node:
    root = _Node(_ROOT)
    for path, size in files:
        node = root
        *parents, _ = path.split("/")
        for depth, name in enumerate(parents, 1):
            node = node.below.setdefault(name, _Node("/".join(parents[:depth])))
        node.size += size
        node.files += 1
    return root
