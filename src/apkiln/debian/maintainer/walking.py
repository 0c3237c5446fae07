"""Following a script on paper: every command is accounted for, none is run (spec debian.md §8.1).

Where a condition cannot be known, both ways are followed.  They must come to the same steps, or one of them must fail (a
script is taken to succeed); anything else is reported as untranslated with its line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from apkiln.debian.maintainer.commands import run_command
from apkiln.debian.maintainer.machine import Leave, Machine, Status, Stop, Surroundings, Untranslated
from apkiln.debian.maintainer.scene import Scene, image_path
from apkiln.debian.maintainer.steps import Step
from apkiln.debian.maintainer.values import Either, Expander, Value, Variables
from apkiln.debian.maintainer.ways import State, Way, joined_state, offered_anyway
from apkiln.formats.shell.syntax import (
    AndOr,
    Block,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Redirection,
    Simple,
    While,
)

MAXIMUM_COMMANDS = 50_000
"""Commands followed in one script, both ways counted."""
_TO_FILE = (">", ">>", ">|")
MAXIMUM_CALLS = 30
"""Functions inside each other."""


@dataclass(slots=True)
class _Counter:
    commands: int = 0
    calls: int = 0
    faults: dict[Untranslated, None] = field(default_factory=dict)


class Walker:
    """Follows scripts one after the other through one scene.  A `Machine` for its commands."""

    def __init__(self, scene: Scene, surroundings: Surroundings) -> None:
        self._state = State(scene, Variables({}, (), ""), {})
        self.surroundings = surroundings
        self._counter = _Counter()
        self._current = Simple((), (), (), 0, "")

    # What commands use

    @property
    def scene(self) -> Scene:
        return self._state.scene

    @scene.setter
    def scene(self, scene: Scene) -> None:
        self._state.scene = scene

    @property
    def variables(self) -> Variables:
        return self._state.variables

    @variables.setter
    def variables(self, variables: Variables) -> None:
        self._state.variables = variables

    @property
    def umask(self) -> int:
        return self._state.umask

    @umask.setter
    def umask(self, umask: int) -> None:
        self._state.umask = umask

    def step(self, verb: str, *arguments: str) -> None:
        if self._state.uncertain:
            self.give_up(f"line {self._state.uncertain} decides whether this runs, and cannot be decided")
        else:
            self.scene.add(Step(verb, arguments))

    def give_up(self, why: str) -> Status:
        self._counter.faults[Untranslated(self._current.line, self._current.text, why)] = None
        return None

    def output(self, text: Value) -> None:
        printed = self._state.printed
        self._state.printed = printed + text if isinstance(printed, str) and isinstance(text, str) else None

    def steps_taken(self) -> list[Step]:
        return self.scene.steps

    # Scripts

    def follow(self, block: Block, name: str, arguments: tuple[str, ...]) -> tuple[Untranslated, ...]:
        """Follow one script from a fresh shell; its untranslated commands in order of line.  Steps go to the scene."""
        environment: dict[str, Value] = {
            "DPKG_MAINTSCRIPT_PACKAGE": self.surroundings.package,
            "DPKG_MAINTSCRIPT_ARCH": self.surroundings.architecture,
            "DPKG_MAINTSCRIPT_NAME": name,
            "DEBIAN_FRONTEND": "noninteractive",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        self._state = State(self._state.scene, Variables(environment, arguments, name), {})
        self._counter = _Counter()
        way = self._way(lambda: self._block(block))
        if way.failed:
            self.give_up("the script comes to a failing end here")
        return tuple(sorted(self._counter.faults))

    def _way(self, follow: Callable[[], Status]) -> Way:
        try:
            return Way(self._state, follow())
        except (Stop, Leave) as left:
            return Way(self._state, None, left)

    def _fork(self, one: Callable[[], Status], other: Callable[[], Status], line: int) -> Status:
        """Follow two ways of which one is taken."""
        before = self._state
        ways: list[Way] = []
        for follow in (one, other):
            self._state = before.copy()
            ways.append(self._way(follow))
        if ways[0].failed != ways[1].failed:
            kept = ways[1] if ways[0].failed else ways[0]
            self._state = kept.state
            if kept.left is not None:
                raise kept.left
            return kept.status
        return self._joined(before, ways[0], ways[1], line)

    def _joined(self, before: State, one: Way, other: Way, line: int) -> Status:
        offered = offered_anyway(one.state.scene, other.state.scene)
        if offered is not None:
            one.state.scene = other.state.scene = offered
        if one.state.scene.steps != other.state.scene.steps:
            self._state = before
            taken = [str(step) for way in (one, other) for step in way.state.scene.steps[len(before.scene.steps) :]]
            self._counter.faults[Untranslated(line, taken[0] if taken else "", "it cannot be known whether this is done")] = None
            return None
        self._state = joined_state(one.state, other.state)
        if one.left is not None and other.left is not None:
            raise one.left
        if one.left is not None or other.left is not None:
            self._state.uncertain = self._state.uncertain or line
            return (other if one.left is not None else one).status
        return one.status if one.status is other.status else None

    # Lists

    def _block(self, block: Block) -> Status:
        status: Status = True
        for item in block:
            status = self._and_or(item)
            self.variables.status = {True: "0", False: "1", None: None}[status]
        return status

    def _and_or(self, item: AndOr) -> Status:
        status = self._pipeline(item.first)
        for operator, pipeline in item.rest:
            wanted = operator == "&&"
            if status is None:
                status = self._fork(lambda pipeline=pipeline: self._pipeline(pipeline), lambda: None, pipeline.line)  # type: ignore[misc]
            elif status is wanted:
                status = self._pipeline(pipeline)
        return status

    def _pipeline(self, pipeline: Pipeline) -> Status:
        if len(pipeline.commands) == 1:
            status = self._command(pipeline.commands[0], None)
        else:
            status = self._piped(pipeline)
        return (None if status is None else not status) if pipeline.negated else status

    def _piped(self, pipeline: Pipeline) -> Status:
        """Each command in a subshell, the output of one as input of the next."""
        printed: Value = ""
        status: Status = None
        before = self._state.printed
        for number, command in enumerate(pipeline.commands):
            self._state.printed = ""
            given = printed if number else None
            status = self._in_subshell(lambda command=command, given=given: self._command(command, given))  # type: ignore[misc]
            printed = self._state.printed
        self._state.printed = before
        self.output(printed)
        return status

    def _in_subshell(self, follow: Callable[[], Status]) -> Status:
        """Variables, functions and `exit` stay inside; steps do not."""
        outer = self._state
        self._state = outer.copy()
        way = self._way(follow)
        outer.scene, outer.printed = self._state.scene, self._state.printed
        self._state = outer
        if isinstance(way.left, Stop):
            return None if way.left.failed is None else not way.left.failed
        return way.left.status if isinstance(way.left, Leave) else way.status

    def _substitute(self, block: Block) -> Value:
        before, self._state.printed = self._state.printed, ""
        self._in_subshell(lambda: self._block(block))
        printed, self._state.printed = self._state.printed, before
        return printed.rstrip("\n") if isinstance(printed, str) else None

    @property
    def _expander(self) -> Expander:
        return Expander(self.variables, self._substitute)

    # Commands

    def _command(self, command: Command, given: Value) -> Status:
        """`given`: what comes through a pipe; None = nothing that is known."""
        self._counter.commands += 1
        if self._counter.commands > MAXIMUM_COMMANDS:
            self.give_up(f"the script takes more than {MAXIMUM_COMMANDS} commands")
            raise Stop(None)
        match command:
            case Simple():
                return self._simple(command, given)
            case Function():
                self._state.functions[command.name] = command.body
                return True
            case Group():
                return self._redirected(command.redirections, lambda: self._group(command))
            case If():
                return self._redirected(command.redirections, lambda: self._if(command, 0))
            case For():
                return self._redirected(command.redirections, lambda: self._for(command))
            case While():
                return self._redirected(command.redirections, lambda: self._while(command))
            case Case():
                return self._redirected(command.redirections, lambda: self._case(command, 0))

    def _group(self, command: Group) -> Status:
        return self._in_subshell(lambda: self._block(command.body)) if command.subshell else self._block(command.body)

    def _if(self, command: If, number: int) -> Status:
        if number == len(command.branches):
            return self._block(command.otherwise)
        condition, body = command.branches[number]
        status = self._block(condition)
        if status is None:
            return self._fork(lambda: self._block(body), lambda: self._if(command, number + 1), command.line)
        return self._block(body) if status else self._if(command, number + 1)

    def _for(self, command: For) -> Status:
        values = list(self.variables.positional) if command.words is None else self._expanded_paths(command)
        if values is None or None in values:
            return self._maybe(command.body, command.line, (command.name,))
        status: Status = True
        for value in values:
            self.variables.values[command.name] = value
            status, ended = self._once(command.body)
            if ended:
                break
        return status

    def _expanded_paths(self, command: For) -> list[Value] | None:
        """Fields of `in`, patterns replaced by the paths they match; None when that cannot be known."""
        values: list[Value] = []
        for value in self._expander.fields(command.words or ()):
            if not isinstance(value, str) or not any(char in value for char in "*?["):
                values.append(value)
                continue
            path = image_path(value)
            matches = self.scene.matches(path) if path is not None else None
            if matches is None:
                values.append(value)
            else:
                values += [f"/{match}" for match in matches] or [value]
        return values

    def _once(self, body: Block) -> tuple[Status, bool]:
        """One turn of a loop: (status, whether the loop ends)."""
        uncertain = self._state.uncertain
        try:
            status = self._block(body)
        except Leave as left:
            if left.word == "return":
                raise
            self._state.uncertain = uncertain
            return True, left.word == "break"
        self._state.uncertain = uncertain
        return status, False

    def _while(self, command: While) -> Status:
        for _ in range(1000):
            status = self._block(command.condition)
            if status is None:
                return self._maybe(command.body, command.line)
            if status is command.until:
                return True
            _, ended = self._once(command.body)
            if ended:
                return True
        return self.give_up("the loop does not end")

    def _maybe(self, body: Block, line: int, unknown: tuple[str, ...] = ()) -> Status:
        """A body that runs any number of times: what it assigns is not known afterwards."""

        def turn() -> Status:
            for name in unknown:
                self.variables.values[name] = None
            before = dict(self.variables.values)
            self._once(body)
            for name, value in self.variables.values.items():
                if before.get(name, "") != value:
                    self.variables.values[name] = None
            return True

        return self._fork(turn, lambda: True, line)

    def _case(self, command: Case, number: int) -> Status:
        if number == len(command.arms):
            return True
        word = self._expander.text(command.word)
        patterns, body = command.arms[number]
        found = self._matches(word, [self._expander.pattern(pattern) for pattern in patterns])
        if found is None:
            return self._fork(lambda: self._block(body), lambda: self._case(command, number + 1), command.line)
        return self._block(body) if found else self._case(command, number + 1)

    def _matches(self, word: Value, patterns: list[object]) -> Status:
        if all(getattr(pattern, "pattern", "") == "(?s:.*)\\Z" for pattern in patterns):
            return True
        if word is None or None in patterns:
            return None
        texts = word.texts if isinstance(word, Either) else (word,)
        found = {any(pattern.fullmatch(text) for pattern in patterns) for text in texts}  # type: ignore[attr-defined]
        return found.pop() if len(found) == 1 else None

    # Simple commands

    def _simple(self, command: Simple, given: Value) -> Status:
        self._current = command
        fields = self._expander.fields(command.words)
        assigned = [(item.name, self._expander.text(item.value)) for item in command.assignments]
        self._current = command
        if not fields:
            self.variables.values.update(assigned)
            return self._redirected(command.redirections, lambda: True)
        here = next((item.target for item in command.redirections if item.operator == "<<"), None)
        text = self._expander.text(here) if here is not None else given
        return self._redirected(command.redirections, lambda: self._call(fields, text))

    def _call(self, fields: list[Value], given: Value) -> Status:
        name, arguments = fields[0], fields[1:]
        if isinstance(name, Either):
            return self._either(name, arguments, given)
        if name in self._state.functions and isinstance(name, str):
            return self._function(self._state.functions[name], arguments)
        if name is None:
            return self.give_up("it cannot be known what is called")
        machine: Machine = self
        return run_command(machine, name, arguments, given)

    def _either(self, name: Either, arguments: list[Value], given: Value) -> Status:
        first, *rest = name.texts
        line = self._current.line
        other = Either(tuple(rest)) if len(rest) > 1 else rest[0]
        return self._fork(
            lambda: self._call([*first.split(), *arguments], given), lambda: self._call(_split(other, arguments), given), line
        )

    def _function(self, body: Command, arguments: list[Value]) -> Status:
        if self._counter.calls >= MAXIMUM_CALLS:
            return self.give_up("functions call each other without end")
        outer, uncertain, current = self.variables.positional, self._state.uncertain, self._current
        self._counter.calls += 1
        self.variables.positional = tuple(arguments)
        try:
            status = self._command(body, None)
        except Leave as left:
            status = left.status
        finally:
            self._counter.calls -= 1
        self.variables.positional, self._state.uncertain, self._current = outer, uncertain, current
        return status

    # Redirections

    def _redirected(self, redirections: tuple[Redirection, ...], follow: Callable[[], Status]) -> Status:
        """Follow with the output going where it is sent: it becomes a file when it is known, and nothing may be lost."""
        files = [item for item in redirections if item.operator in _TO_FILE and item.descriptor == 1]
        target = files[-1] if files else None
        for item in redirections:
            self._check_target(item)
        text = self._expander.text(target.target) if target is not None else ""
        moved = any(item.operator == ">&" and item.descriptor == 1 for item in redirections)
        if target is None and not moved:
            return follow()
        before, self._state.printed = self._state.printed, ""
        way = self._way(follow)
        printed, self._state.printed = self._state.printed, before
        if target is not None and text not in ("/dev/null", "/dev/stderr"):
            self._write(text, printed, target.operator == ">>")
        if way.left is not None:
            raise way.left
        return way.status

    def _check_target(self, item: Redirection) -> None:
        """Errors may go nowhere, to the output or to a terminal, never to a file."""
        elsewhere = item.operator in _TO_FILE and item.descriptor != 1
        if elsewhere and self._expander.text(item.target) not in ("/dev/null", "/dev/stderr", "/dev/stdout"):
            self.give_up("errors are written to a file")

    def _write(self, target: Value, printed: Value, append: bool) -> None:
        path = image_path(target) if isinstance(target, str) else None
        if path is None or not isinstance(printed, str):
            self.give_up("what is written, or where, cannot be known")
            return
        earlier = self.scene.read(path) if append else ""
        if append and earlier is None:
            if self.scene.kind(path) is None or self.scene.owns(path):
                self.give_up("what is written to cannot be known")
                return
            earlier = ""
        mode = f"{0o666 & ~self.umask:o}"
        self.step("file", path, mode, (earlier or "") + printed)


def _split(value: Value, arguments: list[Value]) -> list[Value]:
    return [*value.split(), *arguments] if isinstance(value, str) else [value, *arguments]
