"""Shell scripts as trees: what POSIX says, and refusals with the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.shell.parser import parse_script
from apkiln.formats.shell.syntax import (
    AndOr,
    Case,
    For,
    Function,
    Group,
    If,
    Literal,
    Parameter,
    Simple,
    Substitution,
    While,
    Word,
)


def first(text: str) -> object:
    """The first command of a script."""
    return parse_script(text)[0].first.commands[0]


def simple(text: str) -> Simple:
    found = first(text)
    assert isinstance(found, Simple)
    return found


def plain(text: str) -> list[str | None]:
    return [word.plain() for word in simple(text).words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b  c", ["a", "b", "c"]),
        ("a 'b c' \"d e\"", ["a", "b c", "d e"]),
        ("a\\\n  b", ["a", "b"]),
        ("a b\\ c", ["a", "b c"]),
        ("a x#y # z", ["a", "x#y"]),
        ("a ''", ["a", ""]),
        ("a '\\n' \"\\n\\$\"", ["a", "\\n", "\\n$"]),
        ("a {} !", ["a", "{}", "!"]),
        ("if x", None),
        ("a if then", ["a", "if", "then"]),
        ("a 'if'b", ["a", "ifb"]),
    ],
)
def test_words(text: str, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(FormatError):
            parse_script(text)
    else:
        assert plain(text) == expected


def test_expansions() -> None:
    parts = simple('a "$x"y${z:-"p q"}${w%%*.c}${#v}$1$@').words[1].parts
    assert parts == (
        Literal("", True),
        Parameter("x", quoted=True),
        Literal("y"),
        Parameter("z", ":-", Word((Literal("p q", True),))),
        Parameter("w", "%%", Word((Literal("*.c"),))),
        Parameter("v", "length"),
        Parameter("1"),
        Parameter("@"),
    )


@pytest.mark.parametrize("text", ["x=$(a $(b c))", "x=`a \\`b c\\``"])
def test_substitutions(text: str) -> None:
    (part,) = simple(text).assignments[0].value.parts
    assert isinstance(part, Substitution)
    inner = part.body[0].first.commands[0]
    assert isinstance(inner, Simple) and inner.words[0].plain() == "a"
    (nested,) = inner.words[1].parts
    assert isinstance(nested, Substitution)


def test_here_documents() -> None:
    command = simple("cat <<A <<-'B' >f 2>&1\nq $1\nA\n\tr $1\n\tB\nnext")
    one, two, out, err = command.redirections
    assert one.target.parts == (Literal("q ", True), Parameter("1", quoted=True), Literal("\n", True))
    assert two.target.plain() == "r $1\n" and two.operator == "<<"
    assert (out.operator, out.descriptor, out.target.plain()) == (">", 1, "f")
    assert (err.operator, err.descriptor, err.target.plain()) == (">&", 2, "1")
    assert len(parse_script("cat <<A\nA\nnext")) == 2


def test_here_document_inside_a_substitution() -> None:
    block = parse_script("x=$(cat <<A\ntext\nA\n)\ny")
    assert len(block) == 2


def test_compound_commands() -> None:
    branch = first("if a; then b; elif c\nthen d; else e; fi >f")
    assert isinstance(branch, If) and len(branch.branches) == 2 and branch.otherwise and branch.redirections
    case = first("case $1 in\n a|b) c;;\n (d)\n e\n ;;\n *)\nesac")
    assert isinstance(case, Case) and [len(patterns) for patterns, _ in case.arms] == [2, 1, 1]
    assert [len(body) for _, body in case.arms] == [1, 1, 0]
    loop = first("for i in a b; do c; done")
    assert isinstance(loop, For) and loop.words is not None and len(loop.words) == 2
    own = first("for i\ndo c; done")
    assert isinstance(own, For) and own.words is None
    until = first("until a; do b; done")
    assert isinstance(until, While) and until.until
    function = first("f_1 () {\n a\n}")
    assert isinstance(function, Function) and isinstance(function.body, Group) and not function.body.subshell
    group = first("(a; b)")
    assert isinstance(group, Group) and group.subshell and len(group.body) == 2


def test_lists() -> None:
    (item,) = parse_script("! a | b && c ||\n d")
    assert isinstance(item, AndOr)
    assert item.first.negated and len(item.first.commands) == 2
    assert [operator for operator, _ in item.rest] == ["&&", "||"]


def test_lines_and_texts() -> None:
    block = parse_script("#!/bin/sh\n\nif a\nthen\n  b \\\n   c\nfi\nd")
    branch, last = block[0].first.commands[0], block[1].first.commands[0]
    assert isinstance(branch, If) and isinstance(last, Simple)
    inner = branch.branches[0][1][0].first.commands[0]
    assert isinstance(inner, Simple)
    assert (inner.line, inner.text, last.line) == (5, "b c", 8)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a &", 1),
        ("\nif a; then", 2),
        ("'x", 1),
        ('\n"x', 2),
        ("$(a", 1),
        ("`a", 1),
        ("a=(1)", 1),
        ("\n[[ a ]]", 2),
        ("a <(b)", 1),
        ("cat <<E\nx", 1),
        ("a )", 1),
        ("f() ", 1),
        ("echo ${x/a/b}", 1),
        ("echo ${}", 1),
        ("a >", 1),
        (";;", 1),
        ("case x in a", 1),
        ("for 1 in a; do b; done", 1),
        ("function f { a; }", 1),
        ("a $'x'", 1),
        ('cat <<A "b\nc"\nA\n', 2),
        ("(" * 100 + "a", 1),
        ("$(" * 100 + "a", 1),
    ],
)
def test_refusals(text: str, line: int) -> None:
    with pytest.raises(FormatError) as caught:
        parse_script(text, "postinst")
    assert caught.value.reason == "shell-syntax"
    assert (caught.value.origin.source, caught.value.origin.line) == ("postinst", line)


def test_long_scripts_are_refused() -> None:
    with pytest.raises(FormatError) as caught:
        parse_script("a\n" * (1 << 20))
    assert caught.value.reason == "limit-script"


@given(st.text(alphabet="ab$(){}`'\"\\<>|&;#=!*\n \t1ifdothenesac", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_script(text)
    except FormatError as fault:
        assert fault.reason == "shell-syntax" and fault.origin.line


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_single_quotes_keep_everything(text: str) -> None:
    quoted = "'" + text.replace("'", "'\\''") + "'"
    assert plain(f"a {quoted}") == ["a", text]
