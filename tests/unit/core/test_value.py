"""`@value` against what `@dataclass(frozen=True, slots=True)` does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.value import replace, uncompared, value


@value
class Point:
    """Documented."""

    x: int
    y: int = 0
    """Up."""
    label: str = uncompared(default="")

    @property
    def far(self) -> int:
        return abs(self.x) + abs(self.y)

    @classmethod
    def origin(cls) -> Point:
        return cls(0)


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    x: int
    y: int = 0
    label: str = dataclasses.field(default="", compare=False)


@value
class Truthless:
    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.words)

    def __str__(self) -> str:
        return " ".join(self.words)


TRIPLES = st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["", "a"]))


@given(TRIPLES, TRIPLES)
def test_equality_and_hash_are_those_of_a_dataclass(first: tuple[int, int, str], second: tuple[int, int, str]) -> None:
    assert (Point(*first) == Point(*second)) == (Model(*first) == Model(*second))
    if Point(*first) == Point(*second):
        assert hash(Point(*first)) == hash(Point(*second))


@given(TRIPLES)
def test_text_and_fields_are_those_of_a_dataclass(fields: tuple[int, int, str]) -> None:
    point, model = Point(*fields), Model(*fields)
    assert repr(point) == repr(model).replace("Model", "Point")
    assert (point.x, point.y, point.label) == (model.x, model.y, model.label)
    assert Point.__match_args__ == Model.__match_args__


def test_values_of_different_classes_differ() -> None:
    @value
    class Other:
        x: int
        y: int = 0
        label: str = ""

    others: list[object] = [Other(1), (1, 0, ""), 1]
    assert Point(1) not in others


@pytest.mark.parametrize(
    "call",
    [
        lambda cls: cls(),
        lambda cls: cls(1, 2, "", 4),
        lambda cls: cls(1, x=1),
        lambda cls: cls(1, z=1),
        lambda cls: cls(y=1),
    ],
)
def test_what_a_dataclass_refuses_is_refused(call: Callable[[Any], object]) -> None:
    for cls in (Point, Model):
        with pytest.raises(TypeError):
            call(cls)


def test_arguments_by_name_and_defaults() -> None:
    assert Point(y=2, x=1) == Point(1, 2)
    assert Point.origin() == Point(0, 0)
    assert Point(-1, 2).far == 3


def test_a_value_cannot_be_changed() -> None:
    point = Point(1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError):
            setattr(point, name, 2)
    with pytest.raises(AttributeError):
        del point.x
    assert not hasattr(point, "__dict__")
    assert point == Point(1)


def test_replace_makes_a_copy() -> None:
    point = Point(1, 2, "a")
    moved = replace(point, y=3)
    assert (moved.x, moved.y, moved.label, point.y) == (1, 3, "a", 2)
    with pytest.raises(TypeError):
        replace(point, z=1)


def test_copies_and_pickles_are_equal() -> None:
    point = Point(1, 2, "a")
    for twin in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (twin, twin.label) == (point, "a")


def test_methods_of_the_class_are_kept() -> None:
    assert not Truthless()
    assert str(Truthless(("a", "b"))) == "a b"
    assert Point.__doc__ == "Documented."


def test_matching_by_position() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
