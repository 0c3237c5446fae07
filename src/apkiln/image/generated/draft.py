"""The tree of an image while rules complete it: the files of packages below, what rules wrote above (spec image.md §5.1).

A rule names itself when it writes; the last rule that writes a path answers for it.  The packages' part is never changed:
a path that a rule takes over from a package is an *override*, kept with the name of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apkiln.core.errors import ApkilnError, ConfigurationError, ConflictError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType

NOWHERE = Origin()
_LINK_LIMIT = 40
"""Symlinks followed in one look-up, as Linux does."""


class Peek(NamedTuple):
    """What kind of thing lies at a path."""

    directory: bool
    target: str = ""
    """Text of a symlink; empty for everything else."""


class PackageTree(Protocol):
    """The files of all packages, as planned by `rootfs`."""

    def entry(self, path: str) -> Entry | None:
        """What packages put at `path`, None when nothing; links are not followed."""

    def peek(self, path: str) -> Peek | None:
        """As `entry`, but only the kind, and cheap."""

    def package(self, path: str) -> str:
        """Name of the package that owns `path`."""

    def paths(self) -> Iterable[str]:
        """All paths, in any order."""

    def links_to(self, path: str) -> Iterable[str]:
        """Paths that are hard links to the FILE at `path`."""

    def read(self, path: str) -> bytes:
        """Content of the FILE at `path`."""


class Node(NamedTuple):
    """A path as a rule leaves it."""

    rule: str
    """Name of the rule that wrote it last, kebab-case."""
    entry: Entry
    content: bytes | None = b""
    """Content of a FILE; None = the content of the package's file at `source` stays."""
    source: str = ""
    """Path, in the packages' tree, of the FILE whose content is kept."""


class SavedDraft(NamedTuple):
    """What rules had written at some moment."""

    nodes: Mapping[str, Node]
    removed: frozenset[str]


class Draft:
    """Look-ups see packages and rules as one tree; writes go to the rules' part.  Paths are relative, "" is the root."""

    def __init__(self, packages: PackageTree) -> None:
        self._packages = packages
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, set[str]] | None = None
        self._removed: set[str] = set()
        self.notices: list[str] = []
        """Remarks for the user, one line each, in order."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        """What rules wrote, by path."""
        return self._nodes

    @property
    def removed(self) -> frozenset[str]:
        """Paths of packages that are not in the tree any more: directories that a link took the place of."""
        return frozenset(self._removed - self._nodes.keys())

    @property
    def packages(self) -> PackageTree:
        return self._packages

    def entry(self, path: str) -> Entry | None:
        """The entry at `path`; links are not followed.  None when there is nothing."""
        node = self._nodes.get(path)
        if node:
            return node.entry
        return None if path in self._removed else self._packages.entry(path)

    def peek(self, path: str) -> Peek | None:
        """The kind of what is at `path`; None when there is nothing."""
        node = self._nodes.get(path)
        if node:
            entry = node.entry
            return Peek(entry.type is EntryType.DIRECTORY, entry.target if entry.type is EntryType.SYMLINK else "")
        return None if path in self._removed else self._packages.peek(path)

    def exists(self, path: str) -> bool:
        return self.peek(path) is not None

    def read(self, path: str) -> bytes:
        """Content of the FILE that `path` is or leads to through symlinks.  Raises ConfigurationError (`no-such-path`)."""
        final = self.resolve(path)
        entry = self.entry(final)
        if entry is not None and entry.type is EntryType.HARDLINK:
            final, entry = entry.target, self.entry(entry.target)
        if entry is None or entry.type is not EntryType.FILE:
            raise _fault(f"`/{path}` is not a file of the image", "no-such-path")
        node = self._nodes.get(final)
        if node is None:
            return self._packages.read(final)
        return self._packages.read(node.source) if node.content is None else node.content

    def file_at(self, path: str) -> str:
        """The path of what `path` is or leads to through symlinks, unless it is a directory; "" when there is none."""
        try:
            final = self.resolve(path)
        except ConfigurationError:
            return ""
        found = self.peek(final)
        return final if found is not None and not found.directory else ""

    def children(self, path: str) -> tuple[str, ...]:
        """Paths directly below the directory `path`, sorted."""
        if self._children is None:
            self._children = {}
            for known in (*self._packages.paths(), *self._nodes):
                self._children.setdefault(paths.parent(known), set()).add(known)
        found = self._children.get(path, ())
        return tuple(sorted(child for child in found if child in self._nodes or child not in self._removed))

    def below(self, path: str) -> Iterable[str]:
        """Every path below `path`, depth first, sorted; links are not followed."""
        for child in self.children(path):
            yield child
            yield from self.below(child)

    def resolve_parent(self, path: str, origin: Origin = NOWHERE) -> str:
        """`path` with every symlink among its parent directories replaced by where it leads inside the root.

        Missing parents are kept as written.  Raises ConfigurationError: `path-through-file`, `path-leaves-root`,
        `too-many-links`.
        """
        directory, _, base = path.rpartition("/")
        if not directory:
            return path
        resolved = self.resolve(directory, origin)
        return paths.join(resolved, base) if resolved else base

    def resolve(self, path: str, origin: Origin = NOWHERE) -> str:
        """`path` with symlinks replaced in every component, the last included; "" is the root."""
        done: list[str] = []
        waiting = path.split("/")[::-1]
        links = 0
        while waiting:
            component = waiting.pop()
            here = "/".join((*done, component))
            found = self.peek(here)
            if found is None or found.directory or (not waiting and not found.target):
                done.append(component)
                continue
            if not found.target:
                raise _fault(f"`/{here}` is not a directory", "path-through-file", origin)
            links += 1
            target = paths.resolve_target(here, found.target)
            if target is None or links > _LINK_LIMIT:
                reason = "path-leaves-root" if target is None else "too-many-links"
                raise _fault(f"the link `/{here}` cannot be followed inside the image", reason, origin)
            done = []
            waiting.extend(target.split("/")[::-1] if target else [])
        return "/".join(done)

    def put(self, rule: str, entry: Entry, content: bytes | None = b"", source: str = "", origin: Origin = NOWHERE) -> None:
        """Write a path; parents must exist or are made with mode 0755.  A FILE's size is taken from `content`.

        Raises ConflictError (`directory-in-the-way`) when a directory would be replaced by something else.
        """
        present = self.entry(entry.path)
        if present is not None and present.type is EntryType.DIRECTORY and entry.type is not EntryType.DIRECTORY:
            raise ConflictError(f"`/{entry.path}` is a directory", reason="directory-in-the-way", origin=origin)
        self.make_parents(rule, entry.path, origin)
        self._detach(rule, entry.path)
        if entry.type is EntryType.FILE and content is not None:
            entry = entry._replace(size=len(content))
        self._store(Node(rule, entry, content, source))

    def put_over_directories(self, rule: str, entry: Entry, origin: Origin = NOWHERE) -> None:
        """Write `entry` where a directory is that holds nothing but directories; they go.

        Raises ConflictError (`directory-not-empty`) that names the first other path below.
        """
        below = tuple(self.below(entry.path))
        for path in below:
            present = self.entry(path)
            if present is not None and present.type is not EntryType.DIRECTORY:
                owner = "" if path in self._nodes else self._packages.package(path)
                raise ConflictError(
                    f"`/{entry.path}` cannot be replaced: it holds `/{path}`",
                    reason="directory-not-empty",
                    origin=origin.filled(Origin(package=owner)),
                )
        for path in (entry.path, *below):
            self._nodes.pop(path, None)
            self._removed.add(path)
        self._store(Node(rule, entry))

    def forget(self, path: str) -> None:
        """Take what rules wrote at `path` and below out of the tree.  Of packages only directories may go."""
        for name in (*self.below(path), path):
            self._nodes.pop(name, None)
            if self._packages.peek(name) is not None:
                self._removed.add(name)
        self._children = None

    def make_parents(self, rule: str, path: str, origin: Origin = NOWHERE) -> None:
        """Make the missing directories above `path`: 0755, owner 0:0, time 0."""
        directory = paths.parent(path)
        if not directory:
            return
        present = self.peek(directory)
        if present is None:
            self.make_parents(rule, directory, origin)
            self._store(Node(rule, Entry(directory, EntryType.DIRECTORY, 0o755)))
        elif not present.directory:
            raise _fault(f"`/{directory}` is not a directory", "path-through-file", origin)

    def change(self, rule: str, path: str, **fields: object) -> None:
        """Give an existing entry other metadata (`mode`, `uid`, `gid`, `xattrs`, `mtime`); the content stays.

        Names joined by hard links are one file: all of them change.
        """
        for name in self.linked_names(path):
            node = self._nodes.get(name)
            entry = self.entry(name)
            assert entry is not None, f"{name} does not exist"
            changed = entry._replace(**fields)  # type: ignore[arg-type]
            if node is None and entry.type is EntryType.FILE:
                self._store(Node(rule, changed, None, name))
            else:
                content, source = (node.content, node.source) if node else (b"", "")
                self._store(Node(rule, changed, content, source))

    def linked_names(self, path: str) -> tuple[str, ...]:
        """`path` and every name joined with it by hard links, the one that holds the content first."""
        entry = self.entry(path)
        first = entry.target if entry is not None and entry.type is EntryType.HARDLINK else path
        names = {name for name in self._packages.links_to(first) if self._links_to(name, first)}
        names.update(name for name in self._nodes if self._links_to(name, first))
        return (first, *sorted(names))

    def _links_to(self, name: str, target: str) -> bool:
        entry = self.entry(name)
        return entry is not None and entry.type is EntryType.HARDLINK and entry.target == target

    def _detach(self, rule: str, path: str) -> None:
        """Before the content at `path` goes: hand it to the other names that are hard links to it."""
        entry = self.entry(path)
        if entry is None or entry.type is not EntryType.FILE:
            return
        first, *others = self.linked_names(path)
        if not others:
            return
        node = self._nodes.get(first)
        content, source = (node.content, node.source) if node else (None, first)
        self._store(Node(rule, entry._replace(path=others[0]), content, source))
        for name in others[1:]:
            self._store(Node(rule, entry._replace(path=name, type=EntryType.HARDLINK, size=0, target=others[0])))

    def _store(self, node: Node) -> None:
        path = node.entry.path
        self._nodes[path] = node
        if self._children is not None:
            self._children.setdefault(paths.parent(path), set()).add(path)

    def saved(self) -> SavedDraft:
        """The rules' part as it is now, for `restore`."""
        return SavedDraft(dict(self._nodes), frozenset(self._removed))

    def restore(self, saved: SavedDraft) -> None:
        """Drop everything that was written since `saved` was taken."""
        self._nodes = dict(saved.nodes)
        self._removed = set(saved.removed)
        self._children = None

    def notice(self, message: str) -> None:
        self.notices.append(message)


def _fault(message: str, reason: str, origin: Origin = NOWHERE) -> ApkilnError:
    return ConfigurationError(message, reason=reason, origin=origin)
