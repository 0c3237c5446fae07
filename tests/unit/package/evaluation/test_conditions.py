"""The language of `if`: laws against a model, refusals, what is inserted for variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.package.definition.model import Condition
from apkiln.package.evaluation.conditions import MAXIMUM_DEPTH, evaluate, is_ambiguous
from apkiln.package.evaluation.references import Sources, Substitution, escaped

HERE = Origin("x.yaml", 3, 5)


def truth(text: str) -> bool:
    return evaluate(Condition(text, HERE))


Tree = tuple[str, bool]
"""An expression and its truth."""

VALUES = st.text(alphabet="ab'\"\\\n\t $", max_size=4)


@st.composite
def comparisons(draw: st.DrawFn) -> Tree:
    left, right = draw(VALUES), draw(VALUES)
    operator, quote = draw(st.sampled_from(["==", "!="])), draw(st.sampled_from("'\""))
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    text = f"{quote}{escaped(left)}{quote}{space}{operator}{space}{quote}{escaped(right)}{quote}"
    return text, (left == right) == (operator == "==")


@st.composite
def chains(draw: st.DrawFn, inner: st.SearchStrategy[Tree]) -> Tree:
    text, value = draw(inner)
    for _ in range(draw(st.integers(0, 3))):
        operator, (other, truth_of_other) = draw(st.sampled_from(["&&", "||"])), draw(inner)
        text = f"{text} {operator} {other}"
        value = (value and truth_of_other) if operator == "&&" else (value or truth_of_other)
    return f"({text})", value


EXPRESSIONS = st.recursive(comparisons(), chains, max_leaves=8)


@given(EXPRESSIONS)
def test_value_is_that_of_the_model(tree: Tree) -> None:
    assert truth(tree[0]) == tree[1]


@given(st.text(alphabet="'\"\\()&|=! ab${}\n", max_size=20))
def test_any_text_has_a_value_or_a_located_fault(text: str) -> None:
    try:
        truth(text)
    except ConfigurationError as fault:
        assert fault.origin == HERE
    is_ambiguous(Condition(text, HERE))


def test_operators_bind_equally_from_left_to_right() -> None:
    assert not truth("'a' == 'a' || 'a' == 'a' && 'a' == 'b'")
    assert is_ambiguous(Condition("'a' == 'a' || 'a' == 'a' && 'a' == 'b'", HERE))
    assert not is_ambiguous(Condition("'a' == 'a' || ('a' == 'a' && '||' == 'b')", HERE))


@pytest.mark.parametrize(
    "text", ["'a'", "'a' == ", "a == 'a'", "'a' == 'a' x", "('a' == 'a'", "'a' = 'a'", "!'a' == 'a'", "'a' == 'a", "()"]
)
def test_refuses(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        truth(text)
    assert caught.value.reason == "bad-condition"


def test_nothing_is_true_and_depth_is_bounded() -> None:
    assert truth("") and truth(" \n")
    with pytest.raises(ConfigurationError):
        truth("(" * (MAXIMUM_DEPTH + 1) + "'a'=='a'" + ")" * (MAXIMUM_DEPTH + 1))


@given(VALUES, VALUES)
def test_variables_compare_by_their_text_in_and_out_of_quotes(value: str, other: str) -> None:
    substitution = Substitution(FaultCollector.empty(), Sources())
    for form in ("${{vars.x}} == '%s'", "'${{ vars.x }}' == '%s'", "\"${{vars.x}}\" == '%s'"):
        condition = substitution.condition(Condition(form % escaped(other), HERE), {"vars.x": value}.get)
        assert evaluate(condition) == (value == other)
    assert not substitution.faults.faults
