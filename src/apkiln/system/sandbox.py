"""What it means to run one command in a closed root: the request, the result and the port (spec platform.md §2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from apkiln.core.limits import GIB, MIB
from apkiln.core.named_tuple import NamedTuple


class RootAccess(Enum):
    """What the command may do with its root directory; the directory itself is never changed."""

    READ_ONLY = "read-only"
    PRIVATE = "private"
    """Writable; what is written is forgotten when the command ends."""


class Streams(Enum):
    """Where the command's standard streams go."""

    CAPTURE = "capture"
    """Standard input is empty; output comes back in the result, up to `SandboxLimits.output`."""
    INHERIT = "inherit"
    """The caller's own streams, in a session of their own."""
    TERMINAL = "terminal"
    """The caller's own streams and its controlling terminal."""
    LINES = "lines"
    """Standard input is empty; both outputs come, in the order they were written, to the listener as they are, and the last
    `SandboxLimits.output` bytes of them as `stdout` of the result."""


class Ids(Enum):
    """Which ids exist inside."""

    CALLER = "caller"
    """As root and for user 0 the machine's own, outside of any user namespace; otherwise one."""
    MANY = "many"
    """65,536 in a user namespace, for root as for others; one where the machine gives an ordinary user no more."""


class Bind(NamedTuple):
    """A directory or file of the host shown inside."""

    source: str
    target: str
    writable: bool = False


class Covered(NamedTuple):
    """A directory of the host shown inside as one that may be changed; the changes are kept apart from it."""

    source: str
    target: str
    kept: str
    """Directory of the host that takes the changes, and has those of earlier runs."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Bounds on one run; 0 = none.  They can only lower what the machine already allows."""

    seconds: float = 0.0
    """Wall time; the whole process tree is killed when it is over."""
    output: int = 64 * MIB
    """Bytes of standard output and of standard error each; the tree is killed beyond it (CAPTURE only)."""
    memory: int = 0
    """Bytes of address space of each process."""
    open_files: int = 4096
    """Open descriptors of each process."""
    scratch: int = 2 * GIB
    """Bytes that a PRIVATE root, and `/tmp`, may each hold."""
    tree_memory: int = 0
    """Bytes that all processes hold together.  This and the next two need control groups; without, they are not enforced and
    the result says so."""
    tree_processes: int = 0
    """Processes and threads at one time."""
    cpus: float = 0.0
    """Processors' worth of time."""


DEFAULT_LIMITS = SandboxLimits()


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One command and everything it can see.  The environment is exactly `environment`."""

    root: str
    """Absolute path of the root directory on the host."""
    command: tuple[str, ...]
    """Program and arguments; a program without `/` is looked up in the `PATH` of `environment`, inside the root."""
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = "/"
    user: int = 0
    group: int = 0
    access: RootAccess = RootAccess.PRIVATE
    network: bool = False
    """True shares the host's network; otherwise there is a loopback interface only."""
    hostname: str = "localhost"
    binds: tuple[Bind, ...] = ()
    streams: Streams = Streams.CAPTURE
    limits: SandboxLimits = DEFAULT_LIMITS
    layers: tuple[str, ...] = ()
    """Directories that show through where `root` has nothing, the uppermost first; needs overlay mounts."""
    kept: str = ""
    """A directory in which a PRIVATE root keeps what is written, for the next run with the same one; empty = forgotten."""
    covered: tuple[Covered, ...] = ()
    """Mounted after `binds`; needs overlay mounts."""
    ids: Ids = Ids.CALLER
    capabilities: tuple[str, ...] | None = None
    """What root may do inside; None = what installing files takes."""
    emulator: str = ""
    """A line of `emulation.registration` for programs of another architecture; needs `Ids.MANY`."""
    filtered: bool = False
    """True: system calls that reach out of a build are refused (`system_call_filter`)."""


class Stop(Enum):
    """Why a run ended."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    OUTPUT_LIMIT = "output-limit"
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel killed a process because of `SandboxLimits.tree_memory`, and the command failed."""


Listener = Callable[[bytes], None]
"""Hears each piece of output as it comes; pieces end anywhere."""


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a run ended.  A killed command is a result, not an error."""

    exit_code: int
    """0-255 as a shell shows it: 128 + signal for a command that a signal ended; 137 when we killed it."""
    stop: Stop = Stop.EXITED
    stdout: bytes = b""
    stderr: bytes = b""
    wall_seconds: float = 0.0
    peak_memory: int = 0
    """Largest number of bytes that all processes held together; 0 = not measured."""
    unbounded: tuple[str, ...] = ()
    """Bounds that this machine could not set: `memory`, `pids`, `cpu`."""


class Sandbox(Protocol):
    """Runs commands without network, without the host's files and without a container engine."""

    def run(self, spec: SandboxSpec, listener: Listener | None = None) -> SandboxResult:
        """Run to the end.  `listener` hears the output of LINES.

        Raises EnvironmentFault: `sandbox-missing` (no bubblewrap), `sandbox-refused` (the machine does not allow the
        namespaces or mounts), `root-missing`; UnavailableError `command-not-found` (no such program inside the root).
        """


def check_spec(spec: SandboxSpec) -> None:
    """Invariants every implementation relies on; broken ones are programming faults (AssertionError)."""
    assert spec.command and spec.command[0], "a sandbox run needs a program"
    assert spec.root.startswith("/") and spec.working_directory.startswith("/"), "sandbox paths are absolute"
    texts = (*spec.command, *(text for pair in spec.environment for text in pair), spec.hostname)
    assert not any("\0" in text for text in texts), "a NUL byte cannot be passed to a program"
    assert not spec.emulator or spec.ids is Ids.MANY, "an emulator is registered for a user namespace"
    assert not spec.kept or spec.access is RootAccess.PRIVATE, "only what may be written can be kept"
