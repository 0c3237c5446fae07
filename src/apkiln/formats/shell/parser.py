"""Commands of a POSIX shell script (XCU 2.3, 2.9, 2.10), by recursive descent.

Extensions that other shells have (arrays, `[[`, `function`, process substitution) are refused with their line, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import replace

from apkiln.core.limits import MIB
from apkiln.formats.shell.syntax import (
    AndOr,
    Assignment,
    Block,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Literal,
    Pipeline,
    Redirection,
    Simple,
    While,
    Word,
)
from apkiln.formats.shell.words import MAXIMUM_DEPTH, Text, WordReader

MAXIMUM_SCRIPT = MIB
"""Characters of a script."""
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_DIGITS = re.compile(r"[0-9]+(?=[<>])")
_REDIRECTIONS = (">>", ">&", ">|", "<<-", "<<", "<&", "<>", ">", "<")
_RESERVED = frozenset(("then", "else", "elif", "fi", "do", "done", "esac", "}"))
"""Words that end a block where they stand in command position."""
_COMPOUND = frozenset(("if", "for", "while", "until", "case", "{"))
_UNKNOWN = frozenset(("[[", "function", "select", "(("))


def parse_script(content: str, source: str = "") -> Block:
    """All commands of a script.

    Raises FormatError (`shell-syntax`) with the line, for what breaks POSIX rules or goes beyond them, and `limit-script`.
    """
    text = Text(content, source)
    if len(content) > MAXIMUM_SCRIPT:
        fault = text.fault(f"the script is longer than {MAXIMUM_SCRIPT} characters")
        fault.reason = "limit-script"
        raise fault
    return _parse_all(text)


def _parse_all(text: Text) -> Block:
    block = _Parser(text).block()
    if not text.ended:
        raise text.fault(f"`{text.peek()}` is not expected here")
    return block


def _parse_body(text: Text) -> Block:
    """The inside of `$(`, and the `)`."""
    parser = _Parser(text)
    parser.deeper()
    block = parser.block()
    parser.expect(")")
    text.depth -= 1
    return block


class _Parser:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._words = WordReader(text, _parse_all, _parse_body)

    def deeper(self) -> None:
        self._text.depth += 1
        if self._text.depth > MAXIMUM_DEPTH:
            raise self._text.fault("commands are nested too deeply")

    # Blanks and line ends

    def _blanks(self) -> None:
        """Skip blanks, continuations and a comment, but no line end."""
        text = self._text
        while not text.ended:
            if text.peek() in " \t\r":
                text.position += 1
            elif text.peek(2) == "\\\n":
                text.position += 2
            elif text.peek() == "#":
                end = text.text.find("\n", text.position)
                text.position = len(text.text) if end < 0 else end
            else:
                return

    def _lines(self) -> None:
        """Skip blanks and line ends."""
        self._blanks()
        while self._text.peek() == "\n":
            self._newline()
            self._blanks()

    def _newline(self) -> None:
        text = self._text
        if text.line_end < 0:
            text.position += 1
            return
        if text.position != text.line_end:
            raise text.fault("a here-document begins on a line with a word that goes over several lines")
        text.position, text.line_end = text.resume, -1

    def _here_document(self, strip: bool) -> Word:
        """Behind `<<`: the delimiter, and the content that lies below the current line."""
        text = self._text
        word = self._words.word()
        delimiter = word.plain() if word is not None else None
        if word is None or delimiter is None:
            raise text.fault("the delimiter of a here-document must be plain text")
        quoted = any(isinstance(part, Literal) and part.quoted for part in word.parts)
        if text.line_end < 0:
            end = text.text.find("\n", text.position)
            text.line_end = len(text.text) if end < 0 else end
            text.resume = text.line_end + 1
        start, content = text.resume, ""
        while text.resume <= len(text.text):
            end = text.text.find("\n", text.resume)
            end = len(text.text) if end < 0 else end
            line = text.text[text.resume : end]
            text.resume = end + 1
            line = line.lstrip("\t") if strip else line
            if line == delimiter:
                text.resume = min(text.resume, len(text.text))
                return Word((Literal(content, True),)) if quoted else self._words.expanded(content, start)
            content += f"{line}\n"
        raise text.fault("a here-document is not closed")

    # Lists

    def block(self) -> Block:
        """Commands up to a word that ends a block, a closing parenthesis or the end."""
        items: list[AndOr] = []
        self._lines()
        while not self._text.ended and not self._at_end_of_block():
            items.append(self._and_or())
            self._blanks()
            if self._text.peek(2) == ";;":
                break
            if self._text.peek() == "&":
                raise self._text.fault("a command in the background has no place in a package script")
            if not self._text.take(";") and self._text.peek() != "\n":
                break
            self._lines()
        return tuple(items)

    def _at_end_of_block(self) -> bool:
        if self._text.peek() in ");":
            return True
        return self._ahead() in _RESERVED

    def _ahead(self) -> str:
        """The bare word at the cursor, which stays where it is."""
        found = re.compile(r"[A-Za-z{}!\[(]+").match(self._text.text, self._text.position)
        if found is None:
            return ""
        following = self._text.text[found.end() : found.end() + 1]
        return found[0] if following == "" or following in " \t\n;&|<>()#\\" else ""

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        rest: list[tuple[str, Pipeline]] = []
        while True:
            self._blanks()
            operator = self._text.peek(2)
            if operator not in ("&&", "||"):
                return AndOr(first, tuple(rest))
            self._text.position += 2
            self._lines()
            rest.append((operator, self._pipeline()))

    def _pipeline(self) -> Pipeline:
        self._blanks()
        line = self._text.line()
        negated = self._keyword("!")
        self._blanks()
        commands = [self._command()]
        self._blanks()
        while self._text.peek() == "|" and self._text.peek(2) != "||":
            self._text.position += 1
            self._lines()
            commands.append(self._command())
            self._blanks()
        return Pipeline(tuple(commands), negated, line)

    # Commands

    def _command(self) -> Command:
        text, line = self._text, self._text.line()
        word = self._ahead()
        if word in _UNKNOWN:
            raise text.fault(f"`{word}` is not part of POSIX shell")
        if word in _COMPOUND or text.peek() == "(":
            word = word if word in _COMPOUND else "("
            text.position += len(word)
            self.deeper()
            compound = self._compound(word, line)
            text.depth -= 1
            return replace(compound, redirections=tuple(self._redirections()))
        return self._simple_or_function()

    def _compound(self, word: str, line: int) -> Group | If | For | While | Case:
        match word:
            case "if":
                return self._if(line)
            case "for":
                return self._for(line)
            case "while" | "until":
                condition = self.block()
                return While(condition, self._do_body(), word == "until", (), line)
            case "case":
                return self._case(line)
            case "{":
                body = self.block()
                self._expect_keyword("}")
                return Group(body, False, (), line)
            case _:
                body = self.block()
                self.expect(")")
                return Group(body, True, (), line)

    def _if(self, line: int) -> If:
        branches: list[tuple[Block, Block]] = []
        otherwise: Block = ()
        while True:
            condition = self.block()
            self._expect_keyword("then")
            branches.append((condition, self.block()))
            if self._keyword("elif"):
                continue
            if self._keyword("else"):
                otherwise = self.block()
            self._expect_keyword("fi")
            return If(tuple(branches), otherwise, (), line)

    def _for(self, line: int) -> For:
        self._blanks()
        name = self._words.word()
        if name is None or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.bare()):
            raise self._text.fault("`for` needs the name of a variable")
        self._lines()
        words: list[Word] | None = None
        if self._keyword("in"):
            words = []
            self._blanks()
            while (word := self._words.word()) is not None:
                words.append(word)
                self._blanks()
        self._blanks()
        self._text.take(";")
        self._lines()
        return For(name.bare(), None if words is None else tuple(words), self._do_body(), (), line)

    def _do_body(self) -> Block:
        self._expect_keyword("do")
        body = self.block()
        self._expect_keyword("done")
        return body

    def _case(self, line: int) -> Case:
        self._blanks()
        word = self._words.word()
        if word is None:
            raise self._text.fault("`case` needs a word")
        self._lines()
        self._expect_keyword("in")
        arms: list[tuple[tuple[Word, ...], Block]] = []
        self._lines()
        while not self._keyword("esac"):
            arms.append((self._patterns(), self.block()))
            self._lines()
            if not self._text.take(";;"):
                self._expect_keyword("esac")
                break
            self._lines()
        return Case(word, tuple(arms), (), line)

    def _patterns(self) -> tuple[Word, ...]:
        self._text.take("(")
        patterns: list[Word] = []
        while True:
            self._blanks()
            word = self._words.word()
            if word is None:
                raise self._text.fault("a pattern is expected")
            patterns.append(word)
            self._blanks()
            if self._text.take(")"):
                return tuple(patterns)
            self.expect("|")

    def _simple_or_function(self) -> Simple | Function:
        text, start, line = self._text, self._text.position, self._text.line()
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        while True:
            self._blanks()
            if self._redirection(redirections):
                continue
            found = None if words else _ASSIGNMENT.match(text.text, text.position)
            if found:
                text.position = found.end()
                if text.peek() == "(":
                    raise text.fault("an array is not part of POSIX shell")
                assignments.append(Assignment(found[1], self._words.word() or Word(())))
                continue
            word = self._words.word()
            if word is None:
                break
            words.append(word)
            if len(words) == 1 and not assignments and self._is_definition(word):
                return Function(word.bare(), self._function_body(), line)
        if not (words or assignments or redirections):
            raise text.fault(f"a command is expected, not `{text.peek()}`" if not text.ended else "a command is expected")
        shown = " ".join(text.text[start : text.position].replace("\\\n", " ").split())
        return Simple(tuple(assignments), tuple(words), tuple(redirections), line, shown)

    def _is_definition(self, word: Word) -> bool:
        found = re.compile(r"[ \t]*\([ \t]*\)").match(self._text.text, self._text.position)
        if found is None or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", word.bare()):
            return False
        self._text.position = found.end()
        return True

    def _function_body(self) -> Command:
        self._lines()
        return self._command()

    # Redirections

    def _redirections(self) -> list[Redirection]:
        found: list[Redirection] = []
        self._blanks()
        while self._redirection(found):
            self._blanks()
        return found

    def _redirection(self, found: list[Redirection]) -> bool:
        """Read one redirection onto `found`, if there is one."""
        text = self._text
        digits = _DIGITS.match(text.text, text.position)
        if digits is None and text.peek() not in "<>":
            return False
        if text.ended:
            return False
        descriptor = int(digits[0]) if digits else -1
        text.position += len(digits[0]) if digits else 0
        if text.peek(2) in ("<(", ">("):
            raise text.fault("process substitution is not part of POSIX shell")
        operator = next(item for item in _REDIRECTIONS if text.take(item))
        self._blanks()
        target = self._here_document(operator == "<<-") if operator.startswith("<<") else self._words.word()
        if target is None:
            raise text.fault(f"`{operator}` needs a target")
        descriptor = descriptor if descriptor >= 0 else 0 if operator.startswith("<") else 1
        operator = "<<" if operator == "<<-" else operator
        found.append(Redirection(operator, descriptor, target))
        return True

    # Keywords

    def _keyword(self, word: str) -> bool:
        self._blanks()
        if self._ahead() != word:
            return False
        self._text.position += len(word)
        return True

    def _expect_keyword(self, word: str) -> None:
        self._lines()
        if not self._keyword(word):
            raise self._text.fault(f"`{word}` is expected" + ("" if self._text.ended else f", not `{self._text.peek(12)}`"))

    def expect(self, token: str) -> None:
        self._lines()
        if not self._text.take(token):
            raise self._text.fault(f"`{token}` is expected")
