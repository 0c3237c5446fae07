"""The open sandbox of one build or test: a root, a workspace, and steps that run in them one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from apkiln.core.errors import CommandFailure, ConfigurationError
from apkiln.core.value import value
from apkiln.package.building.guest import CACHE, HOME
from apkiln.package.building.guest_request import Identity
from apkiln.package.building.output_log import OutputLog, TellLine
from apkiln.package.building.root import Root
from apkiln.package.building.steps import PATH, StepRun, environment_of, script_of
from apkiln.package.definition.model import Capabilities
from apkiln.system.build_workspace import Workspace
from apkiln.system.sandbox import (
    Bind,
    Covered,
    Ids,
    RootAccess,
    Sandbox,
    SandboxLimits,
    SandboxResult,
    SandboxSpec,
    Stop,
    Streams,
)

DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID"),
    *("SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
"""Spec package.md §9.2."""
KNOWN_CAPABILITIES = frozenset(
    (
        *DEFAULT_CAPABILITIES,
        *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK"),
        *("IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "PERFMON"),
        *("SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE"),
        *("SYS_TIME", "SYS_TTY_CONFIG", "SYSLOG", "WAKE_ALARM"),
    )
)
KEPT_LINES = 20
UNNAMED = "???"


class Network(Enum):
    """When steps have the network (spec package.md §9.4)."""

    OFF = "off"
    """Only steps that say `network: true`."""
    AUTO = "auto"
    """Also steps of pipelines that are known to download (`steps.DOWNLOADING`)."""
    ON = "on"
    """Every step."""

    def reaches(self, step: StepRun) -> bool:
        """Whether a step has it."""
        return self is Network.ON or step.network or (self is Network.AUTO and step.downloading)


@value
class SessionSettings:
    """How steps run, the same for all of a session."""

    environment: tuple[tuple[str, str], ...]
    """Of every step; `PATH` and what steps say come on top."""
    identity: Identity = Identity()
    capabilities: tuple[str, ...] = tuple(f"CAP_{name}" for name in DEFAULT_CAPABILITIES)
    network: Network = Network.OFF
    limits: SandboxLimits = SandboxLimits(scratch=0)
    emulator: str = ""
    """See `SandboxSpec.emulator`."""
    debug: bool = False
    deadline: float | None = None
    """On the clock of `SessionAccess.now`."""
    origin_name: str = ""
    """What messages call the whole: the package."""


@value
class SessionAccess:
    """The objects of a session."""

    sandbox: Sandbox
    workspace: Workspace
    now: Callable[[], float]
    """Seconds that pass."""
    tell: TellLine
    """Hears every line."""
    on_failure: Callable[[SandboxSpec, StepRun], bool] | None = None
    """Opens a shell; True = go on with the next step."""
    resolver: str = ""
    """The machine's `resolv.conf`, for steps with network; empty = none."""


class Session:
    """Runs steps; see `run`."""

    def __init__(self, root: Root, cache: str, settings: SessionSettings, access: SessionAccess) -> None:
        self._root = root
        self._cache = cache
        self._settings = settings
        self._access = access
        self.seconds = 0.0
        """Spent in steps so far."""
        self.peak_memory = 0
        self.unbounded: frozenset[str] = frozenset()

    def prepare(self, outputs: Sequence[str] = ()) -> None:
        """What comes before the first step: owner of the workspace, and the loader's cache (spec package.md §8.1 step 10).

        `outputs`: packages whose output directories will be needed; for another user than root they are made now."""
        identity = self._settings.identity
        if identity.user:
            for name in outputs:
                self._access.workspace.make_output(name)
            self._access.workspace.give(identity.user, identity.group)
        if self._root.trees.loader and self._root.overlay:
            spec = self._spec(("/sbin/ldconfig", "/lib"), "/", (("PATH", PATH),), network=False, identity=Identity())
            self._access.sandbox.run(spec, lambda _: None)

    def build(self, package: str, steps: Iterable[StepRun]) -> None:
        """Run the steps that fill the output directory of a package; errors as of `run`."""
        if not self._settings.identity.user:
            self._access.workspace.make_output(package)
        self.run(steps)

    def run(self, steps: Iterable[StepRun]) -> None:
        """One after the other.  Raises CommandFailure (`step-failed`, `step-timeout`, `step-out-of-memory`) with the step's
        place and the last lines, ConfigurationError `no-shell`, and what the sandbox raises."""
        for step in steps:
            if not self._root.trees.shell:
                message = "no package of the environment has `/bin/sh`, which runs the step"
                hint = "add `busybox` or `bash` to `environment.contents.packages`, for tests to that of `test`"
                raise ConfigurationError(message, reason="no-shell", origin=step.origin, hint=hint)
            self._step(step)

    def spec(self, step: StepRun, command: tuple[str, ...] = ()) -> SandboxSpec:
        """How the step, or another command in its place, runs."""
        script = script_of(step, debug=self._settings.debug)
        words = command or (*self._root.trees.shell.split(), "-c", script)
        environment = environment_of(step, dict(self._settings.environment))
        return self._spec(words, "/", environment, network=self._settings.network.reaches(step))

    def _step(self, step: StepRun) -> None:
        access, start = self._access, self._access.now()
        name = step_name(step)
        access.tell(f"# {name}")
        log = OutputLog(access.tell, KEPT_LINES)
        spec = self.spec(step)
        result = access.sandbox.run(spec, log.take)
        log.close()
        spent = access.now() - start
        self.seconds += spent
        self.peak_memory = max(self.peak_memory, result.peak_memory)
        self.unbounded |= frozenset(result.unbounded)
        access.tell(f"# {name}: {_outcome(result)} after {spent:.1f} s")
        if result.exit_code == 0 and result.stop is Stop.EXITED:
            return
        if access.on_failure is not None and result.stop is Stop.EXITED and access.on_failure(spec, step):
            return
        raise _failure(step, result, log.last, self._settings)

    def _spec(
        self,
        command: tuple[str, ...],
        directory: str,
        environment: tuple[tuple[str, str], ...],
        *,
        network: bool,
        identity: Identity | None = None,
    ) -> SandboxSpec:
        settings, workspace = self._settings, self._access.workspace
        who = identity or settings.identity
        overlay = self._root.overlay
        binds = [Bind("/sys", "/sys"), Bind(workspace.home, f"/{HOME}", True)]
        if network and self._access.resolver:
            binds.append(Bind(self._access.resolver, "/etc/resolv.conf"))
        if self._cache and not overlay:
            binds.append(Bind(self._cache, f"/{CACHE}"))
        covered = (Covered(self._cache, f"/{CACHE}", workspace.kept("cache")),) if self._cache and overlay else ()
        return SandboxSpec(
            root=self._root.directories[0],
            command=command,
            environment=environment,
            working_directory=directory,
            user=who.user,
            group=who.group,
            access=RootAccess.PRIVATE if overlay else RootAccess.READ_ONLY,
            network=network,
            hostname="build",
            binds=tuple(binds),
            covered=covered,
            streams=Streams.LINES,
            limits=self._remaining(),
            layers=self._root.directories[1:],
            kept=workspace.kept("root") if overlay else "",
            ids=Ids.MANY,
            capabilities=settings.capabilities,
            emulator=settings.emulator,
            filtered=True,
        )

    def _remaining(self) -> SandboxLimits:
        from dataclasses import replace

        deadline = self._settings.deadline
        if deadline is None:
            return self._settings.limits
        return replace(self._settings.limits, seconds=max(0.01, deadline - self._access.now()))


def step_name(step: StepRun) -> str:
    """How people find it: its place, and what it calls itself or uses."""
    return f"step {step.number}" if step.identity == UNNAMED else f"step {step.number} `{step.identity}`"


def capabilities_of(wanted: Capabilities) -> tuple[str, ...]:
    """The default set with additions and without what is dropped.  Raises ConfigurationError `unknown-capability`."""
    names = dict.fromkeys(DEFAULT_CAPABILITIES)
    for text in (*wanted.add, *wanted.drop):
        if _bare(text) not in KNOWN_CAPABILITIES:
            message = f"`{text}` is no capability"
            raise ConfigurationError(message, reason="unknown-capability", hint="names look like `CAP_NET_ADMIN`")
    names |= dict.fromkeys(map(_bare, wanted.add))
    for text in wanted.drop:
        names.pop(_bare(text), None)
    return tuple(f"CAP_{name}" for name in names)


def _bare(text: str) -> str:
    return text.upper().removeprefix("CAP_")


def _outcome(result: SandboxResult) -> str:
    if result.stop is Stop.TIMED_OUT:
        return "timed out"
    if result.stop is Stop.OUT_OF_MEMORY:
        return "out of memory"
    return "ok" if result.exit_code == 0 else f"exit code {result.exit_code}"


def _failure(step: StepRun, result: SandboxResult, last: tuple[str, ...], settings: SessionSettings) -> CommandFailure:
    name = step_name(step)
    hint = "run again with `--interactive` to get a shell where the step failed, or with `--debug` to see each command"
    if result.stop is Stop.TIMED_OUT:
        message, reason = f"{name} was stopped: the time limit is over", "step-timeout"
        hint = "raise `--timeout`, or `package.timeout` of the definition"
    elif result.stop is Stop.OUT_OF_MEMORY:
        message, reason = (
            f"{name} was stopped: it needed more than {settings.limits.tree_memory} bytes of memory",
            "step-out-of-memory",
        )
        hint = "raise `--memory`, or `package.resources.memory` of the definition"
    else:
        message, reason = f"{name} failed with exit code {result.exit_code}", "step-failed"
    if step.downloading and not settings.network.reaches(step):
        hint = "the step may have tried to download: bring what it needs into the sources, or give it `network: true`"
    if any("pipefail" in line for line in last):
        hint = "the root's `/bin/sh` knows no `pipefail`: add `bash` or `busybox` to the packages of the environment"
    return CommandFailure(message, reason=reason, origin=step.origin, hint=hint, details=last)
