"""What came of tests, and the documents that say so (JUnit XML, JSON).  Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.core.value import value

VERSION = 1
"""Of the JSON form."""


class Verdict(Enum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    """A step did."""
    ERROR = "error"
    """The test could not run."""


@value
class Outcome:
    """What came of one test."""

    package: str
    verdict: Verdict
    milliseconds: int = 0
    message: str = ""
    """Why it did not pass, in one line."""
    lines: tuple[str, ...] = ()
    """The last ones of its output."""
    packages: tuple[str, ...] = ()
    """What was in its root, as `NAME=VERSION`, sorted."""
    attempts: int = 1


@value
class Report:
    """All tests of one run."""

    definition: str
    """Name and version."""
    arch: str
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(item for item in self.outcomes if item.verdict is not Verdict.PASSED)


def json_document(report: Report) -> dict[str, Any]:
    """The JSON form; also what `--lock` reads."""
    return {
        "version": VERSION,
        "definition": report.definition,
        "arch": report.arch,
        "tests": [
            {
                "package": item.package,
                "verdict": item.verdict.value,
                "milliseconds": item.milliseconds,
                "message": item.message,
                "output": list(item.lines),
                "packages": list(item.packages),
                "attempts": item.attempts,
            }
            for item in report.outcomes
        ],
    }


def read_locked_packages(content: bytes, source: str) -> Mapping[str, tuple[str, ...]]:
    """Package → contents of its test's root, from a JSON report.  FormatError `bad-test-lock`."""
    try:
        document = json.loads(content)
        tests: Sequence[Mapping[str, Any]] = document["tests"]
        found = {str(row["package"]): tuple(map(str, row["packages"])) for row in tests}
        known = document["version"] == VERSION
    except (ValueError, KeyError, TypeError) as cause:
        raise FormatError("this is no report of tests", reason="bad-test-lock", origin=Origin(source)) from cause
    if not known:
        raise FormatError("this report of tests has another version", reason="bad-test-lock", origin=Origin(source))
    return found


def junit_document(report: Report) -> str:
    """The report as JUnit XML: one suite, one case a test."""
    failures = sum(item.verdict is Verdict.FAILED for item in report.outcomes)
    errors = sum(item.verdict is Verdict.ERROR for item in report.outcomes)
    seconds = sum(item.milliseconds for item in report.outcomes)
    name = _quoted(f"{report.definition} ({report.arch})")
    head = f'name={name} tests="{len(report.outcomes)}" failures="{failures}" errors="{errors}" time="{_seconds(seconds)}"'
    cases = "".join(_case(item, report.definition) for item in report.outcomes)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n <testsuite {head}>\n{cases} </testsuite>\n</testsuites>\n'


def _case(item: Outcome, definition: str) -> str:
    head = f'  <testcase classname={_quoted(definition)} name={_quoted(item.package)} time="{_seconds(item.milliseconds)}"'
    if item.verdict is Verdict.PASSED:
        return f"{head}/>\n"
    element = "failure" if item.verdict is Verdict.FAILED else "error"
    text = _escaped("\n".join(item.lines))
    return f"{head}>\n   <{element} message={_quoted(item.message)}>{text}</{element}>\n  </testcase>\n"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _escaped(text: str) -> str:
    """For XML: characters that it cannot hold are replaced."""
    kept = "".join(char if char in "\t\n" or (char >= " " and char not in "\x7f\ufffe\uffff") else "\ufffd" for char in text)
    kept = kept.encode("utf-8", "replace").decode()
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;") + '"'
