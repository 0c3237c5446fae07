"""SBOM documents against the installed set."""

from __future__ import annotations

import json

import pytest

from apkiln.core.errors import FormatError
from apkiln.image.audit.bills import compare_bill, packages_of_bill

PURL = "pkg:apk/wolfi/lib%2B%2B@1.2~git-r0?arch=x86_64"


def spdx(*locators: str) -> bytes:
    packages = [{"name": "x", "externalRefs": [{"referenceType": "purl", "referenceLocator": locator}]} for locator in locators]
    return json.dumps({"spdxVersion": "SPDX-2.3", "packages": [{"name": "image"}, *packages]}).encode()


def cyclonedx(*locators: str) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "components": [{"purl": locator} for locator in locators]}).encode()


@pytest.mark.parametrize("form", [spdx, cyclonedx])
def test_apk_packages_are_found_by_their_urls(form: object) -> None:
    assert callable(form)
    assert packages_of_bill(form(PURL, "pkg:oci/x@1", "pkg:github/a/b@c"), "bill") == (("lib++", "1.2~git-r0"),)


def test_sets_are_compared_in_both_directions() -> None:
    listed = [("a", "1"), ("a", "1"), ("c", "1")]
    found = [(item.rule, item.expected, item.found) for item in compare_bill("bill", listed, [("a", "1"), ("b", "2")])]
    assert found == [
        ("sbom-package-missing", "b-2", ""),
        ("sbom-package-extra", "", "c-1"),
        ("sbom-package-twice", "a-1 once", "2 times"),
    ]
    assert list(compare_bill("bill", [("a", "1")], [("a", "1")])) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"bomFormat":"Other"}'])
def test_what_is_no_sbom_proves_nothing(content: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        packages_of_bill(content, "bill")
    assert caught.value.reason == "bad-sbom"
