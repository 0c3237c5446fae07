"""Two sides compared, row by row.  Pure; the result is the same value whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.version import compare
from apkiln.image.configuration.model import Pairs
from apkiln.image.difference.contents import UNKNOWN, ArchitectureContents, Contents, FileRow, PackageRow


class PackageChangeKind(Enum):
    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    REBUILT = "rebuilt"
    """Same version, other package."""
    CHANGED = "changed"
    """Same package, other origin or licence as far as the two sides say."""


class PackageChange(NamedTuple):
    """One package that is not the same; one side is None where it is not there."""

    kind: PackageChangeKind
    before: PackageRow | None
    after: PackageRow | None

    @property
    def name(self) -> str:
        row = self.after or self.before
        assert row is not None, "a change has a side"
        return row.name

    @property
    def origin(self) -> str:
        row = self.after or self.before
        assert row is not None, "a change has a side"
        return row.origin


class FileChange(NamedTuple):
    """One path that is not the same."""

    path: str
    before: FileRow | None
    after: FileRow | None
    what: tuple[str, ...]
    """`added`, `removed`, or the fields that differ: `type`, `content`, `mode`, `owner`, `xattrs`, `package`."""

    @property
    def package(self) -> str:
        """Of the newer side, where it has one."""
        return (self.after.package if self.after else "") or (self.before.package if self.before else "")


class SettingChange(NamedTuple):
    """One setting; None = not there."""

    key: str
    before: str | None
    after: str | None


@value
class ArchitectureDifference:
    """What differs on one architecture that both sides have."""

    arch: str
    packages: tuple[PackageChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.packages or self.files or self.settings)

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of the packages that changed, sorted."""
        return tuple(sorted({change.origin for change in self.packages if change.origin}))


@value
class Difference:
    """All that differs.  False when nothing does."""

    before: str
    """Name of the first side."""
    after: str
    added: tuple[str, ...]
    """Architectures that only the second side has."""
    removed: tuple[str, ...]
    architectures: tuple[ArchitectureDifference, ...]
    """One for each architecture that both have, even without differences."""
    settings: tuple[SettingChange, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.settings or any(self.architectures))


def compare_contents(before: Contents, after: Contents) -> Difference:
    """Files are compared where both sides have any: a lock has none.  What one side does not know is no difference."""
    old = {item.arch: item for item in before.architectures}
    new = {item.arch: item for item in after.architectures}
    files = before.has_files and after.has_files
    # Settings of a lock say nothing about those of an image.
    settings = before.has_files == after.has_files
    return Difference(
        before.name,
        after.name,
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(_architecture(old[arch], new[arch], files, settings) for arch in sorted(old.keys() & new.keys())),
        tuple(_settings(before.settings, after.settings)) if settings else (),
    )


def _architecture(
    before: ArchitectureContents, after: ArchitectureContents, files: bool, settings: bool
) -> ArchitectureDifference:
    return ArchitectureDifference(
        before.arch,
        tuple(_packages(before.packages, after.packages)),
        tuple(_files(before.files, after.files)) if files else (),
        tuple(_settings(before.settings, after.settings)) if settings else (),
    )


def _packages(before: Iterable[PackageRow], after: Iterable[PackageRow]) -> Iterator[PackageChange]:
    old, new = {row.name: row for row in before}, {row.name: row for row in after}
    for name in sorted(old.keys() | new.keys()):
        left, right = old.get(name), new.get(name)
        kind = _package_change(left, right)
        if kind is not None:
            yield PackageChange(kind, left, right)


def _package_change(before: PackageRow | None, after: PackageRow | None) -> PackageChangeKind | None:
    if before is None or after is None:
        return PackageChangeKind.ADDED if before is None else PackageChangeKind.REMOVED
    if before.version != after.version:
        return PackageChangeKind.UPGRADED if compare(before.version, after.version) < 0 else PackageChangeKind.DOWNGRADED
    if _contradict(before.identity, after.identity):
        return PackageChangeKind.REBUILT
    if _contradict(before.origin, after.origin) or _contradict(before.license, after.license):
        return PackageChangeKind.CHANGED
    return None


def _contradict(before: str, after: str) -> bool:
    return bool(before and after and before != after)


def _files(before: Iterable[FileRow], after: Iterable[FileRow]) -> Iterator[FileChange]:
    old, new = {row.path: row for row in before}, {row.path: row for row in after}
    for path in sorted(old.keys() | new.keys()):
        left, right = old.get(path), new.get(path)
        if left is None or right is None:
            yield FileChange(path, left, right, ("added" if left is None else "removed",))
        elif left != right:
            yield FileChange(path, left, right, tuple(_fields(left, right)))


def _fields(before: FileRow, after: FileRow) -> Iterator[str]:
    if before.type != after.type:
        yield "type"
    elif (before.content, before.size) != (after.content, after.size):
        yield "content"
    if before.mode != after.mode:
        yield "mode"
    if (before.uid, before.gid) != (after.uid, after.gid):
        yield "owner"
    if before.xattrs != after.xattrs:
        yield "xattrs"
    if before.package != after.package:
        yield "package"


def _settings(before: Pairs, after: Pairs) -> Iterator[SettingChange]:
    old, new = dict(before), dict(after)
    for key in sorted(old.keys() | new.keys()):
        left, right = old.get(key), new.get(key)
        if left != right and (left is None or right is None or UNKNOWN not in (left, right)):
            yield SettingChange(key, *("used" if side == UNKNOWN else side for side in (left, right)))
