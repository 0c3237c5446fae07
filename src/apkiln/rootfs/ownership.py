"""Who owns which path when packages are laid over each other (spec apk.md §11.3, image-mode column; image.md §5.2).

Paths in the tree are places that no symlink leads to: `bin/x` of a package becomes `usr/bin/x` when an earlier package's
`bin` is a symlink to `usr/bin`.  Directories are shared; their metadata is that of one owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apkiln.core.errors import ConflictError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.merged_directories import NONE, MergedDirectories, merged_directories
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.replacing import Claim, claim
from apkiln.rootfs.tree_plan import Notice, OwnershipPolicy, PlannedDirectory, PlannedPackage, TreePlan, tree_order


def plan_tree(packages: Sequence[PackageFiles], policy: OwnershipPolicy | None = None) -> TreePlan:
    """Decide every path before anything is written; `packages` in install order.

    Raises ConflictError, or a FaultGroup of all of them: `file-conflict` (two packages, no rule), `file-over-directory`,
    `symlink-over-directory`, `device-not-allowed`.  Pure; the answer depends on the order of packages only where the rules
    speak of an earlier and a later one.  Cost: one pass over all paths as sets, more only for paths that meet.
    """
    policy = policy or OwnershipPolicy()
    faults = FaultCollector.empty()
    _refuse_devices(packages, policy, faults)
    merged = merged_directories(packages, policy, faults)
    directories, directory_notices = _plan_directories(packages, merged, policy)
    files = _plan_files(packages, merged, policy, faults)
    directories, init_notices = _against_directories(packages, files, directories, faults)
    faults.raise_if_any()
    planned = tuple(_planned(package, position, files) for position, package in enumerate(packages))
    ordered = tuple(sorted(directories.values(), key=lambda item: tree_order(item.directory.path)))
    return TreePlan(planned, ordered, (*merged.notices, *files.notices, *directory_notices, *init_notices))


class _Place(NamedTuple):
    """Who has a path that several packages ship."""

    position: int
    shipped: str


class _Files(NamedTuple):
    moved: tuple[Mapping[str, str], ...]
    """By package: shipped path → place, where they differ."""
    places: frozenset[str]
    """Every path of the tree that is not a directory."""
    contested: Mapping[str, _Place]
    """The paths that several packages ship."""
    notices: tuple[Notice, ...]


def _refuse_devices(packages: Sequence[PackageFiles], policy: OwnershipPolicy, faults: FaultCollector) -> None:
    if policy.allow_devices:
        return
    for package in packages:
        for path in package.devices:
            faults.add(
                ConflictError(
                    f"{package.name_version} ships `{path}`, which is a device node or fifo",
                    reason="device-not-allowed",
                    origin=Origin(member=path, package=package.name_version),
                    hint="allow devices in packages for this image if it is meant",
                )
            )


def _plan_files(
    packages: Sequence[PackageFiles], merged: MergedDirectories, policy: OwnershipPolicy, faults: FaultCollector
) -> _Files:
    parents: dict[str, str] = {}
    moved = tuple(_moved(package, merged, parents) for package in packages)
    places, met = _places(packages, moved)
    if not met:
        return _Files(moved, frozenset(places), {}, ())
    contested: dict[str, _Place] = {}
    notices: list[Notice] = []
    for position, package in enumerate(packages):
        for shipped in package.paths:
            place = moved[position].get(shipped, shipped)
            if place not in met:
                continue
            if place not in contested:
                contested[place] = _Place(position, shipped)
                continue
            outcome = _meet(packages, contested[place], _Place(position, shipped), place, policy, notices, faults)
            if outcome.newcomer_wins:
                contested[place] = _Place(position, shipped)
    return _Files(moved, frozenset(places), contested, tuple(notices))


def _moved(package: PackageFiles, merged: MergedDirectories, parents: dict[str, str]) -> Mapping[str, str]:
    """The paths of a package that lie elsewhere in the tree; `parents` remembers directories from package to package."""
    if merged is NONE:
        return {}
    found = {}
    for path in package.paths:
        parent, _, name = path.rpartition("/")
        place = parents.get(parent)
        if place is None:
            place = parents[parent] = merged.directory(parent)
        if place != parent:
            found[path] = f"{place}/{name}" if place else name
    return found


def _places(packages: Sequence[PackageFiles], moved: Sequence[Mapping[str, str]]) -> tuple[set[str], set[str]]:
    """All places, and those that are shipped more than once."""
    places: set[str] = set()
    met: set[str] = set()
    for position, package in enumerate(packages):
        renamed = moved[position]
        own: Sequence[str] = package.paths
        if renamed:
            own = [renamed.get(path, path) for path in package.paths]
            met |= _repeated(own)  # `bin/x` and `usr/bin/x` of one package
        met |= places.intersection(own)
        places.update(own)
    return places, met


def _repeated(paths: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    found: set[str] = set()
    for path in paths:
        (found if path in seen else seen).add(path)
    return found


def _meet(
    packages: Sequence[PackageFiles],
    owner: _Place,
    newcomer: _Place,
    place: str,
    policy: OwnershipPolicy,
    notices: list[Notice],
    faults: FaultCollector,
) -> Claim:
    old, new = packages[owner.position], packages[newcomer.position]
    outcome = claim(old, owner.shipped, new, newcomer.shipped, place, policy)
    if outcome is Claim.CONFLICT:
        faults.add(_conflict(old, new, place))
    elif outcome is Claim.IDENTICAL:
        notices.append(Notice(outcome.value, place, old.name_version, new.name_version))
    elif outcome in (Claim.SAME_ORIGIN, Claim.FORCED):
        notices.append(Notice(outcome.value, place, new.name_version, old.name_version))
    return outcome


def _conflict(old: PackageFiles, new: PackageFiles, place: str) -> ConflictError:
    return ConflictError(
        f"{new.name_version} would overwrite `{place}`, which belongs to {old.name_version}",
        reason="file-conflict",
        origin=Origin(member=place, package=new.name_version),
        hint=f"let one package declare `replaces` for the other, or allow this path with `--force-overwrite={place}`",
    )


def _plan_directories(
    packages: Sequence[PackageFiles], merged: MergedDirectories, policy: OwnershipPolicy
) -> tuple[dict[str, PlannedDirectory], list[Notice]]:
    """Place → directory.  The owner is the first of `_authority` that ships it; the builder's own come last."""
    chosen: dict[str, Directory] = {}
    shippers: dict[str, list[int]] = {}
    differing: list[tuple[str, int]] = []
    for position in _authority(packages):
        for directory in packages[position].directories:
            place = directory.path if merged is NONE else merged.place(directory.path)
            if place in merged.targets:
                continue
            known = chosen.get(place)
            if known is None:
                chosen[place] = directory if place == directory.path else directory._replace(path=place)
                shippers[place] = [position]
            elif shippers[place][-1] != position:
                shippers[place].append(position)
                if known[1:4] != directory[1:4] or known.xattrs != directory.xattrs:
                    differing.append((place, position))
    planned = {
        place: PlannedDirectory(directory, shippers[place][0], tuple(sorted(shippers[place])))
        for place, directory in chosen.items()
    }
    for directory in policy.init_directories:
        place = merged.directory(directory.path)
        if place and place not in planned:
            planned[place] = PlannedDirectory(directory._replace(path=place), -1, ())
    notices = [
        Notice("directory-differs", place, packages[planned[place].owner].name_version, packages[position].name_version)
        for place, position in sorted(differing)
    ]
    return planned, notices


def _authority(packages: Sequence[PackageFiles]) -> list[int]:
    """Positions in the order in which packages decide about shared directories: higher `replaces_priority`, then the package
    whose name equals its origin, then by name."""

    def key(position: int) -> tuple[int, bool, str, int]:
        info = packages[position].head.info
        return -info.replaces_priority, info.name != info.origin, info.name, position

    return sorted(range(len(packages)), key=key)


def _against_directories(
    packages: Sequence[PackageFiles], files: _Files, directories: dict[str, PlannedDirectory], faults: FaultCollector
) -> tuple[dict[str, PlannedDirectory], list[Notice]]:
    """Faults for places that are a directory and something else; empty directories of the builder yield instead."""
    both = files.places & directories.keys()
    if not both:
        return directories, []
    owners = _owners_of(both, packages, files)
    yielding, notices = set(), []
    for place in sorted(both):
        owner = packages[owners[place]]
        found = directories[place]
        if found.owner < 0 and not _is_used(place, files, directories):
            yielding.add(place)
            notices.append(Notice("init-directory-yields", place, owner.name_version, ""))
        elif place not in {fault.origin.member for fault in faults.faults}:
            faults.add(_over_directory(place, owner, [packages[item] for item in found.packages]))
    gone = tuple(f"{place}/" for place in yielding)
    kept = {place: item for place, item in directories.items() if place not in yielding and not (gone and place.startswith(gone))}
    return kept, notices


def _is_used(place: str, files: _Files, directories: Mapping[str, PlannedDirectory]) -> bool:
    """Whether a package ships anything below the directory."""
    below = f"{place}/"
    return any(path.startswith(below) for path in files.places) or any(
        path.startswith(below) and item.owner >= 0 for path, item in directories.items()
    )


def _over_directory(place: str, owner: PackageFiles, others: Sequence[PackageFiles]) -> ConflictError:
    names = ", ".join(package.name_version for package in others) or "the builder"
    return ConflictError(
        f"`{place}` is not a directory in {owner.name_version}, but a directory in {names}",
        reason="file-over-directory",
        origin=Origin(member=place, package=owner.name_version),
        hint="rebuild one of the packages without the path",
    )


def _owners_of(wanted: frozenset[str], packages: Sequence[PackageFiles], files: _Files) -> dict[str, int]:
    found = {place: files.contested[place].position for place in wanted if place in files.contested}
    for position, package in enumerate(packages):
        for shipped in package.paths:
            place = files.moved[position].get(shipped, shipped)
            if place in wanted and place not in files.contested:
                found[place] = position
    return found


def _planned(package: PackageFiles, position: int, files: _Files) -> PlannedPackage:
    renamed = files.moved[position]
    if not files.contested and not renamed:
        return PlannedPackage(package)
    lost = set()
    if files.contested:
        for shipped in package.paths:
            place = renamed.get(shipped, shipped)
            if place in files.contested and files.contested[place] != (position, shipped):
                lost.add(shipped)
    moved = sorted((shipped, place) for shipped, place in renamed.items() if shipped not in lost)
    return PlannedPackage(package, tuple(sorted(lost)), tuple(moved))
