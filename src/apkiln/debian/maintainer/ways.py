"""The ways a script can take from a condition that cannot be known, and what is left when two of them are joined."""

from __future__ import annotations

from dataclasses import dataclass

from apkiln.debian.maintainer.machine import Status, Stop
from apkiln.debian.maintainer.scene import Scene, image_path
from apkiln.debian.maintainer.values import Value, Variables, merged
from apkiln.formats.shell.syntax import Command


@dataclass(slots=True)
class State:
    """Everything that differs between two ways."""

    scene: Scene
    variables: Variables
    functions: dict[str, Command]
    printed: Value = ""
    umask: int = 0o022
    uncertain: int = 0
    """Line of a condition after which it is not certain that the script goes on; 0 = it is certain."""

    def copy(self) -> State:
        return State(self.scene.copy(), self.variables.copy(), dict(self.functions), self.printed, self.umask, self.uncertain)


@dataclass(slots=True)
class Way:
    """What came of following a part of a script."""

    state: State
    status: Status = None
    left: Exception | None = None

    @property
    def failed(self) -> bool:
        return isinstance(self.left, Stop) and self.left.failed is True


def offered_anyway(one: Scene, other: Scene) -> Scene | None:
    """The way that only offers more alternatives, of programs that are not the package's own: an image takes an offer up only
    when its program is there, so making it in any case is the same as asking for the program first."""
    longer, shorter = (one, other) if len(one.steps) > len(other.steps) else (other, one)
    common = len(shorter.steps)
    more = longer.steps[common:]
    if not more or longer.steps[:common] != shorter.steps:
        return None
    return (
        longer
        if all(step.verb == "alternative" and not longer.owns(image_path(step.arguments[2]) or "") for step in more)
        else None
    )


def joined_state(one: State, other: State) -> State:
    state = one.copy()
    names = {*one.variables.values, *other.variables.values}
    state.variables.values = {
        name: merged(one.variables.values.get(name, ""), other.variables.values.get(name, "")) for name in names
    }
    state.variables.status = merged(one.variables.status, other.variables.status)
    state.printed = merged(one.printed, other.printed)
    if one.variables.positional != other.variables.positional:
        state.variables.positional = tuple(None for _ in one.variables.positional)
    # A function that only one way defines is not known to be one: calling it is then a command that nothing covers.
    state.functions = {name: body for name, body in one.functions.items() if other.functions.get(name) == body}
    state.umask = one.umask if one.umask == other.umask else 0o077
    state.uncertain = one.uncertain or other.uncertain
    return state
