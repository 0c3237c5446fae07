"""From a definition to a plan: keys and indexes loaded, each architecture solved, versions made equal between architectures
(spec image.md §4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import LoadedIndex, load_indexes
from apkiln.acquire.keyring import KeySource, key_name, load_keyring
from apkiln.acquire.repositories import Repository, parse_repositories
from apkiln.acquire.selection import SelectedPackage
from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import replace, value
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.keys import Keyring, PublicKey
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.mixing import Linked, check_libc
from apkiln.image.plan import ArchitecturePlan, ImagePlan, install_order, plan_architecture
from apkiln.image.refusals import located_distrust, located_refusals
from apkiln.image.remembered_solutions import remembered
from apkiln.image.unify import Problem, Unified, unify
from apkiln.solver.request import SolverRepository, adding
from apkiln.solver.solution import Solution

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.acquire.key_discovery import DiscoveredKey, Discovery
    from apkiln.image.base.opening import Base
    from apkiln.image.place import Place

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
    discover_keys: bool = False
    """Trust the keys that repositories offer by themselves, too (§11.2)."""


class ResolvedArchitecture(NamedTuple):
    """One architecture, with what is needed to fetch its packages."""

    plan: ArchitecturePlan
    selected: tuple[SelectedPackage, ...]
    """In install order, as the plan, without packages of the base image."""
    base: Base | None = None


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
    discovered: tuple[DiscoveredKey, ...] = ()
    """Keys of the keyring that repositories offered and the definition does not list."""


@value
class Sources:
    """Where the packages of a definition may come from."""

    repositories: tuple[Repository, ...]
    keyring: Keyring
    indexes: tuple[tuple[Arch, tuple[LoadedIndex, ...]], ...]
    """By architecture, sorted by OCI name; those of each in the order of the repositories."""
    discovery: Discovery | None = None
    """What repositories offered, where that was asked for."""


OpenPlace = Callable[[str], "Place"]
"""Opens the place of a base image, as the definition names it."""


def resolve(
    configuration: ImageConfiguration,
    checksum: str,
    options: ResolveOptions,
    access: Access,
    open_place: OpenPlace | None = None,
) -> Resolution:
    """Decide which packages make the image, on all its architectures.

    Raises ConfigurationError (`no-packages`, `no-repositories`, `unsupported-base-image` where no base
    image can be opened, `base-package-changed`), UnsatisfiableError (also `architectures-differ`), and whatever loading keys,
    indexes and base images raises.
    """
    sources = load_sources(configuration, options, access)
    bases = load_bases(configuration, [arch for arch, _ in sources.indexes], access, open_place)
    problems = [problem_of(configuration, arch, indexes, bases.get(arch)) for arch, indexes in sources.indexes]
    drift = {*configuration.contents.drift, *options.drift, *_names_of(bases)}
    with located_refusals(configuration, sources.indexes):
        unified = remembered(
            access.store,
            problems,
            sources.indexes,
            drift,
            ANY_DRIFT in options.drift,
            lambda: unify(problems, drift, any_drift=ANY_DRIFT in options.drift),
        )
    return resolution_of(configuration, checksum, sources, unified, options, bases)


def load_bases(
    configuration: ImageConfiguration, archs: Iterable[Arch], access: Access, open_place: OpenPlace | None
) -> Mapping[Arch, Base]:
    """The base image for each architecture; none where the definition names none.  Raises ConfigurationError
    (`unsupported-base-image` without `open_place`) and what `base.opening.load_base` raises."""
    settings = configuration.contents.baseimage
    if settings is None:
        return {}
    if open_place is None:
        message = "images upon a base image cannot be made here"
        raise ConfigurationError(message, reason="unsupported-base-image", origin=settings.origin)
    from apkiln.image.base.opening import load_base

    place = open_place(settings.image)
    name = place.name if "@sha256:" in settings.image else ""
    return {arch: load_base(settings, place, arch, access, name=name) for arch in archs}


def _names_of(bases: Mapping[Arch, Base]) -> frozenset[str]:
    """Packages that are as they are, on each architecture."""
    return frozenset(record.name for base in bases.values() for record in base.records)


def load_sources(configuration: ImageConfiguration, options: ResolveOptions, access: Access) -> Sources:
    """Keys and indexes of a definition; errors as of `resolve`."""
    check_configuration(configuration)
    contents = configuration.contents
    repositories = parse_repositories(entry.text for entry in (*contents.repositories, *contents.build_repositories))
    keyring = load_keyring((KeySource(entry.location, entry.sha256) for entry in contents.keyring), access)
    archs = configuration.architectures(options.host)
    discovery = None
    if options.discover_keys:
        from apkiln.acquire.key_discovery import discover_keys

        discovery = discover_keys(repositories, [arch.apk for arch in archs], access)
        keyring = Keyring.of((*keyring.keys, *(item.key for item in discovery.keys)))
    with located_distrust():
        indexes = [
            (arch, load_indexes(repositories, arch.apk, keyring, access, ignore_signatures=options.ignore_signatures))
            for arch in archs
        ]
    return Sources(repositories, keyring, tuple(indexes), discovery)


def problem_of(
    configuration: ImageConfiguration, arch: Arch, indexes: Sequence[LoadedIndex], base: Base | None = None
) -> Problem:
    """What one architecture of a definition asks for.  Packages of a base image count as installed and stay."""
    world = tuple(parse_dependency(request.text) for request in configuration.requests_for(arch))
    repositories = [
        SolverRepository(index.records, index.repository.number, index.repository.tag, name=redact_url(index.repository.url))
        for index in indexes
    ]
    if base is None:
        return Problem(arch, tuple(repositories), adding(world))
    kept = tuple(parse_dependency(f"{record.name}={record.version}") for record in base.records)
    return Problem(arch, tuple(repositories), replace(adding(world, base.records), world=(*world, *kept)))


def unify_problems(configuration: ImageConfiguration, problems: Sequence[Problem], options: ResolveOptions) -> Unified:
    """Each architecture solved; names that several have get one version (`unify`) unless the definition or the options let
    them drift."""
    drift = {*configuration.contents.drift, *options.drift}
    return unify(problems, drift, any_drift=ANY_DRIFT in options.drift)


def resolution_of(
    configuration: ImageConfiguration,
    checksum: str,
    sources: Sources,
    unified: Unified,
    options: ResolveOptions,
    bases: Mapping[Arch, Base] | None = None,
) -> Resolution:
    """The solutions as a plan.  Raises ConflictError (`mixed-libc`)."""
    solutions = dict(unified.solutions)
    bases = bases or {}
    for arch, solution in unified.solutions:
        records = [package.record for package in solution.packages]
        check_libc((Linked(record.name, record.depends, record.provides) for record in records), arch.apk)
    architectures = tuple(
        resolved_architecture(configuration, arch, solution, sources.repositories, options, bases.get(arch))
        for arch, solution in unified.solutions
    )
    plan = ImagePlan(checksum, tuple(item.plan for item in architectures))
    indexes = dict(sources.indexes)
    discovered, remarks = _discovered(configuration, sources)
    notices = (*remarks, *_notices(indexes, solutions), *map(str, unified.held_back))
    every = tuple(index for found in indexes.values() for index in found)
    return Resolution(plan, architectures, sources.keyring, notices, every, unified.drift, discovered)


def listed_keys(configuration: ImageConfiguration, keyring: Keyring) -> tuple[PublicKey, ...]:
    """The keys that the definition itself names: those that an image may hold."""
    names = {key_name(entry.location) for entry in configuration.contents.keyring}
    return tuple(key for key in keyring.keys if key.name in names)


def _discovered(configuration: ImageConfiguration, sources: Sources) -> tuple[tuple[DiscoveredKey, ...], tuple[str, ...]]:
    """The keys that only discovery brought, and what is to be said about it."""
    if sources.discovery is None:
        return (), ()
    listed = listed_keys(configuration, sources.keyring)
    found = tuple(item for item in sources.discovery.keys if item.key not in listed)
    told = (f"trusting the key `{item.key.name}` ({item.key.fingerprint}), as `{item.repository}` offers it" for item in found)
    return found, (*told, *sources.discovery.remarks)


def check_configuration(configuration: ImageConfiguration) -> None:
    """Refuse what cannot be built before anything is fetched; errors as of `resolve`."""
    contents = configuration.contents
    if not contents.packages and configuration.entrypoint.type != "service-bundle" and contents.baseimage is None:
        raise ConfigurationError("the definition asks for no package", reason="no-packages")
    if contents.packages and not contents.repositories and not contents.build_repositories:
        raise ConfigurationError("the definition names no repository to solve against", reason="no-repositories")


def resolved_architecture(
    configuration: ImageConfiguration,
    arch: Arch,
    solution: Solution,
    repositories: Sequence[Repository],
    options: ResolveOptions,
    base: Base | None = None,
) -> ResolvedArchitecture:
    """The solution of one architecture as a plan; its repository numbers are those of `repositories`."""
    by_number = {repository.number: repository for repository in repositories}
    requests = [request.text for request in configuration.requests_for(arch)]
    if base is not None:
        _refuse_changes(solution, configuration)
        requests += base.world
    plan = plan_architecture(
        arch,
        requests,
        solution,
        {number: repository.url for number, repository in by_number.items()},
        source_date_epoch=options.source_date_epoch,
        build_date=options.build_date,
        base=base.records if base is not None else (),
    )
    chosen = [SelectedPackage(item.record, by_number[item.repository], arch.apk) for item in install_order(solution)]
    return ResolvedArchitecture(plan, tuple(chosen), base)


def _refuse_changes(solution: Solution, configuration: ImageConfiguration) -> None:
    """Packages of a base image stay as they are: ConfigurationError `base-package-changed`."""
    settings = configuration.contents.baseimage
    for change in solution.changes:
        if change.old is not None:
            message = f"{change.old.name_version} of the base image would have to change"
            origin = settings.origin if settings is not None else Origin()
            raise ConfigurationError(message, reason="base-package-changed", origin=origin)


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
