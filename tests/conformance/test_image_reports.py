"""The judges of image reports find what is wrong, and nothing where all is right."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.suites.image_reports import JUDGES, Unjudged

Row = dict[str, Any]
HELLO = {"name": "hello", "tar": ["opt/ 0755", "usr/ 0755", "usr/bin/ 0755", "usr/bin/hello 0755", "usr/bin/hi -> hello"]}
SECRET = {"repositories": ["https://user:secret@cache.example/alpine/main"], "keyring": []}
BASE = {
    "base_manifest_annotations": {"org.opencontainers.image.source": "https://example.test/base"},
    "base_ref": f"registry.example/base:latest@sha256:{'c' * 64}",
}
NAMES = ["org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"]

RIGHT: list[tuple[str, Row, Row]] = [
    ("build-tree", {"package": HELLO}, {"installed_has_lines": ["F:opt", "R:hello"], "links": {"usr/bin/hi": "hello"}}),
    ("build-tree", {"package": HELLO}, {"files": {"usr/bin/hello": "usr/bin/hello", "etc/none": None}, "absent": ["etc/none"]}),
    ("build-tree", {"package": HELLO, "image": "contents: {packages: [other]}"}, {"error": True, "mentions": ["other"]}),
    (
        "error-text",
        SECRET,
        {"error": True, "mentions": ["keyring", "key file name of the signature"], "not_mentions": ["secret"]},
    ),
    ("config-error", {"config": "contents:\n  packges: [a]\n"}, {"error": True, "mentions": ["packges"], "at": "image.yaml:2"}),
    (
        "config-merge",
        {"base": "environment: {A: b, C: d}\n", "child": "contents: {repositories: [r]}\nenvironment: {A: x}\n"},
        {"merged": {"environment": {"A": "x", "C": "d"}}},
    ),
    (
        "oci-annotations",
        {"platforms": ["linux/amd64", "linux/arm64"], "annotations": {"k": "v"}},
        {"index_annotations": {"k": "v"}, "each_manifest_annotations": {"k": "v"}},
    ),
    ("oci-annotations", BASE, {"manifest_has": NAMES, "index_and_manifest_have_not": ["org.opencontainers.image.source"]}),
    ("oci-shape", {"platforms": ["linux/amd64", "linux/arm/v7"]}, {"platforms": ["linux/arm/v7", "linux/amd64"], "layers": 1}),
]
WRONG: list[tuple[str, Row, Row]] = [
    ("build-tree", {"package": HELLO}, {"installed_has_lines": ["F:srv"]}),
    ("build-tree", {"package": HELLO}, {"installed_lacks_lines": ["F:opt"]}),
    ("build-tree", {"package": HELLO}, {"files": {"usr/bin/hello": "else"}}),
    ("build-tree", {"package": HELLO}, {"absent": ["opt"]}),
    ("build-tree", {"package": HELLO}, {"links": {"usr/bin/hello": "hi"}}),
    ("build-tree", {"package": HELLO}, {"error": True}),
    ("error-text", SECRET, {"error": True, "mentions": ["no such word"]}),
    ("error-text", SECRET, {"error": True, "not_mentions": ["keyring"]}),
    ("error-text", SECRET, {}),
    ("config-error", {"config": "contents: {repositories: [r]}\n"}, {"error": True}),
    ("config-error", {"config": "contents: {packges: [a]}\n"}, {"error": True, "at": "image.yaml:2"}),
    ("config-merge", {"config": "contents: {repositories: [r]}\n"}, {"merged": {"contents": {"repositories": ["s"]}}}),
    ("oci-annotations", {"annotations": {"k": "v"}}, {"index_annotations": {"k": "w"}}),
    ("oci-annotations", {"annotations": {"k": "v"}}, {"index_and_manifest_have_not": ["k"]}),
    ("oci-annotations", {}, {"manifest_has": NAMES}),
    ("oci-shape", {"platforms": ["linux/amd64"]}, {"layers": 2}),
]


@pytest.mark.parametrize(("kind", "given", "expected"), RIGHT)
def test_what_is_right_passes(kind: str, given: Row, expected: Row) -> None:
    assert JUDGES[kind](given, expected) == ""


@pytest.mark.parametrize(("kind", "given", "expected"), WRONG)
def test_what_is_wrong_is_told(kind: str, given: Row, expected: Row) -> None:
    assert JUDGES[kind](given, expected)


@pytest.mark.parametrize("kind", sorted(JUDGES))
def test_an_expectation_that_nobody_judges_is_no_pass(kind: str) -> None:
    given = {**BASE, **SECRET, "package": HELLO, "config": "contents: {repositories: [r]}\n"}
    with pytest.raises(Unjudged):
        JUDGES[kind](given, {"unheard-of": 1})
