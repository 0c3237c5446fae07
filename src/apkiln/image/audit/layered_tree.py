"""The tree that an image's layers leave: laid over each other, whiteouts applied (OCI image layout, "Applying changesets")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.audit.findings import Violation

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_LINK_LIMIT = 40


class Found(NamedTuple):
    """A path as the layers leave it."""

    entry: Entry
    """For a hard link: type, mode, ids and attributes of the file it is a name of, under its own path."""
    sha1: bytes
    """Of the content of a FILE or the target text of a SYMLINK; empty otherwise."""
    sha256: bytes
    """Of the content of a FILE; empty otherwise."""
    joined_with: str = ""
    """The path a hard link names; empty for everything else."""


class LayeredTree:
    """Grows layer by layer; afterwards it is only looked at."""

    def __init__(self) -> None:
        self._found: dict[str, Found] = {}
        self._resolved: dict[str, str | None] = {}
        self._numbers: dict[str, int] = {}
        self.violations: list[Violation] = []
        """Rules a layer itself broke: `duplicate-path`, `hard-link-target`, `missing-parent`, `path-through-file`, `whiteout`."""

    @property
    def found(self) -> Mapping[str, Found]:
        """Every path."""
        return self._found

    def apply(self, layer: Iterable[ContentEntry], number: int) -> None:
        """Lay one layer over the tree; `number` counts from 1 and is only named in violations."""
        entries, removed, opaque = self._sorted_out(layer, number)
        if removed or opaque:
            self._remove(removed, opaque)
        for item in entries:
            self._add(item, number)
        self._resolved.clear()

    def layer_of(self, path: str) -> int:
        """Number of the layer that said last what is at `path`."""
        return self._numbers[path]

    def __contains__(self, path: str) -> bool:
        return path in self._found

    def resolve(self, path: str) -> str | None:
        """`path` with every symlink in it followed, also the last; "" is the root, None when it leads nowhere inside."""
        if path not in self._resolved:
            self._resolved[path] = self._resolve(path)
        return self._resolved[path]

    def real_path(self, path: str) -> str:
        """`path` with symlinks followed in its directories only; unchanged when they lead nowhere."""
        directory = paths.parent(path)
        resolved = self.resolve(directory) if directory else ""
        if not directory or resolved is None:
            return path
        return f"{resolved}/{path.rpartition('/')[2]}" if resolved else path.rpartition("/")[2]

    def _resolve(self, path: str) -> str | None:
        done: list[str] = []
        waiting = path.split("/")[::-1] if path else []
        links = 0
        while waiting:
            component = waiting.pop()
            here = "/".join((*done, component))
            found = self._found.get(here)
            if found is None:
                return None
            if found.entry.type is not EntryType.SYMLINK:
                done.append(component)
                continue
            links += 1
            target = paths.resolve_target(here, found.entry.target)
            if target is None or links > _LINK_LIMIT:
                return None
            done = []
            waiting.extend(target.split("/")[::-1] if target else [])
        return "/".join(done)

    def _sorted_out(self, layer: Iterable[ContentEntry], number: int) -> tuple[list[ContentEntry], set[str], set[str]]:
        entries: list[ContentEntry] = []
        removed: set[str] = set()
        opaque: set[str] = set()
        seen: set[str] = set()
        for item in layer:
            path = item.entry.path
            if path in seen:
                self._broken("duplicate-path", path, number, "once in a layer", "twice")
            seen.add(path)
            directory, _slash, name = path.rpartition("/")
            if name == OPAQUE:
                opaque.add(directory)
            elif name.startswith(WHITEOUT):
                removed.add(paths.join(directory, name[len(WHITEOUT) :]) if name != WHITEOUT else path)
            else:
                entries.append(item)
        for path in removed:
            if path not in self._found:
                self._broken("whiteout", path, number, "a path of a lower layer", "")
        return entries, removed, opaque

    def _remove(self, removed: set[str], opaque: set[str]) -> None:
        gone = [path for path in self._found if path in removed or any(up in removed or up in opaque for up in _above(path))]
        for path in gone:
            del self._found[path]

    def _add(self, item: ContentEntry, number: int) -> None:
        entry = item.entry
        self._numbers[entry.path] = number
        self._check_parent(entry.path, number)
        before = self._found.get(entry.path)
        if before is not None and before.entry.type is EntryType.DIRECTORY and entry.type is not EntryType.DIRECTORY:
            self._remove({entry.path}, set())
        if entry.type is not EntryType.HARDLINK:
            self._found[entry.path] = Found(entry, item.sha1, item.sha256)
            return
        target = self._found.get(entry.target)
        if target is None or target.entry.type in (EntryType.DIRECTORY, EntryType.SYMLINK):
            what = "" if target is None else target.entry.type.name.lower()
            self._broken("hard-link-target", entry.path, number, f"a file at {entry.target}", what)
            self._found[entry.path] = Found(entry, b"", b"", entry.target)
            return
        first = target.joined_with or entry.target
        self._found[entry.path] = Found(target.entry._replace(path=entry.path), target.sha1, target.sha256, first)

    def _check_parent(self, path: str, number: int) -> None:
        directory = paths.parent(path)
        if not directory:
            return
        above = self._found.get(directory)
        if above is None:
            self._broken("missing-parent", path, number, f"a directory entry {directory}", "")
        elif above.entry.type is not EntryType.DIRECTORY:
            self._broken("path-through-file", path, number, f"a directory at {directory}", above.entry.type.name.lower())

    def _broken(self, rule: str, path: str, number: int, expected: str, found: str) -> None:
        self.violations.append(Violation(rule, path, expected, f"{found or 'nothing'} in layer {number}"))


def _above(path: str) -> Iterator[str]:
    """All directories above `path`, and the root as ""."""
    while path:
        path = paths.parent(path)
        yield path
