"""What a build is asked to do, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.acquire.access import Access
from apkiln.core.arch import Arch
from apkiln.core.value import value
from apkiln.package.building.guest_request import NO_SOURCES, GuestSources
from apkiln.package.building.output_log import TellLine
from apkiln.package.building.root import RootKind
from apkiln.package.building.session import Network
from apkiln.package.building.steps import StepRun
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.emission.emitting import EmissionAccess
from apkiln.package.emission.request import EmissionRequest, EmittedPackage
from apkiln.system.build_workspace import Workspace
from apkiln.system.sandbox import Sandbox, SandboxLimits, SandboxSpec
from apkiln.system.signer import Signer
from apkiln.system.store import SharedStore
from apkiln.system.trees import Trees

if TYPE_CHECKING:
    from apkiln.package.sources.access import SourceAccess

NO_LIMITS = SandboxLimits(scratch=0)


@value
class BuildRequest:
    """Everything that decides about a build beside the machine."""

    definition: PackageDefinition
    """Resolved for `arch`, comments and all: this is what runs."""
    arch: Arch
    emission: EmissionRequest
    """Without what the build finds out itself: guest, accounts, materials."""
    guest_sources: GuestSources = NO_SOURCES
    source_directory: PurePath | None = None
    """Copied into the workspace; None = nothing is."""
    excluded: tuple[PurePath, ...] = ()
    """Places below it that are not: where packages and caches go."""
    network: Network = Network.OFF
    root: RootKind = RootKind.OVERLAY
    limits: SandboxLimits = NO_LIMITS
    """`seconds` = for all steps together."""
    emulator: str = ""
    """See `SandboxSpec.emulator`; empty = programs of `arch` run by themselves."""
    debug: bool = False
    reuse_results: bool = False
    """A result that the store has for equal inputs is taken instead of building."""


@value
class BuildAccess:
    """The objects of a build."""

    access: Access
    trees: Trees
    owners: str
    """A word for how `trees` keeps ids."""
    sandbox: Sandbox
    workspace: Callable[[], Workspace]
    """Makes one."""
    emission: EmissionAccess
    signers: tuple[Signer, ...]
    """Those of `emission`."""
    now: Callable[[], float]
    """Seconds that pass."""
    tell: TellLine
    """Hears every line of output."""
    note: Callable[[str], None]
    """Hears remarks."""
    results: SharedStore | None = None
    """Where packages of known plans are kept; None = in the store of `access`."""
    sources: SourceAccess | None = None
    """None = declared sources are not fetched: steps do it themselves, or fail."""
    on_failure: Callable[[SandboxSpec, StepRun], bool] | None = None
    resolver: str = ""
    keep_workspace: bool = False
    after_steps: Callable[[str], None] | None = None
    """Called with the workspace's directory when all steps have run, before anything is packed.  What lies there was made by
    the steps: it is not to be trusted."""


@value
class Built:
    """What came of a build."""

    packages: tuple[EmittedPackage, ...]
    key: str
    """Of the plan."""
    reused: bool
    seconds: float
    """Spent in steps."""
    peak_memory: int
    workspace: str
    """Where it was left; empty = removed."""
