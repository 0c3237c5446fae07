"""Words of a shell script: quotes, parameters, substitutions (XCU 2.2, 2.6).

`Text` is a cursor over the script that both this module and the command parser move.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.shell.syntax import Arithmetic, Block, Literal, Parameter, Part, Substitution, Word

MAXIMUM_DEPTH = 40
"""Substitutions and compound commands inside each other."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = "@*#?-$!0123456789"
_META = frozenset(" \t\n;&|<>()")
"""Characters that end an unquoted word."""
_OPERATORS = (":-", ":=", ":?", ":+", "%%", "##", "-", "=", "?", "+", "%", "#")
_PLAIN = re.compile(r"[^ \t\n;&|<>()\\'\"$`]+")


class Text:
    """A script and a position in it."""

    def __init__(self, text: str, source: str, line: int = 1, depth: int = 0) -> None:
        self.text = text
        self.position = 0
        self.depth = depth
        self.line_end = -1
        """Line end behind which the content of here-documents was read already; -1 = none."""
        self.resume = 0
        """Where the script goes on after that content."""
        self._source = source
        self._first_line = line

    def peek(self, length: int = 1) -> str:
        return self.text[self.position : self.position + length]

    def take(self, token: str) -> bool:
        """Move behind `token` when it comes next."""
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    @property
    def ended(self) -> bool:
        return self.position >= len(self.text)

    def line(self, position: int | None = None) -> int:
        end = self.position if position is None else position
        return self._first_line + self.text.count("\n", 0, end)

    def fault(self, message: str, line: int = 0) -> FormatError:
        """A `shell-syntax` error at a line, the current one by default."""
        place = Origin(self._source, line or self.line())
        return FormatError(message, reason="shell-syntax", origin=place)

    def nested(self, text: str, start: int) -> Text:
        """A cursor over a part that was cut out of this text at `start`."""
        if self.depth >= MAXIMUM_DEPTH:
            raise self.fault("commands are nested too deeply")
        return Text(text, self._source, self.line(start), self.depth + 1)


ParseBlock = Callable[[Text], Block]
"""Parses all of a text as commands; given by the command parser, which this module must not know."""
ParseBody = Callable[[Text], Block]
"""Parses commands up to the `)` that closes a substitution and moves behind it."""


class WordReader:
    """Reads words at the cursor."""

    def __init__(self, text: Text, parse_block: ParseBlock, parse_body: ParseBody) -> None:
        self._text = text
        self._parse_block = parse_block
        self._parse_body = parse_body

    def word(self, stop: str = "") -> Word | None:
        """The word at the cursor, None when an operator, a blank or the end is there.

        `stop`: a character that ends the word as well, and inside which blanks and operators are ordinary (`}`).
        """
        parts: list[Part] = []
        begun = self._text.position
        while not self._text.ended:
            char = self._text.peek()
            if char == stop or (not stop and char in _META):
                break
            parts += self._part(char, stop)
        return Word(_joined(parts)) if self._text.position > begun else None

    def expanded(self, content: str, start: int) -> Word:
        """The content of a here-document that starts at `start` and whose delimiter is not quoted: as in double quotes."""
        inner = WordReader(self._text.nested(content, start), self._parse_block, self._parse_body)
        return Word(_joined(inner._double_quoted("")))

    def _part(self, char: str, stop: str) -> list[Part]:
        text = self._text
        if char == "'":
            return [Literal(self._single_quoted(), True)]
        if char == '"':
            text.position += 1
            return [Literal("", True), *self._double_quoted('"')]
        if char == "\\":
            return self._escape()
        if char in "$`":
            return self._expansion(False)
        found = None if stop else _PLAIN.match(text.text, text.position)
        plain = found[0] if found else char
        text.position += len(plain)
        return [Literal(plain)]

    def _escape(self) -> list[Part]:
        char = self._text.peek(2)[1:]
        self._text.position += 2
        return [] if char == "\n" else [Literal(char or "\\", True)]

    def _single_quoted(self) -> str:
        text = self._text
        end = text.text.find("'", text.position + 1)
        if end < 0:
            raise text.fault("a single quote is not closed")
        content = text.text[text.position + 1 : end]
        text.position = end + 1
        return content

    def _double_quoted(self, end: str) -> list[Part]:
        """Parts up to the closing quote; `end` empty: to the end of the text, as in a here-document."""
        text, start = self._text, self._text.position
        parts: list[Part] = []
        while not text.ended:
            char = text.peek()
            if end and char == end:
                text.position += 1
                return parts
            parts += self._quoted_part(char, end)
        if end:
            raise text.fault("a double quote is not closed", text.line(start))
        return parts

    def _quoted_part(self, char: str, end: str) -> list[Part]:
        text = self._text
        if char == "\\":
            following = text.peek(2)[1:]
            escaped = following in ("$", "`", "\\", end) and following
            text.position += 2
            return [] if following == "\n" else [Literal(following if escaped else f"\\{following}", True)]
        if char in "$`":
            return self._expansion(True)
        text.position += 1
        return [Literal(char, True)]

    def _expansion(self, quoted: bool) -> list[Part]:
        text = self._text
        if text.peek() == "`":
            return [Substitution(self._backquoted(), quoted)]
        if text.take("$(("):
            return [self._arithmetic(quoted)]
        if text.take("$("):
            return [Substitution(self._parse_body(text), quoted)]
        if text.take("${"):
            return [self._braced(quoted)]
        found = _NAME.match(text.text, text.position + 1)
        if found:
            text.position = found.end()
            return [Parameter(found[0], quoted=quoted)]
        special = text.peek(2)[1:]
        if special and special in _SPECIAL:
            text.position += 2
            return [Parameter(special, quoted=quoted)]
        if special in ("'", '"') and not quoted:
            raise text.fault("`$'…'` is not part of POSIX shell")
        text.position += 1
        return [Literal("$", quoted)]

    def _backquoted(self) -> Block:
        text = self._text
        start, content = text.position + 1, ""
        position = start
        while position < len(text.text) and text.text[position] != "`":
            char = text.text[position]
            if char == "\\" and text.text[position + 1 : position + 2] in ("`", "$", "\\"):
                position += 1
                char = text.text[position]
            content += char
            position += 1
        if position >= len(text.text):
            raise text.fault("a backquote is not closed")
        text.position = position + 1
        return self._parse_block(text.nested(content, start))

    def _arithmetic(self, quoted: bool) -> Arithmetic:
        """`$((` was taken."""
        text, depth, start = self._text, 0, self._text.position
        while not text.ended:
            if depth == 0 and text.peek(2) == "))":
                content = text.text[start : text.position]
                text.position += 2
                return Arithmetic(self.expanded(content, start), quoted)
            depth += {"(": 1, ")": -1}.get(text.peek(), 0)
            text.position += 1
        raise text.fault("an arithmetic expansion is not closed", text.line(start))

    def _braced(self, quoted: bool) -> Parameter:
        """`${` was taken."""
        text, start = self._text, self._text.position
        length = text.peek() == "#" and text.peek(2)[1:] != "}"
        text.position += length
        found = _NAME.match(text.text, text.position) or re.compile(r"[@*#?$!-]|[0-9]+").match(text.text, text.position)
        if found is None:
            raise text.fault("a parameter expansion has no name")
        text.position = found.end()
        operator = "length" if length else next((item for item in _OPERATORS if text.take(item)), "")
        argument = None if length or not operator else self.word("}") or Word(())
        if not text.take("}"):
            raise text.fault(
                f"`${{{text.text[start : text.position]}…` is not part of POSIX shell or not closed", text.line(start)
            )
        return Parameter(found[0], operator, argument, quoted)


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring literals of the same kind as one."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Literal) and isinstance(last, Literal) and last.quoted == part.quoted:
            joined[-1] = Literal(last.text + part.text, part.quoted)
        else:
            joined.append(part)
    return tuple(joined)
