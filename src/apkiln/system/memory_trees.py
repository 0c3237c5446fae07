"""The twin of `system.trees`: trees as dictionaries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType


class MemoryNode(NamedTuple):
    """One path of a tree."""

    entry: Entry
    content: bytes = b""


class MemoryTrees:
    """See `Trees`.  `find` gives `/memory/KEY`."""

    def __init__(self) -> None:
        self.trees: dict[str, dict[str, MemoryNode]] = {}
        self.built: list[str] = []
        """Keys in the order they were filled."""

    def find(self, key: str) -> str | None:
        return f"/memory/{key}" if key in self.trees else None

    @contextmanager
    def build(self, key: str) -> Iterator[MemoryTreeWriter]:
        writer = MemoryTreeWriter()
        yield writer
        self.trees.setdefault(key, writer.nodes)
        self.built.append(key)

    def joined(self, keys: Sequence[str]) -> str:
        key = "joined-" + hashlib.sha256(json.dumps(keys).encode()).hexdigest()
        merged: dict[str, MemoryNode] = {}
        for name in keys:
            for path, node in self.trees[name].items():
                above = [path.rpartition("/")[0]]
                while above[-1]:
                    above.append(above[-1].rpartition("/")[0])
                hidden = any(merged[parent].entry.type is not EntryType.DIRECTORY for parent in above if parent in merged)
                if not hidden:
                    merged.setdefault(path, node)
        self.trees.setdefault(key, merged)
        return f"/memory/{key}"

    def read(self, key: str, path: str, limit: int) -> bytes | None:
        node = self.trees.get(key, {}).get(path)
        found = node is not None and node.entry.type is EntryType.FILE and len(node.content) <= limit
        return node.content if node is not None and found else None


class MemoryTreeWriter:
    """See `TreeWriter`."""

    def __init__(self) -> None:
        self.nodes: dict[str, MemoryNode] = {}

    def add(self, entry: Entry, content: Iterable[bytes]) -> None:
        self._make_parents(paths.check(entry.path))
        if entry.type is not EntryType.DIRECTORY:
            self.remove(entry.path)
        if entry.type is EntryType.HARDLINK:
            target = self.nodes.get(entry.target)
            if target is None or target.entry.type is not EntryType.FILE:
                message = f"the hard link target `{entry.target}` is no file"
                raise FormatError(message, reason="hard-link-target", origin=Origin(member=entry.path))
            self.nodes[entry.path] = target
        elif entry.type in (EntryType.FILE, EntryType.SYMLINK, EntryType.DIRECTORY):
            self.nodes[entry.path] = MemoryNode(entry, b"".join(content))

    def remove(self, path: str) -> None:
        for name in [name for name in self.nodes if name == path or name.startswith(path + "/")]:
            del self.nodes[name]

    def clear(self, path: str) -> None:
        for name in [name for name in self.nodes if not path or name.startswith(path + "/")]:
            del self.nodes[name]

    def _make_parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            node = self.nodes.setdefault(above, MemoryNode(Entry(above, EntryType.DIRECTORY, 0o755)))
            if node.entry.type is not EntryType.DIRECTORY:
                reason = "path-through-symlink" if node.entry.type is EntryType.SYMLINK else "path-below-file"
                message = "a path leads through something that is no directory"
                raise FormatError(message, reason=reason, origin=Origin(member=above))
