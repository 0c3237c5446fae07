"""`${{name}}`: what is replaced, what stays, what is said about it and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.package.definition.model import Prose
from apkiln.package.evaluation.references import LATER, MAXIMUM_TEXT, Later, Sources, Substitution

HERE = Origin("x.yaml", 1, 1)
VALUES = {"vars.a": "A", "vars.b": "${{vars.a}}", "package.name": "zlib"}


def fresh(text: str = "") -> Substitution:
    return Substitution(FaultCollector.empty(), Sources({"x.yaml": text}))


def lookup(name: str) -> str | Later | None:
    return LATER if name.startswith("build.") else VALUES.get(name)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${{vars.a}}-${{ vars.a }}-${{\n\tvars.a\r\n}}", "A-A-A"),
        ("$${{vars.a}} ${HOME} $((1 + 2)) ${x:-{}}", "$A ${HOME} $((1 + 2)) ${x:-{}}"),
        ("${{build.arch}} ${{ build.x }}", "${{build.arch}} ${{ build.x }}"),
        ("${{vars.b}}", "${{vars.a}}"),  # one pass does not look at what it inserts
    ],
)
def test_replaces(text: str, wanted: str) -> None:
    substitution = fresh()
    assert substitution.expand(text, HERE, lookup) == wanted
    assert not substitution.faults.faults


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a ${{vars.c}}", "unknown-variable"),
        ("a ${{vars.a", "unterminated-reference"),
        ("a ${{vars.a} b", "unterminated-reference"),
        ("a ${{ }}", "bad-reference"),
        ("a ${{vars.a == 'x'}}", "bad-reference"),
    ],
)
def test_reports_with_the_place_of_the_reference(text: str, reason: str) -> None:
    substitution = fresh(text)
    assert substitution.expand(text, HERE, lookup, VALUES) == text
    (fault,) = substitution.faults.faults
    assert (fault.reason, fault.origin) == (reason, Origin("x.yaml", 1, 3))


def test_all_of_one_text_are_reported_with_the_nearest_name() -> None:
    substitution = fresh("|\n  ${{vars.aa}}\n  ${{ packag.name }}\n")
    substitution.expand("${{vars.aa}}\n${{ packag.name }}\n", HERE, lookup, VALUES)
    one, two = substitution.faults.faults
    assert (one.origin.line, one.origin.column, two.origin.line, two.origin.column) == (2, 3, 3, 3)
    assert "vars.a" in one.hint and "package.name" in two.hint


def test_prose_keeps_what_it_cannot_replace_and_says_so() -> None:
    substitution = fresh()
    prose = substitution.prose(Prose("${{package.name}}${{vars.x && 1}}", HERE), lookup)
    assert prose.text == "zlib${{vars.x && 1}}"
    assert not substitution.faults.faults and len(substitution.notes) == 1


@given(st.text(alphabet="${}a.b \n", max_size=30))
def test_no_text_crashes_and_a_second_pass_changes_nothing(text: str) -> None:
    substitution = fresh(text)
    once = substitution.expand(text, HERE, {"a": "1", "b": "2"}.get)
    if not substitution.faults.faults:
        assert "${{a}}" not in once
        assert fresh().expand(once, HERE, {"a": "1", "b": "2"}.get) == once or "${{" in once


@given(st.lists(st.sampled_from(["x", "${{a}}", " ", "${{b}}"]), max_size=8))
def test_result_is_the_pieces_put_together(pieces: list[str]) -> None:
    values = {"a": "1", "b": "${{a}}"}
    wanted = "".join({"${{a}}": "1", "${{b}}": "${{a}}"}.get(piece, piece) for piece in pieces)
    assert fresh().expand("".join(pieces), HERE, values.get) == wanted


def test_size_is_bounded() -> None:
    with pytest.raises(ConfigurationError) as caught:
        fresh().expand("${{a}}${{a}}", HERE, {"a": "x" * (MAXIMUM_TEXT // 2 + 1)}.get)
    assert caught.value.reason == "text-too-large"
    assert isinstance(caught.value, ApkilnError)
