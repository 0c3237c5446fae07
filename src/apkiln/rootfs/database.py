"""What apk's own database says of a planned tree: `installed`, `scripts.tar`, `triggers` (spec apk.md §4, image.md §5.3).

The database equals the tree.  A path lost to another package is not in the loser's record; a path that a symlink of the tree
moves stands where it is; a shared directory has the metadata of its owner in every record; a path whose mode or owner a rule
changed has the new ones; a path that a rule removed, or made into something of another type, is in no record.  The checksum
of a file whose *content* a rule changed stays that of the package: apk then sees a file changed by the administrator, and an
upgrade inside the image keeps it (spec apk.md §11.4) instead of writing the package's passwd over the image's accounts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.installed_text import FileLine, checksum, files_text
from apkiln.rootfs.tree_plan import TreePlan

Changes = Mapping[str, Entry | None]
"""Path in the tree → its entry after all rules, None when it is gone; only paths that packages have."""
_REWRITING = frozenset({"directory-differs", "moved-through-symlink"})
"""Notices whose loser has other lines than it would have alone."""


def installed_database(plan: TreePlan, changes: Changes | None = None, tags: Mapping[str, str] | None = None) -> bytes:
    """The text of `installed`: one record a package, by name without regard to case, then bytewise.

    `plan`: before rules took paths away.  `tags`: package name → repository tag, without `@`.  Records of packages that have
    all their paths are put together from stored text; only the others are decoded.
    """
    changes, tags = changes or {}, tags or {}
    writer = _FileLines(plan, changes)
    parts = []
    for position in _by_name(plan):
        files = plan.packages[position].files
        tag = f"s:{tags[files.name]}\n" if tags.get(files.name) else ""
        parts += [files.database_lines().head, tag.encode(), writer.text(position), b"\n"]
    return b"".join(parts)


def partial_database(plan: TreePlan, group: Collection[int]) -> bytes:
    """The records of some packages of a plan, in the order of `installed`.

    Depends on these packages and on the paths that they lose or have moved, on nothing else: directories have the metadata
    that each package ships, and repository tags are left out.
    """
    parts = []
    for position in _by_name(plan):
        if position in group:
            package = plan.packages[position]
            lines = package.files.database_lines()
            own = lines.files if not package.excluded and not package.moved else _own_files(plan, position)
            parts += [lines.head, own, b"\n"]
    return b"".join(parts)


def scripts_archive(plan: TreePlan) -> bytes:
    """`scripts.tar`: all scripts of all packages, packages in the order of `installed`; two zero blocks when there are none."""
    return tar_writer.archive(_scripts(plan))


def triggers_text(plan: TreePlan) -> bytes:
    """`triggers`: a line `Q1<identity> <glob> …` for each package that has any, in the order of `installed`."""
    packages = [plan.packages[position].files for position in _by_name(plan)]
    lines = [
        " ".join((checksum(files.head.identity), *files.head.info.triggers)) for files in packages if files.head.info.triggers
    ]
    return "".join([f"{line}\n" for line in lines]).encode()


def _by_name(plan: TreePlan) -> list[int]:
    def key(position: int) -> tuple[str, str]:
        name = plan.packages[position].files.name
        return name.lower(), name

    return sorted(range(len(plan.packages)), key=key)


def _own_files(plan: TreePlan, position: int) -> bytes:
    """The lines of a package as it would have them alone, without the paths that it does not get."""
    package = plan.packages[position]
    shipped = {item.path: item for item in package.files.directories}
    paths = [item.directory.path for item in plan.directories if position in item.packages]
    files = [
        FileLine.of(package.files.entry(path), package.files.content_entry(path), place) for path, place in package.winning()
    ]
    return files_text([shipped.get(path, Directory(path)) for path in paths], files)


def _scripts(plan: TreePlan) -> Iterator[tuple[Entry, bytes]]:
    for position in _by_name(plan):
        head = plan.packages[position].files.head
        for kind, text in head.scripts:
            path = f"{head.info.name_version}.X1{head.identity.hex()}.{kind}"
            yield Entry(path, EntryType.FILE, 0o755, size=len(text), mtime=head.info.build_date), text


class _FileLines:
    """The directory and file lines of each package, stored text where nothing differs from it."""

    def __init__(self, plan: TreePlan, changes: Changes) -> None:
        self._plan = plan
        self._changes = changes
        self._different = frozenset(notice.loser for notice in plan.notices if notice.kind in _REWRITING)
        self._touched = _touched(plan, changes) if changes else frozenset[int]()
        self._shared: dict[int, list[Directory]] | None = None

    def text(self, position: int) -> bytes:
        package = self._plan.packages[position]
        whole = not package.excluded and not package.moved and package.files.name_version not in self._different
        if whole and position not in self._touched:
            return package.files.database_lines().files
        return files_text(self._directories(position), self._files(position))

    def _directories(self, position: int) -> Iterable[Directory]:
        """The directories of a package as the tree has them."""
        if self._shared is None:
            self._shared = {index: [] for index in range(len(self._plan.packages))}
            for item in self._plan.directories:
                found = self._directory(item.directory)
                if found is not None:
                    for index in item.packages:
                        self._shared[index].append(found)
        return self._shared[position]

    def _directory(self, directory: Directory) -> Directory | None:
        if directory.path not in self._changes:
            return directory
        entry = self._changes[directory.path]
        return Directory.of(entry) if entry is not None and entry.type is EntryType.DIRECTORY else None

    def _files(self, position: int) -> Iterator[FileLine]:
        package = self._plan.packages[position]
        for shipped, place in package.winning():
            item = package.files.entry(shipped)
            line = FileLine.of(item, package.files.content_entry(shipped), place)
            if place not in self._changes:
                yield line
                continue
            changed = self._changes[place]
            if changed is not None and _is_still(item.entry, changed):
                inode = self._changes.get(changed.target) if changed.type is EntryType.HARDLINK else changed
                yield line if inode is None else _with_metadata(line, inode)


def _is_still(shipped: Entry, changed: Entry) -> bool:
    """Whether a changed path is of the type its package ships; names of one file are alike, whichever holds the content."""
    if shipped.type is EntryType.SYMLINK or changed.type is EntryType.SYMLINK:
        return shipped.type is changed.type and shipped.target == changed.target
    return _kind(shipped.type) is _kind(changed.type)


def _with_metadata(line: FileLine, entry: Entry) -> FileLine:
    return line._replace(mode=entry.mode, uid=entry.uid, gid=entry.gid, xattrs=entry.xattrs)


def _kind(kind: EntryType) -> EntryType:
    return EntryType.FILE if kind is EntryType.HARDLINK else kind


def _touched(plan: TreePlan, changes: Changes) -> frozenset[int]:
    """Positions of the packages that have one of the changed paths."""
    owners = plan.owners()
    found = {owners[path] for path in changes if path in owners}
    for item in plan.directories:
        if item.directory.path in changes:
            found.update(item.packages)
    return frozenset(found)
