"""Reading other people's SPDX documents: what is invalid is left out, what is broken is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.core.limits import Limits
from apkiln.formats.sbom.embedding import embedded_paths
from apkiln.formats.sbom.model import Kind, identifier, renamed
from apkiln.formats.sbom.spdx_reader import reachable, read_spdx

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=10,
)
KEYS = ["SPDXID", "name", "versionInfo", "supplier", "licenseDeclared", "checksums", "externalRefs", "attributionTexts"]


def document(**values: Any) -> bytes:
    return json.dumps({"spdxVersion": "SPDX-2.3"} | values).encode()


def element(name: str, **values: Any) -> dict[str, Any]:
    return {"SPDXID": f"SPDXRef-{name}", "name": name} | values


def test_both_ways_of_describing_count() -> None:
    relation = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-b"}
    found = read_spdx(document(documentDescribes=["SPDXRef-a"], packages=[element("a"), element("b")], relationships=[relation]))
    assert found.described == ("a", "b")


def test_only_what_relations_lead_to_is_reachable() -> None:
    relations = [
        {"spdxElementId": f"SPDXRef-{left}", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": f"SPDXRef-{right}"}
        for left, right in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"))
    ]
    found = read_spdx(document(documentDescribes=["SPDXRef-a"], packages=[*map(element, "abcd")], relationships=relations))
    assert {component.id for component in reachable(found, ("a",)).components} == {"a", "b", "c"}


def test_values_that_spdx_does_not_allow_are_left_out() -> None:
    row = element(
        "a",
        supplier="somebody",
        downloadLocation="nowhere at all",
        homepage="::",
        builtDate="yesterday",
        primaryPackagePurpose="OPERATING-SYSTEM",
        checksums=[{"algorithm": "SHA1", "checksumValue": "xyz"}, {"algorithm": "SHA1", "checksumValue": "a" * 40}],
        externalRefs=[
            {"referenceCategory": "PACKAGE_MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/x@1"},
            {"referenceCategory": "PACKAGE_MANAGER", "referenceType": "npm", "referenceLocator": "x@1"},
            {"referenceCategory": "UNHEARD", "referenceType": "x", "referenceLocator": "y"},
        ],
    )
    relation = {"spdxElementId": "SPDXRef-a", "relationshipType": "ADMIRES", "relatedSpdxElement": "SPDXRef-b"}
    found = read_spdx(document(packages=[row, element("b")], relationships=[relation]))
    component = found.components[0]
    assert (component.supplier, component.download, component.homepage, component.built) == ("", "", "", "")
    assert component.kind is Kind.OPERATING_SYSTEM
    assert component.checksums == (("SHA1", "a" * 40),)
    assert component.purl == "pkg:npm/x@1"
    assert component.references == (("PACKAGE-MANAGER", "npm", "x@1"),)
    assert found.relationships == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b'{"spdxVersion": "SPDX-3.0"}',
        document(packages={}),
        document(packages=[{"SPDXID": "a"}]),
        document(packages=[element("a", versionInfo=3)]),
        document(packages=[element("a", checksums=["x"])]),
        document(documentDescribes="SPDXRef-a"),
        b'{"spdxVersion": "SPDX-2.3", "a": ' + b"[" * 50_000,
    ],
)
def test_broken_documents_are_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        read_spdx(content)
    assert caught.value.reason == "bad-sbom"


def test_size_is_limited() -> None:
    with pytest.raises(FormatError) as caught:
        read_spdx(document(comment="x" * 100), limits=Limits(document=50))
    assert caught.value.reason == "document-too-large"


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON), max_size=3), JSON)
def test_any_json_is_read_or_refused(packages: list[dict[str, Any]], relationships: Any) -> None:
    try:
        read_spdx(document(packages=packages, relationships=relationships))
    except FormatError as error:
        assert error.reason == "bad-sbom"


def test_places_of_an_embedded_document() -> None:
    base = "var/lib/db/sbom/"
    found = [f"{base}a-1.2-r3.spdx.json", f"{base}a-1.2.spdx.json", f"{base}a.spdx.json"]
    assert list(embedded_paths("a", "1.2-r3")) == found


@given(st.text(min_size=1), st.text())
def test_identifiers_keep_to_spdx_letters(name: str, version: str) -> None:
    assert set(identifier(name, version)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")
    assert renamed("a", name) != renamed("a", name + "x")
