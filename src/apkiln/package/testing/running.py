"""Runs the tests of a definition, each in a root of its own, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from apkiln.acquire.access import Access
from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, CommandFailure
from apkiln.core.value import value
from apkiln.package.building.guest_making import make_guest, resolve_guest
from apkiln.package.building.guest_request import GuestSources, identity_of
from apkiln.package.building.root import Root, RootKind, root_of
from apkiln.package.building.session import Network, Session, SessionAccess, SessionSettings, capabilities_of
from apkiln.package.building.source_files import excluded_files
from apkiln.package.definition.model import Capabilities
from apkiln.package.testing.outcome import Outcome, Verdict
from apkiln.package.testing.plan import PlannedTest, pinned
from apkiln.system.build_workspace import Workspace
from apkiln.system.sandbox import Sandbox, SandboxLimits
from apkiln.system.trees import Trees


@value
class SettingsOfTests:
    """What decides about tests beside the definition."""

    arch: Arch
    sources: GuestSources
    capabilities: Capabilities
    source_date: int = 0
    source_directory: PurePath | None = None
    network: Network = Network.OFF
    root: RootKind = RootKind.OVERLAY
    limits: SandboxLimits = SandboxLimits(scratch=0)
    """`seconds` = for one test."""
    emulator: str = ""
    debug: bool = False
    retries: int = 0
    """Further attempts of a test that failed."""
    locked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(package, contents of its root as `NAME=VERSION`)."""
    jobs: int = 1


@value
class AccessOfTests:
    """The objects that tests are run with."""

    access: Access
    trees: Trees
    owners: str
    sandbox: Sandbox
    workspace: Callable[[], Workspace]
    now: Callable[[], float]
    tell: Callable[[str, str], None]
    """Hears (package, line)."""
    resolver: str = ""


def run_tests(tests: Sequence[PlannedTest], settings: SettingsOfTests, access: AccessOfTests) -> tuple[Outcome, ...]:
    """What came of each, in their order; a test that fails stops no other one.

    Faults of one test (an unsatisfiable root, a failed step) are its outcome.  Raises only what concerns all.
    """
    from apkiln.system.parallel import map_in_threads

    return tuple(map_in_threads(lambda test: _attempts(test, settings, access), tests, settings.jobs))


def _attempts(test: PlannedTest, settings: SettingsOfTests, access: AccessOfTests) -> Outcome:
    locked: Mapping[str, tuple[str, ...]] = dict(settings.locked)
    if test.package in locked:
        test = pinned(test, locked[test.package])
    attempt = 1
    while True:
        outcome = _run(test, settings, access, attempt)
        if outcome.verdict is not Verdict.FAILED or attempt > settings.retries:
            return outcome
        access.tell(test.package, f"# attempt {attempt} failed, trying again")
        attempt += 1


def _run(test: PlannedTest, settings: SettingsOfTests, access: AccessOfTests, attempt: int) -> Outcome:
    start = access.now()
    packages: tuple[str, ...] = ()
    try:
        guest = resolve_guest(test.environment, settings.sources, settings.arch, access.access)
        packages = tuple(sorted(f"{item.record.name}={item.record.version}" for item in guest.plan.packages))
        root = root_of(make_guest(guest, access.trees, access.owners, access.access), settings.root, access.trees)
        workspace = access.workspace()
        try:
            _session(test, settings, access, root, workspace)
        finally:
            workspace.remove()
    except ApkilnError as fault:
        verdict = Verdict.FAILED if isinstance(fault, CommandFailure) else Verdict.ERROR
        return Outcome(test.package, verdict, _spent(start, access), str(fault), tuple(fault.details), packages, attempt)
    return Outcome(test.package, Verdict.PASSED, _spent(start, access), "", (), packages, attempt)


def _session(test: PlannedTest, settings: SettingsOfTests, access: AccessOfTests, root: Root, workspace: Workspace) -> None:
    directory = settings.source_directory
    if directory is not None:
        workspace.populate(directory, excluded_files(directory, (), access.access.files))
    opened = SessionAccess(
        access.sandbox, workspace, access.now, lambda line: access.tell(test.package, line), None, access.resolver
    )
    session = Session(root, workspace.kept("empty"), _settings(test, settings, access), opened)
    session.prepare()
    session.run(test.steps)


def _settings(test: PlannedTest, settings: SettingsOfTests, access: AccessOfTests) -> SessionSettings:
    from dataclasses import replace

    variables = {name: text.text for name, text in test.environment.environment}
    variables = {"SOURCE_DATE_EPOCH": str(settings.source_date)} | variables
    if not variables.get("HOME"):
        variables["HOME"] = "/root"
    return SessionSettings(
        environment=tuple(variables.items()),
        identity=identity_of(test.environment),
        capabilities=capabilities_of(settings.capabilities),
        network=settings.network,
        limits=replace(settings.limits, seconds=0.0),
        emulator=settings.emulator,
        debug=settings.debug,
        deadline=access.now() + settings.limits.seconds if settings.limits.seconds else None,
        origin_name=test.package,
    )


def _spent(start: float, access: AccessOfTests) -> int:
    return round((access.now() - start) * 1000)
