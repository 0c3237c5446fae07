"""Shell scripts without their comments, for documents; what runs is the script as written (spec package.md §8.1).

A lexer of quotes, here-documents and substitutions decides what is a comment.  Where it loses its way the script stays whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from apkiln.core.pattern import pattern

_PLAIN = pattern(r"[^\\'\"`$#<\n(){}]+")
_HEREDOC = pattern(r"<<(-?)[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\.|[^\s'\"\\;&|<>()])+)")
_WORD_START = frozenset(" \t\n;|&()")


@lru_cache(maxsize=4096)
def without_comments(script: str) -> str:
    """The script with comments taken out and lines that held nothing else; a first line `#!…` stays."""
    if "#" not in script:
        return script
    lexer = _Lexer(script)
    if not lexer.run():
        return script
    return lexer.without(lexer.comments)


@dataclass(slots=True)
class _Lexer:
    text: str
    position: int = 0
    stack: list[str] = field(default_factory=list)
    """What is open: `"`, `(` of a substitution or subshell, `{` of a parameter, `$((` of arithmetic."""
    heredocs: list[tuple[bool, str]] = field(default_factory=list)
    """Here-documents that begin at the next line: tabs removed or not, delimiter."""
    comments: list[tuple[int, int]] = field(default_factory=list)

    def run(self) -> bool:
        """False when the script ends inside something."""
        if self.text.startswith("#!"):
            self.position = self.text.find("\n") if "\n" in self.text else len(self.text)
        while self.position < len(self.text):
            plain = _PLAIN.match(self.text, self.position)
            if plain is not None:
                self.position = plain.end()
            elif not self._special(self.text[self.position]):
                return False
        return not self.stack and not self.heredocs

    def _special(self, char: str) -> bool:
        """Take one character that may mean something; False when its end is missing."""
        inside = self.stack[-1] if self.stack else ""
        if char == "\\":
            self.position += 2
        elif char == "'" and inside not in ('"', '{"', "$(("):
            return self._until("'")
        elif char == "`":
            return self._backquotes()
        elif char == '"' and inside != "$((":
            self._toggle(inside)
        elif char == "$":
            self._dollar(inside)
        elif char == "\n":
            self.position += 1
            return self._heredoc_bodies()
        elif inside in ('"', '{"', "{", "$(("):
            self._close(char, inside)
        else:
            self._command(char)
        return True

    def _until(self, end: str) -> bool:
        found = self.text.find(end, self.position + 1)
        self.position = found + 1
        return found >= 0

    def _backquotes(self) -> bool:
        found = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL).match(self.text, self.position)
        self.position = found.end() if found else self.position
        return found is not None

    def _toggle(self, inside: str) -> None:
        self.position += 1
        if inside == '"':
            self.stack.pop()
        elif inside != '{"':
            self.stack.append('"')

    def _dollar(self, inside: str) -> None:
        quoted = inside in ('"', '{"')
        for opening, mark in (("$((", "$(("), ("$(", "("), ("${", '{"' if quoted else "{")):
            if self.text.startswith(opening, self.position):
                self.stack.append(mark)
                if mark == "$((":
                    self.stack.append("$((")
                self.position += len(opening)
                return
        if self.text.startswith("$'", self.position) and not quoted:
            found = re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL).match(self.text, self.position)
            if found is not None:
                self.position = found.end()
                return
        self.position += 2 if self.text[self.position + 1 : self.position + 2] == "#" else 1

    def _close(self, char: str, inside: str) -> None:
        """A character inside quotes, a parameter or arithmetic."""
        self.position += 1
        if inside == "$((":
            if char == "(":
                self.stack.append("$((")
            elif char == ")":
                self.stack.pop()
        elif char == "}" and inside in ("{", '{"'):
            self.stack.pop()

    def _command(self, char: str) -> None:
        """A character where commands stand."""
        before = self.text[self.position - 1] if self.position else "\n"
        if char == "#" and before in _WORD_START and not self._is_escaped():
            end = self.text.find("\n", self.position)
            end = len(self.text) if end < 0 else end
            self.comments.append((self.position, end))
            self.position = end
        elif char == "<":
            self._less()
        elif self.text.startswith("((", self.position):
            self.stack += ["$((", "$(("]
            self.position += 2
        else:
            self.position += 1
            if char == "(":
                self.stack.append("(")
            elif char == ")" and self.stack:
                self.stack.pop()

    def _is_escaped(self) -> bool:
        """Whether the blank before the position is quoted by a backslash."""
        start = self.position - 1
        return self.text[start - 1 : start] == "\\" and self.text[start] != "\n"

    def _less(self) -> None:
        if self.text.startswith("<<<", self.position):
            self.position += 3
            return
        found = _HEREDOC.match(self.text, self.position)
        if found is None:
            self.position += 1
            return
        delimiter = re.sub(r"\\(.)|['\"]", lambda part: part[1] or "", found[2])
        self.heredocs.append((found[1] == "-", delimiter))
        self.position = found.end()

    def _heredoc_bodies(self) -> bool:
        """Pass over the bodies that begin here; False when a delimiter is missing."""
        for tabs, delimiter in self.heredocs:
            while True:
                if self.position >= len(self.text):
                    return False
                end = self.text.find("\n", self.position)
                end = len(self.text) if end < 0 else end
                line = self.text[self.position : end]
                self.position = end + 1
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    break
        self.heredocs.clear()
        return True

    def without(self, comments: list[tuple[int, int]]) -> str:
        parts: list[str] = []
        position = 0
        for start, end in comments:
            line = self.text.rfind("\n", 0, start) + 1
            alone = not self.text[line:start].strip(" \t")
            continued = self.text[:line].endswith("\\\n")
            if alone and not continued:
                parts.append(self.text[position:line])
                position = min(end + 1, len(self.text))
            else:
                parts.append(self.text[position:start].rstrip(" \t") if not alone else self.text[position:start])
                position = end
        return "".join(parts) + self.text[position:]
