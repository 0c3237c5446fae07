"""The decision who owns which path of a tree, as a value (spec apk.md §11.3, image-mode column)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.package_files import PackageFiles


@value
class OwnershipPolicy:
    """What the caller allows."""

    allow_identical: bool = True
    """Two packages may ship the same path with equal type, content, mode, owner and attributes: the first keeps it."""
    strict_origin: bool = False
    """True: packages of one origin may not overwrite each other either."""
    force_overwrite: tuple[str, ...] = ()
    """Shell globs of paths (`*` also matches `/`) that a later package may overwrite without a rule."""
    allow_devices: bool = False
    """Device nodes and fifos in packages are accepted."""
    init_directories: tuple[Directory, ...] = ()
    """Directories the builder makes beforehand; they yield to whatever a package ships (spec image.md §5.2)."""


class Notice(NamedTuple):
    """Something that was decided and that the user may want to know."""

    kind: str
    """`identical`, `same-origin`, `forced`, `directory-differs`, `moved-through-symlink`, `init-directory-yields`."""
    path: str
    winner: str
    """Name and version of the package that has the path."""
    loser: str
    """Name and version of the other package; empty when there is none."""

    def __str__(self) -> str:
        return _TEXTS[self.kind].format(path=self.path, winner=self.winner, loser=self.loser)


_TEXTS = {
    "identical": "`{path}` is the same in {winner} and {loser}; {winner} keeps it",
    "same-origin": "`{path}` of {loser} is overwritten by {winner}, which has the same origin",
    "forced": "`{path}` of {loser} is overwritten by {winner}, as the request forces it",
    "directory-differs": "directory `{path}` has the mode and owner that {winner} gives it; {loser} ships it differently",
    "moved-through-symlink": "what {loser} ships below `{path}` goes where the symlink of {winner} points",
    "init-directory-yields": "the directory `{path}` is not made: {winner} ships something else there",
}


class PlannedPackage(NamedTuple):
    """One package and what becomes of its paths."""

    files: PackageFiles
    excluded: tuple[str, ...] = ()
    """Shipped paths (not directories) that this package does not get, sorted."""
    moved: tuple[tuple[str, str], ...] = ()
    """(shipped path, path in the tree) where a parent directory is a symlink of the tree, sorted; disjoint from `excluded`."""

    def winning(self) -> tuple[tuple[str, str], ...]:
        """(shipped path, path in the tree) of everything the package has, in archive order."""
        lost, moved = frozenset(self.excluded), dict(self.moved)
        return tuple((path, moved.get(path, path)) for path in self.files.paths if path not in lost)


class PlannedDirectory(NamedTuple):
    """One directory of the tree."""

    directory: Directory
    """Path in the tree; mode, ids, attributes and time of the owner."""
    owner: int
    """Position in `TreePlan.packages` of the package that decides; -1 = made by the builder."""
    packages: tuple[int, ...]
    """Positions of all packages that ship it, ascending."""


@value
class TreePlan:
    """The tree that packages make together.  Every path has exactly one owner."""

    packages: tuple[PlannedPackage, ...]
    """In install order."""
    directories: tuple[PlannedDirectory, ...]
    """In tree order (`tree_order`): parents before children."""
    notices: tuple[Notice, ...]

    def owners(self) -> dict[str, int]:
        """Path in the tree (not directories) → position of its package.  Built anew at each call, 1 ms for 8,000 paths."""
        table: dict[str, int] = {}
        for position, package in enumerate(self.packages):
            if package.excluded or package.moved:
                table.update((path, position) for _, path in package.winning())
            else:
                table.update(dict.fromkeys(package.files.paths, position))
        return table


def tree_order(path: str) -> str:
    """Sort key of the depth-first walk with the entries of each directory sorted bytewise (spec image.md §6).

    `lib`, `lib/x`, `lib-y`: the separator sorts below every character a path may hold.  Code points sort as UTF-8 bytes do.
    """
    return path.replace("/", "\0")
