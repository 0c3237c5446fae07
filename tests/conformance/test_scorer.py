"""The scorer on a made-up corpus, and on the recorded data beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conformance.score import main
from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Difference, Known, Outcome, Suite, judged, score

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
Captured = pytest.CaptureFixture[str]


def corpus(folder: Path, vectors: str) -> Path:
    made = folder / "apk-tools"
    (made / "solver").mkdir(parents=True)
    (made / "README.md").write_text("made up", encoding="utf-8")
    (made / "version_compare.txt").write_text(vectors, encoding="utf-8")
    (made / "solver" / "one.repo").write_text("P:a\nV:1\nI:1\nD:b\n\nP:b\nV:2\nI:1", encoding="utf-8")
    expected = "(1/2) Installing b (2)\n(2/2) Installing a (1)\nOK: 2 B in 2 packages\n"
    (made / "solver" / "one.test").write_text(f"@ARGS add a\n@REPO one.repo\n@EXPECT\n{expected}", encoding="utf-8")
    (made / "solver" / "two.test").write_text("@ARGS add nope\n@REPO one.repo\n@EXPECT\nERROR: unable\n", encoding="utf-8")
    return folder


def test_other_data_of_the_same_shape(tmp_path: Path, capsys: Captured) -> None:
    assert main([str(corpus(tmp_path, "1 < 2\n2 !< 1\n"))]) == 0
    out = capsys.readouterr().out
    assert "apk-tools/versions" in out and "2 passed, 0 failed" in out
    assert "apk-tools/solver:order" in out


def test_a_failure_of_a_claimed_suite_is_shown_and_fails_the_run(tmp_path: Path, capsys: Captured) -> None:
    assert main([str(corpus(tmp_path, "2 < 1\n")), "--only", "apk-tools/versions"]) == 1
    assert "version_compare.txt line 1: 2 < 1" in capsys.readouterr().out


def test_json_and_nothing_to_score(tmp_path: Path, capsys: Captured) -> None:
    corpus(tmp_path, "1 < 2\n")
    assert main([str(tmp_path), "--json", "--only", "apk-tools"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["suite"] for row in rows} == {"apk-tools/versions", "apk-tools/solver", "apk-tools/solver-text"}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([str(empty)]) == 1


def test_known_failures_are_counted_apart(tmp_path: Path) -> None:
    outcomes = [
        Outcome(FAILED, "f", "one"),
        Outcome(FAILED, "f", "two"),
        Outcome(PASSED, "f", "three"),
        Outcome(SKIPPED, "f", "four", "why"),
    ]
    suite = Suite("made-up", lambda folder: True, lambda folder: outcomes)
    known = [Known("made-up", "", case, "reason") for case in ("one", "three")]
    tally = score(suite, tmp_path, known)[0]
    assert (tally.passed, tally.known, [failure.case for failure in tally.failures]) == (1, 1, ["two"])
    assert tally.skips == {"why": 1} and tally.surprises == ["three"]


def test_a_failure_is_known_when_each_of_its_differences_has_a_listed_cause(tmp_path: Path) -> None:
    listed, other, unexplained = Difference("x", "listed"), Difference("y", "other"), Difference("z")
    given = {"one": [listed], "two": [listed, other], "three": [listed, unexplained], "four": []}
    outcomes = [judged("f", case, "build", differences) for case, differences in given.items()]
    suite = Suite("made-up", lambda folder: True, lambda folder: outcomes)
    known = [Known("made-up", "build", "", "why", "listed"), Known("made-up", "", "", "why", "other")]
    tally = score(suite, tmp_path, known)[0]
    assert (tally.passed, tally.known, [failure.case for failure in tally.failures]) == (1, 1, ["two", "three"])
    assert tally.failures[1].detail.startswith("z"), "what has no cause is shown first"


def test_recorded_data_of_apk_tools_and_apko_tables(capsys: Captured) -> None:
    if not SHARED.is_dir():
        pytest.skip("the recorded data is not beside the checkout")
    words = [
        "apk-tools",
        "apko/version-compare",
        "apko/version-parse",
        "apko/version-constraint",
        "apko/dependency-parse",
        "apko/solver",
    ]
    assert main([str(SHARED), "--only", *words]) == 0
    assert "apk-tools/solver:set" in capsys.readouterr().out
