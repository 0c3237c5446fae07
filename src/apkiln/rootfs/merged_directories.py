"""Directories of packages that lie where another package has a symlink: the merged `/usr` (spec apk.md §11.3, image.md §5.2).

A directory entry over an earlier package's symlink is accepted when the link leads to a directory inside the root; what lies
below then goes to the link's target, so that no path of the tree leads through a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from apkiln.core.errors import ConflictError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.replacing import claim
from apkiln.rootfs.tree_plan import Notice, OwnershipPolicy

_LINK_LIMIT = 40
"""Symlinks followed in one look-up, as Linux does."""


class MergedDirectories(NamedTuple):
    """The symlinks of the tree that stand for directories of packages."""

    targets: Mapping[str, str]
    """Path of the link in the tree → path of the directory it leads to ("" = the root)."""
    notices: tuple[Notice, ...]

    def place(self, path: str) -> str:
        """`path` with every such link among its parent directories replaced."""
        parent, slash, name = path.rpartition("/")
        if not slash:
            return path
        return f"{place}/{name}" if (place := self.directory(parent)) else name

    def directory(self, path: str) -> str:
        """The path at which the directory `path` really is; "" is the root."""
        done = ""
        for component in path.split("/"):
            done = f"{done}/{component}" if done else component
            done = self.targets.get(done, done)
        return done


NONE = MergedDirectories({}, ())


def merged_directories(packages: Sequence[PackageFiles], policy: OwnershipPolicy, faults: FaultCollector) -> MergedDirectories:
    """Find the links.  Adds ConflictError `symlink-over-directory` for each that may not stand for a directory.

    Costs one pass over symlinks and directories when there are none.
    """
    links = {path for package in packages for path, _ in package.symlinks}
    shipped = {directory.path for package in packages for directory in package.directories}
    if links.isdisjoint(shipped):
        return NONE
    finder = _Finder(packages, policy, faults)
    while finder.go_on():
        pass
    return MergedDirectories(finder.targets, tuple(finder.notices))


class _Link(NamedTuple):
    position: int
    """The package that has the link."""
    target: str
    """Its text."""


class _Finder:
    """Looks again after each round, because moved paths may meet further links."""

    def __init__(self, packages: Sequence[PackageFiles], policy: OwnershipPolicy, faults: FaultCollector) -> None:
        self.targets: dict[str, str] = {}
        self.notices: list[Notice] = []
        self._packages = packages
        self._policy = policy
        self._faults = faults
        self._refused: set[str] = set()

    def go_on(self) -> bool:
        """One round; False when nothing new was found."""
        known = MergedDirectories(self.targets, ())
        links = self._links(known)
        shippers = self._shippers(known)
        directories = shippers.keys() | {item.path for item in self._policy.init_directories} | {""}
        found = sorted((links.keys() & shippers.keys()) - self._refused)
        for path in found:
            target = _resolve(path, links, directories)
            link, later = links[path], shippers[path]
            if target is None or target == path or min(later) < link.position:
                self._refused.add(path)
                self._faults.add(self._fault(path, link, later, leads_nowhere=target is None))
                continue
            self.targets[path] = target
            winner = self._packages[link.position].name_version
            self.notices += [Notice("moved-through-symlink", path, winner, self._packages[item].name_version) for item in later]
        return bool(found)

    def _links(self, known: MergedDirectories) -> dict[str, _Link]:
        """Path in the tree → the symlink that wins it."""
        found: dict[str, _Link] = {}
        shipped: dict[str, str] = {}
        for position, package in enumerate(self._packages):
            for path, target in package.symlinks:
                place = known.place(path)
                if place in found:
                    owner = self._packages[found[place].position]
                    if not claim(owner, shipped[place], package, path, place, self._policy).newcomer_wins:
                        continue
                found[place], shipped[place] = _Link(position, target), path
        return found

    def _shippers(self, known: MergedDirectories) -> dict[str, list[int]]:
        """Place in the tree → positions of the packages that ship a directory there; places that are links already left out."""
        found: dict[str, list[int]] = {}
        for position, package in enumerate(self._packages):
            for directory in package.directories:
                place = known.place(directory.path)
                if place not in known.targets:
                    found.setdefault(place, []).append(position)
        return found

    def _fault(self, path: str, link: _Link, shippers: Iterable[int], *, leads_nowhere: bool) -> ConflictError:
        winner = self._packages[link.position].name_version
        others = ", ".join(self._packages[item].name_version for item in shippers)
        why = "does not lead to a directory of the image" if leads_nowhere else "comes after the directory"
        return ConflictError(
            f"`{path}` is a symlink to `{link.target}` in {winner} and a directory in {others}; the link {why}",
            reason="symlink-over-directory",
            origin=Origin(member=path, package=winner),
            hint="rebuild one of the packages with the path where the link leads",
        )


def _resolve(path: str, links: Mapping[str, _Link], directories: Iterable[str]) -> str | None:
    """Where `path` leads, component by component inside the root; None when that is no directory of the tree."""
    known = frozenset(directories)
    done: list[str] = []
    waiting = path.split("/")[::-1]
    followed = 0
    while waiting:
        component = waiting.pop()
        if component in ("", "."):
            continue
        if component == "..":
            if not done:
                return None
            done.pop()
            continue
        here = "/".join((*done, component))
        if here not in links:
            done.append(component)
            continue
        followed += 1
        if followed > _LINK_LIMIT:
            return None
        target = links[here].target
        if target.startswith("/"):
            done = []
        waiting.extend(target.split("/")[::-1])
    place = "/".join(done)
    return place if place in known else None
