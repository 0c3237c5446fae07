"""The tree of a shell script: words that expand, commands, and what joins them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands for itself."""

    text: str
    quoted: bool = False
    """In quotes or behind a backslash: no pattern, never split into fields."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name` or `${name operator argument}`."""

    name: str
    """A variable, a digit, or one of `@ * # ? - $ !`."""
    operator: str = ""
    """One of `:-` `-` `:=` `=` `:?` `?` `:+` `+` `%` `%%` `#` `##`, or `length` for `${#name}`."""
    argument: Word | None = None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(commands)` or the same in backquotes."""

    body: Block
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`$((expression))`, the expression expanded as in double quotes."""

    expression: Word
    quoted: bool = False


Part = Literal | Parameter | Substitution | Arithmetic


@dataclass(frozen=True, slots=True)
class Word:
    """One word before expansion.  No parts: an empty here-document."""

    parts: tuple[Part, ...]

    def plain(self) -> str | None:
        """The text of a word without expansions; None for any other."""
        if any(not isinstance(part, Literal) for part in self.parts):
            return None
        return "".join(part.text for part in self.parts if isinstance(part, Literal))

    def bare(self) -> str:
        """The text of a wholly unquoted literal, as reserved words are; empty for any other."""
        if all(isinstance(part, Literal) and not part.quoted for part in self.parts):
            return "".join(part.text for part in self.parts if isinstance(part, Literal))
        return ""


@dataclass(frozen=True, slots=True)
class Redirection:
    """`descriptor operator target`."""

    operator: str
    """One of `>` `>>` `<` `>|` `<>` `>&` `<&` `<<`."""
    descriptor: int
    target: Word
    """The content for `<<`."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name=value` before or without a command."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """Assignments, words, redirections."""

    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]
    line: int = field(compare=False)
    """1-based."""
    text: str = field(compare=False)
    """As written, on one line."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by `|`."""

    commands: tuple[Command, ...]
    negated: bool
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class AndOr:
    """Pipelines joined by `&&` and `||`, which have equal rank and group to the left."""

    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """`{ … }`, or `( … )` as a subshell."""

    body: Block
    subshell: bool
    redirections: tuple[Redirection, ...]
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with their bodies, in order; `otherwise` is empty when there is no `else`."""

    branches: tuple[tuple[Block, Block], ...]
    otherwise: Block
    redirections: tuple[Redirection, ...]
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class For:
    """`for name in words`; None = the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Block
    redirections: tuple[Redirection, ...]
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class While:
    """`while` or `until`."""

    condition: Block
    body: Block
    until: bool
    redirections: tuple[Redirection, ...]
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Case:
    """The first arm with a pattern that matches is taken."""

    word: Word
    arms: tuple[tuple[tuple[Word, ...], Block], ...]
    redirections: tuple[Redirection, ...]
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Function:
    """A definition; the body is a compound command."""

    name: str
    body: Command
    line: int = field(compare=False)


Command = Simple | Group | If | For | While | Case | Function
Block = tuple[AndOr, ...]
