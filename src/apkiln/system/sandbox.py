"""What it means to run one command in a closed root: the request, the result and the port (spec platform.md §2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from apkiln.core.limits import GIB, MIB


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


class Bind(NamedTuple):
    """A directory or file of the host shown inside."""

    source: str
    target: str
    writable: bool = False


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


class Stop(Enum):
    """Why a run ended."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    OUTPUT_LIMIT = "output-limit"


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a run ended.  A killed command is a result, not an error."""

    exit_code: int
    """0-255 as a shell shows it: 128 + signal for a command that a signal ended; 137 when we killed it."""
    stop: Stop = Stop.EXITED
    stdout: bytes = b""
    stderr: bytes = b""
    wall_seconds: float = 0.0


class Sandbox(Protocol):
    """Runs commands without network, without the host's files and without a container engine."""

    def run(self, spec: SandboxSpec) -> SandboxResult:
        """Run to the end.

        Raises EnvironmentFault: `sandbox-missing` (no bubblewrap), `sandbox-refused` (the machine does not allow the
        namespaces or mounts), `root-missing`; UnavailableError `command-not-found` (no such program inside the root).
        """


def check_spec(spec: SandboxSpec) -> None:
    """Invariants every implementation relies on; broken ones are programming faults (AssertionError)."""
    assert spec.command and spec.command[0], "a sandbox run needs a program"
    assert spec.root.startswith("/") and spec.working_directory.startswith("/"), "sandbox paths are absolute"
    texts = (*spec.command, *(text for pair in spec.environment for text in pair), spec.hostname)
    assert not any("\0" in text for text in texts), "a NUL byte cannot be passed to a program"
