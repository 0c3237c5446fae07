"""Locks made and updated: the plan is resolved, every package fetched and verified, the facts written down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.acquire.access import Access
from apkiln.acquire.facts import package_facts
from apkiln.acquire.index_facts import index_facts
from apkiln.acquire.indexes import LoadedIndex
from apkiln.acquire.packages import acquire_packages
from apkiln.acquire.pinned import acquire_pinned
from apkiln.core.arch import Arch
from apkiln.core.errors import UsageError
from apkiln.core.origin import Origin
from apkiln.core.value import replace
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.configuration.loading import LoadedConfiguration
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.local_files import read_local_files
from apkiln.image.lock.document import Lock, LockedPackage
from apkiln.image.lock.making import Findings, IndexKey, make_lock
from apkiln.image.lock.ordering import ordered
from apkiln.image.lock.replaying import LockFile, Places
from apkiln.image.refusals import located_refusals
from apkiln.image.resolving import (
    OpenPlace,
    Resolution,
    ResolveOptions,
    load_bases,
    load_sources,
    problem_of,
    resolution_of,
    unify_problems,
)
from apkiln.image.unify import Problem
from apkiln.solver.request import NamedWish, Request, Wish
from apkiln.solver.solution import SelectedPackage, Solution

if TYPE_CHECKING:
    from apkiln.image.base.opening import Base


def lock_image(
    name: str,
    loaded: LoadedConfiguration,
    resolution: Resolution,
    directory: PurePath,
    access: Access,
    flags: Sequence[str] = (),
) -> Lock:
    """Fetch what the resolution chose and write down what it is.

    `name`: the definition as typed; `directory`: where it lies; `flags`: see `make_lock`.  Raises what acquiring raises.
    """
    packages = []
    for architecture in resolution.architectures:
        acquired = acquire_packages(architecture.selected, access, keyring=resolution.keyring, check_stored=False)
        packages.append(tuple(package_facts(package, access) for package in acquired))
    indexes = {
        IndexKey(index.repository.index_url(index.arch), index.arch): index_facts(index, access) for index in resolution.indexes
    }
    local = read_local_files(access.files, directory, loaded.configuration.paths, access.limits)
    return make_lock(name, loaded, resolution, Findings(tuple(packages), indexes, local), flags)


def resolve_update(
    file: LockFile,
    names: Collection[str],
    loaded: LoadedConfiguration,
    options: ResolveOptions,
    access: Access,
    open_place: OpenPlace | None = None,
) -> Resolution:
    """The resolution in which `names` are as new as the indexes have them and everything else stays as the lock has it,
    unless the new versions or changed requests force it.

    The locked packages count as installed, as on a running system where `apk upgrade NAME…` is called; what no repository
    lists any more is kept by its address.  A base image is as it is now.

    Raises UsageError (`not-in-lock`) and what resolving and acquiring raise.
    """
    _check_names(file, names)
    configuration = loaded.configuration
    sources = load_sources(configuration, options, access)
    places = Places(configuration, file.lock)
    bases = load_bases(configuration, [arch for arch, _ in sources.indexes], access, open_place)
    kept = {arch: _Kept(arch, file.lock, indexes, places, access) for arch, indexes in sources.indexes}
    problems = [
        _updating(problem_of(configuration, arch, indexes, bases.get(arch)), kept[arch], names)
        for arch, indexes in sources.indexes
    ]
    with located_refusals(configuration, sources.indexes):
        unified = unify_problems(configuration, problems, options)
    whole = tuple(
        (arch, _whole(configuration, arch, solution, kept[arch], bases.get(arch))) for arch, solution in unified.solutions
    )
    sources = replace(sources, repositories=places.repositories)
    return resolution_of(configuration, loaded.checksum, sources, replace(unified, solutions=whole), options, bases)


class _Kept:
    """The locked packages of one architecture as an installed set."""

    def __init__(self, arch: Arch, lock: Lock, indexes: Sequence[LoadedIndex], places: Places, access: Access) -> None:
        rows = lock.of(arch.apk)
        listed = [_listed(row, indexes) for row in rows]
        gone = [row for row, record in zip(rows, listed, strict=True) if record is None]
        facts = iter(acquire_pinned(places.pins(gone), access))
        records = [next(facts).record if record is None else record for record in listed]
        self.installed = tuple(record._replace(repository_tag=row.tag) for row, record in zip(rows, records, strict=True))
        self.numbers = {record.identity: places.of(row).number for row, record in zip(rows, records, strict=True)}
        """Repository of each, for those that no index has."""


def _listed(row: LockedPackage, indexes: Sequence[LoadedIndex]) -> IndexRecord | None:
    """The record of an index that lists this very package."""
    for index in indexes:
        for number in index.records.providers(row.name):
            record = index.records.record(number)
            if record.name == row.name and record.identity == row.identity:
                return record
    return None


def _updating(problem: Problem, kept: _Kept, names: Collection[str]) -> Problem:
    request = Request(
        problem.request.world,
        installed=(*problem.request.installed, *kept.installed),
        named=frozenset(names),
        wishes=tuple(NamedWish(name, Wish.UPGRADE) for name in sorted(names)),
    )
    return replace(problem, request=request)


def _whole(configuration: ImageConfiguration, arch: Arch, solution: Solution, kept: _Kept, base: Base | None) -> Solution:
    """The set that a transaction leads to as if it were installed from nothing, or upon the base."""
    below = base.records if base is not None else ()
    old = {record.identity for record in below}
    chosen = [_placed(item, kept) for item in solution.packages if item.record.identity not in old]
    return ordered(arch, [request.text for request in configuration.requests_for(arch)], chosen, below)


def _placed(item: SelectedPackage, kept: _Kept) -> SelectedPackage:
    """A package of the solution without the marks of an installed one, and with a place to fetch it from."""
    record = item.record._replace(repository_tag="", flags="")
    number = kept.numbers[record.identity] if item.repository < 0 else item.repository
    return item._replace(record=record, repository=number)


def _check_names(file: LockFile, names: Collection[str]) -> None:
    known = {item.name for item in file.lock.packages}
    unknown = sorted(set(names) - known)
    if unknown:
        listed = ", ".join(f"`{name}`" for name in unknown)
        message = f"{listed} {'are' if len(unknown) > 1 else 'is'} not in the lock"
        hint = "a new request enters the lock by itself: name what is to be newer"
        raise UsageError(message, reason="not-in-lock", origin=Origin(file.path), hint=hint)
