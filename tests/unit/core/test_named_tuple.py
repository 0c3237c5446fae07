"""`core.named_tuple`: whatever `typing.NamedTuple` does with a class and its instances, ours does."""

from __future__ import annotations

import copy
import pickle
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.named_tuple import NamedTuple

T = TypeVar("T")


class Row(NamedTuple):
    """A row."""

    name: str
    """Of it."""
    size: int = 0
    parts: tuple[str, ...] = ()

    @property
    def double(self) -> int:
        return self.size * 2

    def __str__(self) -> str:
        return self.name


class Twin(typing.NamedTuple):
    """A row."""

    name: str
    """Of it."""
    size: int = 0
    parts: tuple[str, ...] = ()

    @property
    def double(self) -> int:
        return self.size * 2

    def __str__(self) -> str:
        return self.name


class Empty(NamedTuple):
    """No field."""


class Box(NamedTuple, Generic[T]):
    item: T


class Longer(Row):
    """Of a subclass the constructor is the same."""

    __slots__ = ()


FIELDS = st.tuples(st.text(), st.integers(), st.tuples(st.text()))


@given(FIELDS, FIELDS)
def test_instances_are_as_those_of_typing(one: tuple[str, int, tuple[str]], other: tuple[str, int, tuple[str]]) -> None:
    ours: Any = Row(*one)
    theirs: Any = Twin(*one)
    assert ours == theirs == one
    assert hash(ours) == hash(theirs)
    assert repr(ours).replace("Row", "Twin") == repr(theirs)
    assert str(ours) == str(theirs)
    assert ours._asdict() == theirs._asdict()
    assert (Row(*one) < Row(*other)) == (one < other)
    assert ours._replace(size=other[1]) == theirs._replace(size=other[1])
    assert Row._make(other) == other
    assert type(Row._make(other)) is type(ours._replace(name="")) is Row
    assert (ours.name, ours.size, ours.parts, ours.double) == (theirs.name, theirs.size, theirs.parts, theirs.double)
    assert copy.deepcopy(ours) == ours and pickle.loads(pickle.dumps(ours)) == ours
    assert type(pickle.loads(pickle.dumps(ours))) is Row


def test_classes_say_of_themselves_what_those_of_typing_say() -> None:
    for name in ("_fields", "_field_defaults", "__match_args__", "__doc__", "__slots__"):
        assert getattr(Row, name) == getattr(Twin, name), name
    assert [*Row.__annotations__] == [*Twin.__annotations__]
    assert Row.__module__ == __name__ and Row.__qualname__ == "Row"
    assert Empty() == () and Empty._fields == ()
    assert Box[int](1).item == 1


@pytest.mark.parametrize("cls", [Row, Twin])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda cls: cls(),
        lambda cls: cls("a", 1, (), 4),
        lambda cls: cls("a", name="b"),
        lambda cls: cls("a", unknown=1),
        lambda cls: cls._make(["a"]),
        lambda cls: cls("a")._replace(unknown=1),
        lambda cls: setattr(cls("a"), "name", "b"),
        lambda cls: setattr(cls("a"), "other", "b"),
    ],
)
def test_misuse_is_refused_alike(cls: Any, wrong: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        wrong(cls)


def test_defaults_and_names_at_the_first_instance_and_later() -> None:
    class Fresh(NamedTuple):
        a: int
        b: int = 2

    assert (Fresh(b=3, a=1), Fresh(1), Fresh(4, 5)) == ((1, 3), (1, 2), (4, 5))
    assert isinstance(Longer("x"), Longer) and Longer("x") == Row("x")


def test_constructors_behave_alike_before_and_after_they_are_compiled() -> None:
    def calls(cls: Any) -> list[object]:
        wrong: list[object] = []
        for arguments, named in (((), {}), ((1, 2, 3, 4), {}), ((1,), {"a": 1}), ((1,), {"unknown": 1}), ((), {"b": 1})):
            with pytest.raises(TypeError) as caught:
                cls(*arguments, **named)
            wrong.append(str(caught.value).replace(cls.__name__, "X"))
        return [cls(1), cls(1, 3), cls(1, 3, 4), cls(1, c=5), cls(c=1, a=2, b=3), *wrong]

    class Ours(NamedTuple):
        a: int
        b: int = 2
        c: int = 3

    class Theirs(typing.NamedTuple):
        a: int
        b: int = 2
        c: int = 3

    for first in range(30):

        class Fresh(NamedTuple):
            a: int
            b: int = 2

        assert [Fresh(number) for number in range(first)] == [(number, 2) for number in range(first)]
        with pytest.raises(TypeError):
            Fresh()  # type: ignore[call-arg]
        assert Fresh(1, b=5) == (1, 5)
    assert [calls(Ours) for _ in range(9)] == [calls(Theirs)] * 9


def test_classes_that_cannot_work_are_refused() -> None:
    make: Any = type(NamedTuple)
    with pytest.raises(TypeError):
        make("Wrong", (NamedTuple,), {"__annotations__": {"a": "int", "b": "int"}, "a": 1})
    bodies: tuple[dict[str, Any], ...] = ({"__annotations__": {"_a": "int"}}, {"__annotations__": {}, "_replace": None})
    for body in bodies:
        with pytest.raises(ValueError, match="cannot be a field"):
            make("Wrong", (NamedTuple,), body)
