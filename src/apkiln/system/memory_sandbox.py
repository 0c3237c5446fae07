"""The sandbox's twin: programs are Python functions, runs are remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.system.sandbox import Listener, SandboxResult, SandboxSpec, Stop, Streams, check_spec


class Behaviour(NamedTuple):
    """What a made-up program does."""

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    """How long it would run; compared with the limit, never slept."""


class MemorySandbox:
    """`programs` maps `command[0]` to a function of the spec; `roots` are the directories that exist (None = all)."""

    def __init__(self, programs: Mapping[str, Callable[[SandboxSpec], Behaviour]], roots: frozenset[str] | None = None) -> None:
        self._programs = dict(programs)
        self._roots = roots
        self.runs: list[SandboxSpec] = []

    def run(self, spec: SandboxSpec, listener: Listener | None = None) -> SandboxResult:
        """See `Sandbox.run`."""
        check_spec(spec)
        if self._roots is not None and spec.root not in self._roots:
            raise EnvironmentFault("the root directory does not exist", reason="root-missing", origin=Origin(spec.root))
        program = self._programs.get(spec.command[0])
        if program is None:
            message = f"`{spec.command[0]}` could not be started inside the root"
            raise UnavailableError(message, reason="command-not-found", origin=Origin(spec.root))
        self.runs.append(spec)
        behaviour = program(spec)
        if spec.streams is Streams.LINES:
            said = behaviour.stdout + behaviour.stderr
            if listener is not None:
                listener(said)
            kept = said[-spec.limits.output :] if spec.limits.output else said
            behaviour = behaviour._replace(stdout=kept, stderr=b"")
        return self._bounded(spec, behaviour)

    def _bounded(self, spec: SandboxSpec, behaviour: Behaviour) -> SandboxResult:
        limits = spec.limits
        captured = spec.streams in (Streams.CAPTURE, Streams.LINES)
        outputs = (behaviour.stdout, behaviour.stderr) if captured else (b"", b"")
        if limits.output and any(len(output) > limits.output for output in outputs):
            kept = tuple(output[: limits.output] for output in outputs)
            return SandboxResult(137, Stop.OUTPUT_LIMIT, kept[0], kept[1], behaviour.seconds)
        if limits.seconds and behaviour.seconds > limits.seconds:
            return SandboxResult(137, Stop.TIMED_OUT, outputs[0], outputs[1], limits.seconds)
        return SandboxResult(behaviour.exit_code, Stop.EXITED, outputs[0], outputs[1], behaviour.seconds)
