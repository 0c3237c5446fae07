"""What a command of a script sees and may do: the scene, the variables, a status, output, and the ways to give up."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from apkiln.debian.maintainer.scene import Scene
from apkiln.debian.maintainer.steps import Step
from apkiln.debian.maintainer.values import Value, Variables

Status = bool | None
"""Whether a command succeeds; None = unknown."""


class Untranslated(NamedTuple):
    """A command that no translator covers (SCRIPT_UNTRANSLATED)."""

    line: int
    text: str
    """The command as written, on one line."""
    why: str


class Stop(Exception):
    """`exit`; `failed` = with another status than 0."""

    def __init__(self, failed: Status) -> None:
        super().__init__()
        self.failed = failed


class Leave(Exception):
    """`return`, `break`, `continue`."""

    def __init__(self, word: str, status: Status) -> None:
        super().__init__()
        self.word = word
        self.status = status


class Surroundings(NamedTuple):
    """What the installer tells a script."""

    package: str
    architecture: str
    """Debian name."""
    triplet: str
    """Multiarch triplet."""
    defaults: dict[str, str]
    """Default answers of the package's debconf templates, by question."""


class Machine(Protocol):
    """What `commands` works on."""

    scene: Scene
    variables: Variables
    umask: int
    surroundings: Surroundings

    def step(self, verb: str, *arguments: str) -> None:
        """Take a step; `Giving up` where it is not certain that it happens."""

    def give_up(self, why: str) -> Status:
        """Record that the current command is not translated; None."""

    def output(self, text: Value) -> None:
        """Add to what the command prints; None = something that is not known."""

    def steps_taken(self) -> list[Step]:
        """All so far."""
