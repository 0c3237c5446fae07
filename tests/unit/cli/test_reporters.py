"""Progress as lines of text and as JSON lines; errors follow the form that was asked for."""

from __future__ import annotations

import io
import json

import pytest

from apkiln.cli.dispatch import dispatch
from apkiln.cli.reporting import JsonReporter, LineReporter, choose_reporter
from apkiln.core.progress import Reporter, Silent

Captured = pytest.CaptureFixture[str]


def work(reporter: Reporter) -> None:
    reporter.start("packages", 3_000_000, "bytes")
    reporter.advance("packages", 1_000_000)
    reporter.note("a remark")
    reporter.advance("packages", 2_000_000)
    reporter.finish("packages")


def test_lines_for_people() -> None:
    stream = io.StringIO()
    work(choose_reporter(stream, 0))
    assert stream.getvalue() == "note: a remark\npackages: 3.0 MB\n"


def test_one_json_object_a_line_for_programs() -> None:
    stream = io.StringIO()
    work(choose_reporter(stream, 0, "json"))
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "start", "task": "packages", "total": 3_000_000, "unit": "bytes"},
        {"event": "note", "message": "a remark"},
        {"event": "finish", "task": "packages", "amount": 3_000_000, "unit": "bytes"},
    ]


def test_quiet_is_quiet_in_every_form() -> None:
    for form, kind in (("text", LineReporter), ("json", JsonReporter)):
        assert isinstance(choose_reporter(io.StringIO(), -1, form), Silent)
        assert isinstance(choose_reporter(io.StringIO(), 0, form), kind)


@pytest.mark.parametrize("flag", [["--log-format=json"], ["--log-format", "json"]])
def test_errors_are_a_line_among_the_others(flag: list[str], capsys: Captured) -> None:
    assert dispatch(["image", "config", "no-such-file.yaml", *flag]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    value = json.loads(line)
    assert (value["event"], value["error"]["reason"]) == ("error", "file-not-found")
    assert dispatch(["image", "config", "no-such-file.yaml"]) != 0
    assert capsys.readouterr().err.startswith("error: ")
