"""`.pc` files: modules, variables, limits; never a crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.pkg_config import parse_pkg_config


@pytest.mark.parametrize(
    ("value", "modules"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a b,c , d", ("a", "b", "c", "d")),
        ("a >= 1.0 b", ("a", "b")),
        ("a>=1.0, b=2,c<3", ("a", "b", "c")),
        ("a != 1 b", ("a", "b")),
        ("a >=", ("a",)),
    ],
)
def test_modules(value: str, modules: tuple[str, ...]) -> None:
    assert parse_pkg_config(f"Requires: {value}\n").modules("Requires") == modules


def test_variables_are_replaced_and_the_last_of_equal_fields_counts() -> None:
    found = parse_pkg_config("a=1\nb=${a}2\n# c\nName: $${a} ${b}\nRequires: x\\\n y\nName: last ${b} # no\nnonsense\n")
    assert dict(found.fields) == {"Name": "last 12", "Requires": "x y"}


@pytest.mark.parametrize(
    "text",
    ["Requires: ${no}", "a=${a}\nRequires.private: ${a}", "a=" + "x" * 2000 + "\n" + "".join("a=${a}${a}\n" for _ in range(30))],
)
def test_what_cannot_be_expanded(text: str) -> None:
    with pytest.raises(FormatError) as error:
        parse_pkg_config(text)
    assert error.value.reason == "bad-pkg-config"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_pkg_config(text)
    except FormatError as error:
        assert error.reason == "bad-pkg-config"


def test_what_is_not_defined_does_no_harm_where_no_module_is_named() -> None:
    found = parse_pkg_config("a=${no}/b\nLibs: -L${no}\nCflags: ${a}\nRequires: q\n")
    assert (found.field("Libs"), found.field("Cflags"), found.modules("Requires")) == ("-L${no}", "${no}/b", ("q",))
