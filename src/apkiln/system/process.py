"""Programs of the machine: one runner, argument lists only, bounded in time and output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol
from apkiln.core.value import value


@value
class Command:
    """What to run.  Nothing is inherited from our own process but the user and the kernel's limits."""

    arguments: tuple[str, ...]
    """Program and arguments; a program without `/` is looked up in `PATH` of `environment`."""
    environment: tuple[tuple[str, str], ...] = ()
    """The whole environment of the program."""
    directory: PurePath | None = None
    """Working directory; None = ours."""
    stdin: bytes = b""
    output_limit: int = 16 * MIB
    """Bytes of standard output and of standard error each."""
    timeout: float = 600.0
    """Seconds until the program and all its children are killed."""
    feed: Callable[[], Iterable[bytes]] | None = None
    """Instead of `stdin`: the input in pieces, made as the program takes them.  What it raises ends the program and is raised."""


@value
class Completed:
    """How it ended."""

    exit_code: int
    """128 + signal number when a signal ended it."""
    stdout: bytes
    stderr: bytes


class Runner(Protocol):
    """Runs programs."""

    def run(self, command: Command) -> Completed:
        """Wait for the end.  A non-zero exit code is an answer, not an error.

        Raises EnvironmentFault `missing-program`, UnavailableError `program-timeout` or `program-output-too-large`; the
        whole process group is dead by then.
        """


class SystemRunner:
    """See `Runner`."""

    def run(self, command: Command) -> Completed:
        from apkiln.system.process_group import run_bounded

        return run_bounded(command)


class ScriptedRunner:
    """The twin: answers by arguments, and remembers what was asked in `commands`."""

    def __init__(self, answers: Mapping[tuple[str, ...], Completed]) -> None:
        self._answers = dict(answers)
        self.commands: list[Command] = []
        self.fed: list[bytes] = []
        """The whole input of each command that has a feed."""

    def run(self, command: Command) -> Completed:
        self.commands.append(command)
        if command.feed is not None and command.arguments in self._answers:
            self.fed.append(b"".join(command.feed()))
        answer = self._answers.get(command.arguments)
        if answer is None:
            raise missing_program(command)
        return answer


def missing_program(command: Command) -> EnvironmentFault:
    """The program is not there or cannot be executed."""
    return EnvironmentFault(
        f"program `{command.arguments[0]}` cannot be run",
        reason="missing-program",
        origin=Origin(source=command.arguments[0]),
        hint="install it, or add its directory to PATH",
    )


def stopped(command: Command, reason: str, why: str) -> UnavailableError:
    """We had to kill the program."""
    return UnavailableError(
        f"`{command.arguments[0]}` {why} and was stopped", reason=reason, origin=Origin(source=command.arguments[0])
    )
