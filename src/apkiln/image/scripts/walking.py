"""A script read from its first command to its last, as far as it can be known what it would do.

Nothing is run.  A branch that depends on something unknown must change nothing, whichever way it goes; else the script is not
understood, and none of it counts.
"""

from __future__ import annotations

from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Protocol

from apkiln.core.errors import FormatError
from apkiln.formats.shell.parser import parse_script
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
    Substitution,
    While,
)
from apkiln.image.scripts.commands import meaning
from apkiln.image.scripts.conditions import Answer
from apkiln.image.scripts.effects import Effect
from apkiln.image.scripts.options import NotUnderstood
from apkiln.image.scripts.scene import Scene
from apkiln.image.scripts.values import Variables

_SHELLS = (b"sh", b"ash", b"dash", b"bash", b"busybox")
_DEPTH = 20
_NOWHERE = frozenset({"/dev/null", "/dev/stderr", "/dev/stdout"})


class Untold(Exception):
    """The script is not understood; `why` in words, `line` of the script (0 = none in particular)."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


class World(Protocol):
    """What scripts see and change."""

    @property
    def scene(self) -> Scene:
        """The image as it is at this moment."""

    def apply(self, effect: Effect) -> None:
        """Do it.  Raises NotUnderstood when it cannot be done."""


def walk(text: bytes, arguments: tuple[str, ...], world: World) -> int:
    """Do in `world` what a script would do; the number of effects.

    `arguments`: its positional parameters.  Raises Untold; what was applied by then must be dropped.
    """
    if not text.strip():
        return 0
    first, _, _ = text.partition(b"\n")
    words = first[2:].split()
    program = words[0].rpartition(b"/")[2] if words else b""
    if program == b"env" and len(words) > 1:
        program = words[1]
    if not first.startswith(b"#!") or program not in _SHELLS:
        raise Untold("it is not for a shell")
    try:
        block = parse_script(text.decode())
    except UnicodeDecodeError:
        raise Untold("it is not UTF-8") from None
    except FormatError as fault:
        raise Untold(fault.message, fault.origin.line or 0) from None
    walker = _Walker(world, Variables(arguments))
    with suppress(_Exit, _Return):
        walker.block(block)
    return walker.effects


class _Exit(Exception):
    """The script ends here for certain."""


class _Return(Exception):
    """The function ends here for certain."""


class _Walker:
    def __init__(self, world: World, variables: Variables) -> None:
        self.effects = 0
        self._world = world
        self._variables = variables
        self._functions: dict[str, Command] = {}
        self._depth = 0
        self._doubts = 0
        """Branches around this one of which nobody knows whether they are taken."""
        self._may_be_over = False
        """The script may have ended before."""
        self._line = 0

    @property
    def _certain(self) -> bool:
        return self._doubts == 0 and not self._may_be_over

    def _doubtful(self, block: Block) -> Answer:
        """A branch that may or may not be taken."""
        self._doubts += 1
        try:
            return self.block(block)
        finally:
            self._doubts -= 1

    def block(self, block: Block) -> Answer:
        answer: Answer = True
        for item in block:
            answer = self._and_or(item)
        return answer

    def _and_or(self, item: AndOr) -> Answer:
        answer = self._pipeline(item.first)
        for operator, pipeline in item.rest:
            if answer is None:
                other = self._doubtful((AndOr(pipeline, ()),))
                answer = other if other is not None and other == (operator == "||") else None
            elif answer == (operator == "&&"):
                answer = self._pipeline(pipeline)
        return answer

    def _pipeline(self, pipeline: Pipeline) -> Answer:
        if len(pipeline.commands) == 1:
            answer = self._command(pipeline.commands[0])
        else:
            # Each runs in a shell of its own, with input that is not known.
            for command in pipeline.commands:
                self._doubtful((AndOr(Pipeline((command,), False, pipeline.line), ()),))
            answer = None
        return answer if not pipeline.negated or answer is None else not answer

    def _command(self, command: Command) -> Answer:
        if isinstance(command, Simple):
            return self._simple(command)
        if isinstance(command, Function):
            self._functions[command.name] = command.body
            return True
        self._line = command.line
        self._redirections(command.redirections)
        if isinstance(command, Group):
            return self._subshell(command) if command.subshell else self.block(command.body)
        if isinstance(command, If):
            return self._if(command)
        if isinstance(command, For):
            return self._for(command)
        if isinstance(command, Case):
            return self._case(command)
        return self._while(command)

    def _subshell(self, command: Group) -> Answer:
        before = self._variables.saved()
        try:
            return self.block(command.body)
        except (_Exit, _Return):
            return None
        finally:
            self._variables.restore(before)

    def _if(self, command: If) -> Answer:
        for position, (condition, body) in enumerate(command.branches):
            answer = self.block(condition)
            if answer:
                return self.block(body)
            if answer is None:
                for _, other in command.branches[position:]:
                    self._doubtful(other)
                for later, _ in command.branches[position + 1 :]:
                    self._doubtful(later)
                self._doubtful(command.otherwise)
                return None
        return self.block(command.otherwise)

    def _for(self, command: For) -> Answer:
        fields: list[str] = []
        for word in command.words if command.words is not None else ():
            found = self._variables.fields(word)
            if found is None:
                self._variables.set(command.name, None)
                self._doubtful(command.body)
                return None
            fields += found
        answer: Answer = True
        for text in fields if command.words is not None else self._variables.arguments:
            self._variables.set(command.name, text)
            answer = self.block(command.body)
        return answer

    def _case(self, command: Case) -> Answer:
        text = self._variables.text(command.word)
        if text is None:
            for _, body in command.arms:
                self._doubtful(body)
            return None
        for patterns, body in command.arms:
            for pattern in patterns:
                plain = pattern.plain()
                if plain is None:
                    raise Untold("a pattern depends on something that cannot be known", command.line)
                if fnmatchcase(text, plain):
                    return self.block(body)
        return True

    def _while(self, command: While) -> Answer:
        answer = self._doubtful(command.condition)
        if answer is not None and answer == command.until:
            return True
        self._doubtful(command.body)
        return None

    def _simple(self, command: Simple) -> Answer:
        self._line = command.line
        for assignment in command.assignments:
            value = self._variables.text(assignment.value) if self._certain else None
            self._variables.set(assignment.name, value)
        self._redirections(command.redirections)
        for word in (*(item.value for item in command.assignments), *command.words):
            for part in word.parts:
                if isinstance(part, Substitution):
                    self._doubtful(part.body)
        words: list[str | None] = []
        for word in command.words:
            fields = self._variables.fields(word)
            words += (None,) if fields is None else fields
        if not words:
            return True
        if words[0] is None:
            raise Untold("the command that is run cannot be known", command.line)
        return self._call(words[0], words, command)

    def _call(self, program: str, words: list[str | None], command: Simple) -> Answer:
        if program == "exit" or (program == "exec" and len(words) > 1):
            return self._end(program, words, command)
        if program == "return":
            if self._certain:
                raise _Return
            self._may_be_over = True  # of the function only; nothing is lost by being careful
            return None
        if program in ("shift", "set"):
            return self._arguments(program, words[1:])
        if program in self._functions:
            return self._function(self._functions[program], words)
        if program == "command" and len(words) > 1 and words[1] not in ("-v", "-V"):
            words = words[1:]
        if program in ("read", "local", "export", "unset"):
            self._forget(words[1:])
        try:
            found = meaning(words, self._world.scene)
            if found.effects and not self._certain:
                raise NotUnderstood(f"`{command.text}` depends on something that cannot be known")
            for effect in found.effects:
                self._world.apply(effect)
        except NotUnderstood as fault:
            raise Untold(str(fault), command.line) from None
        self.effects += len(found.effects)
        return found.answer

    def _arguments(self, program: str, words: list[str | None]) -> Answer:
        """`shift`, and `set` as far as it only sets options."""
        if program == "set":
            if any(word is None or not word.startswith(("-", "+")) or word == "--" for word in words if word != "pipefail"):
                raise Untold("`set` changes the positional parameters", self._line)
            return True
        count = words[0] if words else "1"
        if count is None or not count.isdecimal() or not self._certain:
            raise Untold("`shift` depends on something that cannot be known", self._line)
        self._variables.arguments = self._variables.arguments[int(count) :]
        return True

    def _end(self, program: str, words: list[str | None], command: Simple) -> Answer:
        if program == "exec":
            self._call(words[1] or "", words[1:], command)
        if self._certain:
            raise _Exit
        self._may_be_over = True
        return None

    def _function(self, body: Command, words: list[str | None]) -> Answer:
        if self._depth >= _DEPTH:
            raise Untold("functions call each other too deeply", self._line)
        if any(word is None for word in words):
            raise Untold("a function is given something that cannot be known", self._line)
        before = self._variables.arguments
        self._variables.arguments = tuple(word for word in words[1:] if word is not None)
        self._depth += 1
        try:
            return self._command(body)
        except _Return:
            return None
        finally:
            self._depth -= 1
            self._variables.arguments = before

    def _forget(self, words: list[str | None]) -> None:
        for word in words:
            name, equals, text = (word or "").partition("=")
            if equals and self._certain:
                self._variables.set(name, text)
            elif name and not name.startswith("-") and not equals:
                self._variables.set(name, self._variables.get(name) or None)

    def _redirections(self, redirections: tuple[Redirection, ...]) -> None:
        for redirection in redirections:
            if redirection.operator in ("<", "<<", "<&"):
                continue
            target = self._variables.text(redirection.target)
            if redirection.operator == ">&" and target in ("1", "2", "-"):
                continue
            if target not in _NOWHERE:
                raise Untold(f"it writes to `{target or 'a file'}`", self._line)
