"""Licence expressions against license-expression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from apkiln.formats.sbom.licence_ids import EXCEPTIONS, LICENCES
from apkiln.formats.sbom.licences import Expression, LicenceText, expression, reference_id

ORACLE = get_spdx_licensing()
KNOWN = st.sampled_from(sorted(LICENCES.split()))
TERMS = st.one_of(
    KNOWN,
    st.tuples(KNOWN, st.sampled_from(sorted(EXCEPTIONS.split()))).map(" WITH ".join),
)
EXPRESSIONS = st.recursive(
    TERMS,
    lambda inner: st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map(lambda parts: f"({''.join(parts)})"),
    max_leaves=6,
)


def unknown(text: str) -> list[str]:
    return list(ORACLE.unknown_license_keys(text))


@given(EXPRESSIONS)
def test_an_expression_of_known_identifiers_is_kept(text: str) -> None:
    assert expression(text) == Expression(text)
    assert unknown(text) == []


@given(EXPRESSIONS, st.booleans())
def test_case_is_put_right(text: str, lower: bool) -> None:
    assert expression(text.lower() if lower else text.upper()).text == text


@given(st.text(max_size=60))
def test_every_text_gives_a_valid_expression_with_its_references(text: str) -> None:
    found = expression(text)
    again = expression(found.text)
    assert again.text == found.text
    explained = {reference.id for reference in found.references}
    assert {key for key in unknown(found.text) if key.startswith("LicenseRef-")} <= explained
    assert all(key.startswith("LicenseRef-") for key in unknown(found.text) if found.text not in ("NOASSERTION", "NONE"))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_two_texts_have_two_references(one: str, other: str) -> None:
    assert (reference_id(one) == reference_id(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "written", "references"),
    [
        ("", "NOASSERTION", ()),
        ("MIT", "MIT", ()),
        ("mit AND apache-2.0", "MIT AND Apache-2.0", ()),
        ("GPL-2.0+", "GPL-2.0+", ()),
        ("Apache-2.0+", "Apache-2.0+", ()),
        ("custom", "LicenseRef-custom", ("custom",)),
        ("MIT AND custom", "MIT AND LicenseRef-custom", ("custom",)),
        ("(MIT OR BSD-3-Clause) and Zlib", "(MIT OR BSD-3-Clause) AND Zlib", ()),
        ("LicenseRef-own", "LicenseRef-own", ("LicenseRef-own",)),
    ],
)
def test_forms(text: str, written: str, references: tuple[str, ...]) -> None:
    found = expression(text)
    assert found.text == written
    assert tuple(reference.text for reference in found.references) == references


@pytest.mark.parametrize(
    "text", ["MIT BSD GPL2+", "((MIT)", "AND", "MIT AND", "()", "MIT WITH", "(" * 200 + "MIT" + ")" * 200, "x" * 5000]
)
def test_what_is_no_expression_becomes_one_reference(text: str) -> None:
    found = expression(text)
    assert found.references == (LicenceText(found.text, text),)


def test_an_unknown_exception_makes_the_term_a_reference() -> None:
    assert expression("MIT WITH nothing").references[0].text == "MIT WITH nothing"
