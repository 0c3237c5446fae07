"""Which tests there are, what they run in, and how their outcomes are told."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.errors import FormatError
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.testing.outcome import Outcome, Report, Verdict, json_document, junit_document, read_locked_packages
from apkiln.package.testing.plan import pinned, planned_tests

TEXT = """
package: {name: demo, version: '1', epoch: 0, description: d, copyright: [{license: MIT}]}
environment:
  contents: {repositories: [https://build.example], packages: [compiler]}
  environment: {SHARED: build, HOME: /build-home}
test:
  environment:
    contents: {repositories: [https://test.example], packages: [busybox]}
    environment: {SHARED: test}
  pipeline: [{runs: main}]
subpackages:
  - name: demo-dev
    test: {pipeline: [{runs: dev}]}
  - name: demo-doc
    test: {pipeline: [{if: "'a' == 'b'", runs: never}]}
  - name: demo-none
"""


def definition(text: str = TEXT) -> PackageDefinition:
    return resolve(load(text.encode(), "demo.yaml"), Arch.parse("x86_64"), PipelineLibrary(())).definition


def test_tests_without_steps_need_no_root() -> None:
    assert [test.package for test in planned_tests(definition())] == ["demo", "demo-dev"]


def test_the_root_has_the_package_under_test_and_no_build_packages() -> None:
    main, dev = planned_tests(definition())
    assert [item.text for item in main.environment.contents.packages] == ["busybox", "demo"]
    assert [item.text for item in dev.environment.contents.packages] == ["demo-dev"]


def test_variables_of_the_build_lie_below_those_of_the_test() -> None:
    main, dev = planned_tests(definition())
    assert dict(main.environment.environment)["SHARED"].text == "test"
    assert dict(dev.environment.environment)["SHARED"].text == "build"
    assert dict(dev.environment.environment)["HOME"].text == "/build-home"


def test_repositories_of_the_build_serve_tests_too() -> None:
    main, dev = planned_tests(definition())
    assert [item.text for item in main.environment.contents.repositories] == ["https://test.example", "https://build.example"]
    assert [item.text for item in dev.environment.contents.repositories] == ["https://build.example"]


def test_another_package_can_be_tested_in_place_of_the_main_one() -> None:
    main, dev = planned_tests(definition(), "demo-next")
    assert main.package == "demo-next"
    assert [item.text for item in main.environment.contents.packages] == ["busybox", "demo-next"]
    assert dev.package == "demo-dev"


def test_a_lock_replaces_what_the_root_is_made_of() -> None:
    found = pinned(planned_tests(definition())[0], ("busybox=1", "demo=1-r0"))
    assert [item.text for item in found.environment.contents.packages] == ["busybox=1", "demo=1-r0"]


OUTCOMES = (
    Outcome("demo", Verdict.PASSED, 1500, packages=("busybox=1", "demo=1-r0")),
    Outcome("demo-dev", Verdict.FAILED, 20, "step 1 failed with exit code 3", ("last < line", "bad \x00 & char"), (), 2),
    Outcome("demo-x", Verdict.ERROR, 0, 'no such package "x"'),
)
REPORT = Report("demo-1-r0", "x86_64", OUTCOMES)


def test_junit_counts_and_names() -> None:
    (suite,) = ElementTree.fromstring(junit_document(REPORT))
    assert suite.attrib["tests"] == "3" and suite.attrib["failures"] == "1" and suite.attrib["errors"] == "1"
    assert [case.attrib["name"] for case in suite] == ["demo", "demo-dev", "demo-x"]
    assert suite[0].attrib["time"] == "1.500" and len(suite[0]) == 0
    failure = suite[1][0]
    assert failure.tag == "failure" and "exit code 3" in failure.attrib["message"] and "last < line" in (failure.text or "")
    assert suite[2][0].tag == "error"


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=3))
def test_junit_is_well_formed_whatever_a_test_writes(message: str, lines: list[str]) -> None:
    report = Report("d", "x86_64", (Outcome("p", Verdict.FAILED, 1, message, tuple(lines)),))
    ElementTree.fromstring(junit_document(report).encode("utf-8"))


def test_the_json_form_is_a_lock() -> None:
    content = canonical_json.encode_pretty(json_document(REPORT))
    assert read_locked_packages(content, "r.json")["demo"] == ("busybox=1", "demo=1-r0")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2, "tests": []}', b'{"version": 1, "tests": [1]}'])
def test_what_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        read_locked_packages(content, "r.json")
    assert caught.value.reason == "bad-test-lock"


def test_the_report_says_what_failed() -> None:
    assert [item.package for item in REPORT.failed] == ["demo-dev", "demo-x"]
    assert json.loads(json.dumps(json_document(REPORT)))["tests"][1]["attempts"] == 2
