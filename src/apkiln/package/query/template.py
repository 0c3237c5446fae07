"""The part of Go's text/template that questions need: fields, `if`, `range`, `with`, variables, pipes, a few functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.package.query.view import Section, shown

MAXIMUM_OUTPUT = 16 << 20
"""Characters of a result."""
MAXIMUM_DEPTH = 50
"""Blocks and parentheses inside each other."""

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d{1,18})\b
    |(?P<path>\$\w*(?:\.\w+)*|\.(?:\w+(?:\.\w+)*)?|[A-Za-z_]\w*)|(?P<close>\)(?:\.\w+)*)|(?P<sign>:=|[|(,=]))""",
    re.VERBOSE | re.ASCII,
)


class _Token(NamedTuple):
    kind: str
    text: str


class _Block(NamedTuple):
    """`if`, `range`, `with` or an expression to print; a plain text has kind `text`."""

    kind: str
    words: tuple[_Token, ...] = ()
    text: str = ""
    body: tuple[_Block, ...] = ()
    otherwise: tuple[_Block, ...] = ()


def render(template: str, data: Section) -> str:
    """The text that `template` makes of `data`.  Raises UsageError `bad-template`."""
    blocks = _Parser(_pieces(template)).run()
    output = _Output()
    _Run(data, output).blocks(blocks, data, {"$": data}, 0)
    return "".join(output.parts)


def _fault(message: str, hint: str = "") -> UsageError:
    return UsageError(f"template: {message}", reason="bad-template", hint=hint)


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """(`text` or `action`, content), blanks beside `{{-` and `-}}` taken off."""
    position, trim = 0, False
    for found in _ACTION.finditer(template):
        text = template[position : found.start()]
        text = text.lstrip() if trim else text
        yield "text", text.rstrip() if found[1] else text
        position, trim = found.end(), bool(found[3])
        yield "action", found[2].strip()
    rest = template[position:]
    if "{{" in rest:
        raise _fault("an action is not closed with `}}`")
    yield "text", rest.lstrip() if trim else rest


def _tokens(text: str) -> tuple[_Token, ...]:
    found, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position or not match.group().strip():
            raise _fault(f"`{text[position:][:30].strip()}` is not understood")
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind]))
        position = match.end()
    return tuple(found)


@dataclass(slots=True)
class _Parser:
    pieces: Iterator[tuple[str, str]]

    def run(self) -> tuple[_Block, ...]:
        blocks, end = self._body(0)
        if end:
            raise _fault(f"`{end[0].text}` without a block")
        return blocks

    def _body(self, depth: int) -> tuple[tuple[_Block, ...], tuple[_Token, ...]]:
        """Blocks up to `end` or `else`, and the words of that action; no words at the end of the template."""
        if depth > MAXIMUM_DEPTH:
            raise _fault(f"blocks are nested deeper than {MAXIMUM_DEPTH}")
        blocks: list[_Block] = []
        for kind, content in self.pieces:
            if kind == "text":
                blocks.append(_Block("text", text=content))
            elif not content.startswith("/*"):
                words = _tokens(content)
                if not words:
                    raise _fault("an action is empty")
                if words[0].text in ("end", "else"):
                    return tuple(blocks), words
                blocks.append(self._block(words, depth))
        return tuple(blocks), ()

    def _block(self, words: tuple[_Token, ...], depth: int) -> _Block:
        if words[0].text not in ("if", "range", "with"):
            return _Block("print", words)
        body, end = self._body(depth + 1)
        otherwise: tuple[_Block, ...] = ()
        if end and end[0].text == "else" and len(end) > 1:
            otherwise = (self._block(end[1:], depth + 1),)
            return _Block(words[0].text, words[1:], "", body, otherwise)
        if end and end[0].text == "else":
            otherwise, end = self._body(depth + 1)
        if not end or end[0].text != "end":
            raise _fault(f"`{words[0].text}` is not closed with `end`")
        return _Block(words[0].text, words[1:], "", body, otherwise)


@dataclass(slots=True)
class _Output:
    parts: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAXIMUM_OUTPUT:
            raise _fault(f"the result has more than {MAXIMUM_OUTPUT} characters")
        self.parts.append(text)


@dataclass(slots=True)
class _Run:
    root: Any
    output: _Output

    def blocks(self, blocks: tuple[_Block, ...], dot: Any, names: dict[str, Any], depth: int) -> None:
        for block in blocks:
            self._block(block, dot, names, depth)

    def _block(self, block: _Block, dot: Any, names: dict[str, Any], depth: int) -> None:
        if block.kind == "text":
            self.output.add(block.text)
        elif block.kind == "print":
            target, words = _assignment(block.words)
            value = _Expression(words, dot, names).run()
            if target:
                names[target[-1]] = value
            else:
                self.output.add(shown(value))
        elif block.kind == "range":
            self._range(block, dot, names, depth)
        else:
            target, words = _assignment(block.words)
            value = _Expression(words, dot, names).run()
            inner = names | dict.fromkeys(target, value)
            chosen = block.body if value else block.otherwise
            self.blocks(chosen, value if block.kind == "with" and value else dot, inner, depth + 1)

    def _range(self, block: _Block, dot: Any, names: dict[str, Any], depth: int) -> None:
        target, words = _assignment(block.words)
        value = _Expression(words, dot, names).run()
        if isinstance(value, Mapping):
            items: list[tuple[Any, Any]] = sorted(value.items())
        elif isinstance(value, tuple):
            items = list(enumerate(value))
        else:
            raise _fault("`range` takes a list or a mapping")
        for key, item in items:
            given = (key, item) if len(target) == 2 else (item,)
            self.blocks(block.body, item, names | dict(zip(target, given, strict=False)), depth + 1)
        if not items:
            self.blocks(block.otherwise, dot, dict(names), depth + 1)


def _assignment(words: tuple[_Token, ...]) -> tuple[tuple[str, ...], tuple[_Token, ...]]:
    """Variables set by `$a := …` or `$i, $e := …`, and the rest."""
    sign = next((number for number, word in enumerate(words) if word.text in (":=", "=")), -1)
    if sign < 0:
        return (), words
    names = tuple(word.text for word in words[:sign] if word.text != ",")
    if not names or not all(re.fullmatch(r"\$\w+", name) for name in names):
        raise _fault("only variables can be set")
    return names, words[sign + 1 :]


@dataclass(slots=True)
class _Expression:
    """A pipe of commands."""

    words: tuple[_Token, ...]
    dot: Any
    names: Mapping[str, Any]
    position: int = 0
    depth: int = 0

    def run(self) -> Any:
        value = self._pipe()
        if self.position < len(self.words):
            raise _fault(f"`{self.words[self.position].text}` is one word too many")
        return value

    def _peek(self) -> str:
        return self.words[self.position].text if self.position < len(self.words) else ""

    def _pipe(self) -> Any:
        value = self._command(())
        while self._peek() == "|":
            self.position += 1
            value = self._command((value,))
        return value

    def _command(self, last: tuple[Any, ...]) -> Any:
        word = self.words[self.position] if self.position < len(self.words) else _Token("", "")
        if word.kind == "path" and word.text in _FUNCTIONS:
            self.position += 1
            arguments = []
            while self._peek() not in ("", "|") and not self._peek().startswith(")"):
                arguments.append(self._operand())
            try:
                return _FUNCTIONS[word.text](*arguments, *last)
            except (TypeError, IndexError, KeyError, ValueError):
                raise _fault(f"`{word.text}` cannot be used with these arguments") from None
        value = self._operand()
        if last:
            raise _fault(f"`{word.text}` is no function", "known: " + ", ".join(sorted(_FUNCTIONS)))
        return value

    def _operand(self) -> Any:
        if self.position >= len(self.words):
            raise _fault("a value is missing")
        word = self.words[self.position]
        self.position += 1
        if word.kind == "text":
            return word.text[1:-1] if word.text.startswith("`") else _unquoted(word.text)
        if word.kind == "number":
            return int(word.text)
        if word.text == "(":
            return self._parenthesis()
        if word.kind == "path":
            return self._path(word.text)
        raise _fault(f"`{word.text}` is not understood")

    def _parenthesis(self) -> Any:
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise _fault(f"parentheses are nested deeper than {MAXIMUM_DEPTH}")
        value = self._pipe()
        closing = self._peek()
        if not closing.startswith(")"):
            raise _fault("`)` is missing")
        self.position += 1
        self.depth -= 1
        for name in closing.split(".")[1:]:
            value = _member(value, name)
        return value

    def _path(self, text: str) -> Any:
        constants = {"true": True, "false": False, "nil": None}
        if text in constants:
            return constants[text]
        first, *fields = text.split(".")
        if not first.startswith("$") and first:
            raise _fault(f"`{first}` is no function", "known: " + ", ".join(sorted(_FUNCTIONS)))
        if first and first not in self.names:
            raise _fault(f"variable `{first}` is not set")
        value = self.names[first] if first else self.dot
        for name in fields:
            value = _member(value, name) if name else value
        return value


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Section):
        try:
            return value.member(name)
        except KeyError:
            guess = nearest(name, value.names())
            hint = f"did you mean `.{guess}`?" if guess else "known: " + ", ".join(value.names())
            raise _fault(f"there is no field `.{name}`", hint) from None
    if isinstance(value, Mapping):
        return value.get(name)
    raise _fault(f"`.{name}` of a value without fields")


def _unquoted(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        raise _fault(f"{text} is no text") from None


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


def _printf(form: str, *arguments: Any) -> str:
    """Verbs `%s %v %d %q %%` only."""
    given = iter(arguments)

    def one(found: re.Match[str]) -> str:
        verb = found[1]
        if verb == "%":
            return "%"
        value = next(given, None)
        if verb == "q":
            return '"' + shown(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if verb not in ("s", "v", "d"):
            raise _fault(f"`%{verb}` is not understood")
        return shown(value)

    return re.sub(r"%(.)", one, form, flags=re.DOTALL)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "index": _index,
    "printf": _printf,
    "print": lambda *values: "".join(map(shown, values)),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}
