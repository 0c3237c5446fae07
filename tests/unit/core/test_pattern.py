"""`core.pattern`: an expression that waits behaves as a compiled one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.pattern import pattern

TEXTS = st.text("ab1 \n")


@given(TEXTS)
def test_every_method_answers_as_that_of_the_compiled_expression(text: str) -> None:
    source, flags = r"(?P<first>[ab]+)|(1.)", re.DOTALL
    theirs = re.compile(source, flags)
    for name in ("match", "search", "fullmatch"):
        found, wanted = getattr(pattern(source, flags), name)(text), getattr(theirs, name)(text)
        assert (found and (found.span(), found.groupdict())) == (wanted and (wanted.span(), wanted.groupdict()))
    ours = pattern(source, flags)
    assert ours.findall(text) == theirs.findall(text)
    assert [item.span() for item in ours.finditer(text)] == [item.span() for item in theirs.finditer(text)]
    assert ours.split(text) == theirs.split(text)
    assert ours.sub("-", text) == theirs.sub("-", text)
    assert ours.subn("-", text) == theirs.subn("-", text)
    assert (ours.pattern, ours.flags, ours.groups, ours.groupindex) == (
        theirs.pattern,
        theirs.flags,
        theirs.groups,
        theirs.groupindex,
    )


def test_bytes_are_matched_too() -> None:
    assert pattern(rb"a+").fullmatch(b"aa")


def test_nothing_is_compiled_before_it_is_asked() -> None:
    wrong = pattern("(")
    with pytest.raises(re.error):
        wrong.match("")


def test_other_names_are_refused() -> None:
    expression = pattern("a")
    with pytest.raises(AttributeError):
        expression.unknown  # type: ignore[attr-defined]  # noqa: B018
