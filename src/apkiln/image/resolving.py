"""From a definition to a plan: keys and indexes loaded, each architecture solved, versions made equal between architectures
(spec image.md §4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import LoadedIndex, load_indexes
from apkiln.acquire.keyring import KeySource, load_keyring
from apkiln.acquire.packages import SelectedPackage
from apkiln.acquire.repositories import Repository, parse_repositories
from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.core.value import value
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.keys import Keyring
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.plan import ArchitecturePlan, ImagePlan, install_order, plan_architecture
from apkiln.image.remembered_solutions import remembered
from apkiln.image.unify import Problem, Unified, unify
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution

ANY_DRIFT = "allow"
"""Among the names that may drift: all of them."""


@value
class ResolveOptions:
    """What decides about packages beside the definition."""

    host: Arch
    """What `host` in `archs` means."""
    source_date_epoch: int | None = None
    build_date: int = 0
    ignore_signatures: bool = False
    """Indexes need no good signature."""
    drift: tuple[str, ...] = ()
    """Names whose versions may differ between architectures, beside those of the definition; `allow` = all."""


class ResolvedArchitecture(NamedTuple):
    """One architecture, with what is needed to fetch its packages."""

    plan: ArchitecturePlan
    selected: tuple[SelectedPackage, ...]
    """In install order, as the plan."""


@value
class Resolution:
    """A plan and where its packages come from."""

    plan: ImagePlan
    architectures: tuple[ResolvedArchitecture, ...]
    keyring: Keyring
    notices: tuple[str, ...] = ()
    indexes: tuple[LoadedIndex, ...] = ()
    """The indexes it was decided from, architecture by architecture; none when a lock decided."""
    drift: tuple[str, ...] = ()
    """Names whose versions differ between architectures, as the request allows."""


@value
class Sources:
    """Where the packages of a definition may come from."""

    repositories: tuple[Repository, ...]
    keyring: Keyring
    indexes: tuple[tuple[Arch, tuple[LoadedIndex, ...]], ...]
    """By architecture, sorted by OCI name; those of each in the order of the repositories."""


def resolve(configuration: ImageConfiguration, checksum: str, options: ResolveOptions, access: Access) -> Resolution:
    """Decide which packages make the image, on all its architectures.

    Raises ConfigurationError (`no-packages`, `no-repositories`, `unsupported-format`, `unsupported-base-image`),
    UnsatisfiableError (also `architectures-differ`), and whatever loading keys and indexes raises.
    """
    sources = load_sources(configuration, options, access)
    problems = [problem_of(configuration, arch, indexes) for arch, indexes in sources.indexes]
    unified = remembered(
        access.store,
        problems,
        sources.indexes,
        {*configuration.contents.drift, *options.drift},
        ANY_DRIFT in options.drift,
        lambda: unify_problems(configuration, problems, options),
    )
    return resolution_of(configuration, checksum, sources, unified, options)


def load_sources(configuration: ImageConfiguration, options: ResolveOptions, access: Access) -> Sources:
    """Keys and indexes of a definition; errors as of `resolve`."""
    check_configuration(configuration)
    contents = configuration.contents
    repositories = parse_repositories(entry.text for entry in (*contents.repositories, *contents.build_repositories))
    keyring = load_keyring((KeySource(entry.location, entry.sha256) for entry in contents.keyring), access)
    indexes = [
        (arch, load_indexes(repositories, arch.apk, keyring, access, ignore_signatures=options.ignore_signatures))
        for arch in configuration.architectures(options.host)
    ]
    return Sources(repositories, keyring, tuple(indexes))


def problem_of(configuration: ImageConfiguration, arch: Arch, indexes: Sequence[LoadedIndex]) -> Problem:
    """What one architecture of a definition asks for."""
    world = tuple(parse_dependency(request.text) for request in configuration.requests_for(arch))
    repositories = [SolverRepository(index.records, index.repository.number, index.repository.tag) for index in indexes]
    return Problem(arch, tuple(repositories), Request(world))


def unify_problems(configuration: ImageConfiguration, problems: Sequence[Problem], options: ResolveOptions) -> Unified:
    """Each architecture solved; names that several have get one version (`unify`) unless the definition or the options let
    them drift."""
    drift = {*configuration.contents.drift, *options.drift}
    return unify(problems, drift, any_drift=ANY_DRIFT in options.drift)


def resolution_of(
    configuration: ImageConfiguration, checksum: str, sources: Sources, unified: Unified, options: ResolveOptions
) -> Resolution:
    """The solutions as a plan."""
    solutions = dict(unified.solutions)
    architectures = tuple(
        resolved_architecture(configuration, arch, solution, sources.repositories, options)
        for arch, solution in unified.solutions
    )
    plan = ImagePlan(checksum, tuple(item.plan for item in architectures))
    indexes = dict(sources.indexes)
    notices = (*_notices(indexes, solutions), *map(str, unified.held_back))
    every = tuple(index for found in indexes.values() for index in found)
    return Resolution(plan, architectures, sources.keyring, notices, every, unified.drift)


def check_configuration(configuration: ImageConfiguration) -> None:
    """Refuse what cannot be built before anything is fetched; errors as of `resolve`."""
    contents = configuration.contents
    if not contents.packages and configuration.entrypoint.type != "service-bundle":
        raise ConfigurationError("the definition asks for no package", reason="no-packages")
    if not contents.repositories and not contents.build_repositories:
        raise ConfigurationError("the definition names no repository to solve against", reason="no-repositories")
    if configuration.format not in ("", "tar"):
        raise ConfigurationError(f"images of format `{configuration.format}` cannot be built", reason="unsupported-format")
    if contents.baseimage is not None:
        message = "images upon a base image cannot be built yet"
        raise ConfigurationError(message, reason="unsupported-base-image", origin=contents.baseimage.origin)


def resolved_architecture(
    configuration: ImageConfiguration,
    arch: Arch,
    solution: Solution,
    repositories: Sequence[Repository],
    options: ResolveOptions,
) -> ResolvedArchitecture:
    """The solution of one architecture as a plan; its repository numbers are those of `repositories`."""
    by_number = {repository.number: repository for repository in repositories}
    plan = plan_architecture(
        arch,
        (request.text for request in configuration.requests_for(arch)),
        solution,
        {number: repository.url for number, repository in by_number.items()},
        source_date_epoch=options.source_date_epoch,
        build_date=options.build_date,
    )
    chosen = [SelectedPackage(item.record, by_number[item.repository], arch.apk) for item in install_order(solution)]
    return ResolvedArchitecture(plan, tuple(chosen))


def _notices(indexes: Mapping[Arch, Sequence[LoadedIndex]], solutions: Mapping[Arch, Solution]) -> tuple[str, ...]:
    weak = {index.repository.url for found in indexes.values() for index in found if index.weak}
    unsigned = {index.repository.url for found in indexes.values() for index in found if not index.signed_by}
    return (
        *(f"the index of `{url}` is signed with SHA-1" for url in sorted(weak)),
        *(f"the index of `{url}` is not verified" for url in sorted(unsigned)),
        *(
            f"{arch.apk}: {item.record.name_version} was left out although its `install_if` is met: {item.reason}"
            for arch, solution in solutions.items()
            for item in solution.left_out
        ),
    )
