"""One package definition built for one architecture (spec package.md §8.1): decided in pure modules, done here, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from apkiln.core.errors import ConfigurationError, EnvironmentFault, FaultCollector, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import replace
from apkiln.package.building.compiler_files import compiler_files
from apkiln.package.building.guest import GuestTrees
from apkiln.package.building.guest_making import ResolvedGuest, make_guest, resolve_guest
from apkiln.package.building.guest_request import identity_of
from apkiln.package.building.plan import BuildPlan
from apkiln.package.building.request import BuildAccess, BuildRequest, Built
from apkiln.package.building.results import keep_result, take_result
from apkiln.package.building.root import root_of
from apkiln.package.building.session import Session, SessionAccess, SessionSettings, capabilities_of, step_name
from apkiln.package.building.source_files import Excluded, excluded_files, source_digest
from apkiln.package.building.steps import StepRun, build_environment, step_runs
from apkiln.package.definition.model import Environment, PackageDefinition
from apkiln.package.emission.emitting import emit
from apkiln.package.emission.request import EmissionRequest, EmittedPackage, GuestAccounts, GuestPackage, Material
from apkiln.package.output_tree import OutputTree
from apkiln.package.sources.plan import FetchedSources, FetchSource
from apkiln.package.sources.planning import plan_sources
from apkiln.package.sources.workspace_plan import check_patches
from apkiln.system.build_workspace import Workspace

_LICENCE_LIMIT = MIB
_WORTH_THREADS = 8 * MIB
"""Bytes of files from which on compressing beside the reading pays for the threads."""
_FETCH = "built-in/fetch.yaml"
"""Where the needs of the built-in `fetch` are written."""


class PlannedPart(NamedTuple):
    """One package of the build and what makes it."""

    name: str
    steps: tuple[StepRun, ...]


def planned_parts(definition: PackageDefinition) -> tuple[PlannedPart, ...]:
    """The main package, then the subpackages in the order of the file.  Raises what `step_runs` and
    `check_patches` raise.  Pure."""
    for pipeline in (definition.pipeline, *(item.pipeline for item in definition.subpackages)):
        check_patches(pipeline)
    main = PlannedPart(definition.package.name.text, step_runs(definition.pipeline))
    return (
        main,
        *(PlannedPart(item.name.text, step_runs(item.pipeline, f"{item.name.text} ")) for item in definition.subpackages),
    )


def build_package(request: BuildRequest, access: BuildAccess) -> Built:
    """Build, analyse and publish all packages of a definition, or none.

    Raises what planning, solving, fetching, the steps (`CommandFailure`) and emission raise.  Order: everything that can be
    refused without running anything is refused first.
    """
    parts = planned_parts(request.definition)
    settings = _settings(request)
    guest = _guest(request, parts, access)
    sources = _sources(request, access)
    prepared = _emission(request, parts, guest, sources)
    excluded = _excluded(request, access)
    key = _key(request, prepared, parts, excluded, access) if request.reuse_results else ""
    if key and (kept := _kept_result(request, key, access)) is not None:
        return Built(kept, key, True, 0.0, 0, "")
    with _workspace(access) as workspace:
        _populate(request, workspace, excluded, prepared, access)
        session = _run(request, parts, settings, guest, sources, workspace, access)
        workspace.settle()
        packages = _emit(request, prepared, parts, workspace, access)
        place = workspace.home if access.keep_workspace else ""
    if key:
        _keep(key, packages, access)
    seconds, peak = (session.seconds, session.peak_memory) if session is not None else (0.0, 0)
    return Built(packages, key, False, seconds, peak, place)


def _excluded(request: BuildRequest, access: BuildAccess) -> Excluded:
    if request.source_directory is None:
        return lambda _path, _directory: False
    return excluded_files(request.source_directory, request.excluded, access.access.files)


def _key(
    request: BuildRequest, prepared: EmissionRequest, parts: tuple[PlannedPart, ...], excluded: Excluded, access: BuildAccess
) -> str:
    """Key of the plan; empty when the result may depend on more than the plan holds."""
    if any(request.network.reaches(step) for part in parts for step in part.steps):
        access.note("the result is neither kept nor taken from the cache: steps have the network")
        return ""
    signers = [(signer.name, hashlib.sha256(signer.public_key()).hexdigest()) for signer in access.signers]
    directory = request.source_directory
    workspace = source_digest(directory, excluded) if directory is not None else ""
    codec = access.emission.codec.name
    return BuildPlan(request.definition, prepared, codec, tuple(signers), workspace, request.network.value).key()


def _keep(key: str, packages: tuple[EmittedPackage, ...], access: BuildAccess) -> None:
    """A store that cannot take the result costs the next build its time, not this one its packages."""
    try:
        keep_result(key, packages, access.results or access.access.store, access.emission.files)
    except (UnavailableError, EnvironmentFault) as error:
        access.note(f"the result was not kept: {error}")


def _kept_result(request: BuildRequest, key: str, access: BuildAccess) -> tuple[EmittedPackage, ...] | None:
    emission, outer = access.emission, access.access
    directory = emission.directory / request.arch.apk
    return take_result(
        key, directory, access.results or outer.store, emission.files, outer.limits, overwrite=request.emission.overwrite
    )


class _Guest(NamedTuple):
    resolved: ResolvedGuest
    trees: GuestTrees


def _settings(request: BuildRequest) -> SessionSettings:
    definition = request.definition
    return SessionSettings(
        environment=tuple(build_environment(definition.environment, request.emission.source_date).items()),
        identity=identity_of(definition.environment),
        capabilities=capabilities_of(definition.capabilities),
        network=request.network,
        limits=replace(request.limits, seconds=0.0) if request.limits.seconds else request.limits,
        emulator=request.emulator,
        debug=request.debug,
        origin_name=definition.package.name.text,
    )


def _guest(request: BuildRequest, parts: tuple[PlannedPart, ...], access: BuildAccess) -> _Guest | None:
    """None when nothing runs: then there is no need of a root."""
    if not any(part.steps for part in parts):
        return None
    environment = _without_downloader(request, access)
    if not environment.contents.packages:
        message = "the definition has steps, and its environment no packages to run them with"
        hint = "list `busybox` or `bash`, and what the steps call, in `environment.contents.packages`"
        raise ConfigurationError(message, reason="no-packages", origin=request.definition.package.name.origin, hint=hint)
    resolved = resolve_guest(environment, request.guest_sources, request.arch, access.access)
    for notice in resolved.notices:
        access.note(notice)
    return _Guest(resolved, make_guest(resolved, access.trees, access.owners, access.access))


def _without_downloader(request: BuildRequest, access: BuildAccess) -> Environment:
    """The environment without what only the built-in `fetch` needs, when all its files are in the cache (spec §9.4)."""
    environment = request.definition.environment
    if access.sources is None or plan_sources(request.definition).in_guest:
        return environment
    packages = tuple(item for item in environment.contents.packages if item.origin.source != _FETCH)
    return environment._replace(contents=environment.contents._replace(packages=packages))


def _sources(request: BuildRequest, access: BuildAccess) -> FetchedSources | None:
    if access.sources is None:
        return None
    plan = plan_sources(request.definition)
    if not plan.sources:
        return None
    from apkiln.package.sources.fetching import fetch_sources

    return fetch_sources(plan, access.sources)


def _impurities(request: BuildRequest, parts: tuple[PlannedPart, ...]) -> Iterator[str]:
    """Why the packages may depend on more than the plan."""
    for part in parts:
        for step in part.steps:
            if request.network.reaches(step):
                yield f"{step_name(step)} of {part.name} has the network"
    for source in plan_sources(request.definition).unpinned:
        yield f"{source.cache_name} is a source without a digest"


def _emission(
    request: BuildRequest, parts: tuple[PlannedPart, ...], guest: _Guest | None, sources: FetchedSources | None
) -> EmissionRequest:
    """The emission with what is known before the first step."""
    emission = request.emission
    impurities = (*emission.facts.impurities, *_impurities(request, parts))
    emission = replace(emission, facts=emission.facts._replace(impurities=impurities))
    materials = (*emission.materials, *(_materials(sources) if sources is not None else ()))
    if guest is None:
        return replace(emission, materials=materials)
    packages = tuple(GuestPackage(item.record, item.repository) for item in guest.resolved.plan.packages)
    users = {user.username: user for user in request.definition.environment.accounts.users}
    groups = {group.groupname: group for group in request.definition.environment.accounts.groups}
    steps = identity_of(request.definition.environment)  # whoever runs the steps owns what they make, which means nothing
    accounts = GuestAccounts(
        guest.trees.users or ((0, "root"),),
        guest.trees.groups or ((0, "root"),),
        steps.user or (users["build"].uid if "build" in users else 1000),
        steps.group or (groups["build"].gid if "build" in groups else 1000),
    )
    return replace(emission, materials=materials, guest=packages, accounts=accounts)


def _materials(sources: FetchedSources) -> Iterator[Material]:
    for item in sources.materials:
        if isinstance(item.source, FetchSource):
            digests = {found.algorithm: found.hex for found in (item.digest, *item.source.digests)}
            yield Material(item.source.uri, tuple(sorted(digests.items())), item.source.file_name)
        else:
            yield Material(item.source.repository, (("gitCommit", item.digest.hex),), item.source.destination)


@contextmanager
def _workspace(access: BuildAccess) -> Iterator[Workspace]:
    workspace = access.workspace()
    try:
        yield workspace
    except BaseException:
        if access.keep_workspace:
            access.note(f"the workspace was left in `{workspace.home}`")
        raise
    finally:
        if not access.keep_workspace:
            workspace.remove()


def _populate(
    request: BuildRequest, workspace: Workspace, excluded: Excluded, prepared: EmissionRequest, access: BuildAccess
) -> None:
    """Compiler files first, then the source directory, so that a definition may bring its own (spec §8.1 step 8)."""
    clang = any(item.record.name.startswith("clang") for item in prepared.guest)
    for path, content in compiler_files(request.definition, request.arch, prepared.namespace, clang=clang):
        workspace.write(path, content)
    if request.source_directory is not None:
        for note in workspace.populate(request.source_directory, excluded):
            access.note(note)


def _run(
    request: BuildRequest,
    parts: tuple[PlannedPart, ...],
    settings: SessionSettings,
    guest: _Guest | None,
    sources: FetchedSources | None,
    workspace: Workspace,
    access: BuildAccess,
) -> Session | None:
    if guest is None:
        for part in parts:
            workspace.make_output(part.name)
        return None
    if request.limits.seconds:
        settings = replace(settings, deadline=access.now() + request.limits.seconds)
    opened = SessionAccess(access.sandbox, workspace, access.now, access.tell, access.on_failure, access.resolver)
    root = root_of(guest.trees, request.root, access.trees)
    session = Session(root, sources.directory if sources is not None else workspace.kept("empty"), settings, opened)
    session.prepare([part.name for part in parts])
    for part in parts:
        session.build(part.name, part.steps)
    if session.unbounded:
        access.note(f"limits that this machine cannot set: {', '.join(sorted(session.unbounded))}")
    return session


def _emit(
    request: BuildRequest,
    prepared: EmissionRequest,
    parts: tuple[PlannedPart, ...],
    workspace: Workspace,
    access: BuildAccess,
) -> tuple[EmittedPackage, ...]:
    texts = tuple(_licence_texts(request.definition, workspace))
    if access.after_steps is not None:
        access.after_steps(workspace.home)
    trees = [_tree(workspace, part.name) for part in parts]
    final = replace(prepared, licence_texts=texts)
    if sum(entry.size for tree in trees for entry in tree.entries) < _WORTH_THREADS:
        return emit(final, trees, access.emission)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(access.access.jobs) as executor:
        return emit(final, trees, replace(access.emission, executor=executor))


def _licence_texts(definition: PackageDefinition, workspace: Workspace) -> Iterator[tuple[str, str]]:
    """(path, text); ConfigurationError `licence-missing`, all together."""
    faults = FaultCollector.empty()
    for item in definition.package.copyright:
        path = item.license_path
        content = workspace.read(path.text, _LICENCE_LIMIT) if path.text else b""
        if content is None:
            message = f"`{path.text}` is no licence file of the workspace"
            hint = "`license-path` is relative to /home/build and leads to a file of at most 1 MiB there"
            faults.add(ConfigurationError(message, reason="licence-missing", origin=path.origin, hint=hint))
        elif path.text:
            yield path.text, content.decode("utf-8", "replace")
    faults.raise_if_any()


def _tree(workspace: Workspace, name: str) -> OutputTree:
    return OutputTree(name, workspace.output(name), lambda path: workspace.content(name, path))
