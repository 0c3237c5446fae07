"""`apkiln apk version` and `apkiln apk solve` as whole commands."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from apkiln.cli.dispatch import dispatch

Captured = pytest.CaptureFixture[str]
IDENTITIES = [f"Q1{letter * 27}=" for letter in "ABCDEFG"]


def record(number: int, name: str, version: str, *lines: str) -> str:
    fields = [f"C:{IDENTITIES[number]}", f"P:{name}", f"V:{version}", "A:x86_64", "S:1", "I:1", "T:t", "U:u", "L:l", *lines]
    return "\n".join(fields) + "\n\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    index = record(0, "a", "1", "D:b") + record(1, "b", "1") + record(2, "c", "1", "D:!b")
    (tmp_path / "APKINDEX").write_text(index, encoding="utf-8")
    (tmp_path / "edge").write_text(record(3, "b", "2"), encoding="utf-8")
    (tmp_path / "installed").write_text(record(1, "b", "1"), encoding="utf-8")
    (tmp_path / "world").write_text("b\n", encoding="utf-8")
    return tmp_path


def test_solve_prints_what_apk_simulates(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "solve", "--index", "APKINDEX", "--arch", "x86_64", "add", "a"]) == 0
    assert capsys.readouterr().out.splitlines() == ["(1/2) Installing b (1)", "(2/2) Installing a (1)", "OK: 2 B in 2 packages"]


def test_solve_takes_tags_and_an_installed_set(place: Path, capsys: Captured) -> None:
    words = ["apk", "solve", "--index", "APKINDEX", "--index", "@edge=edge", "--installed", "installed", "--world", "world"]
    assert dispatch([*words, "--arch", "x86_64", "--", "add", "-u", "b@edge"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "(1/1) Upgrading b@edge (1 -> 2)"


def test_solve_as_json(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "solve", "--json", "--index", "APKINDEX", "--arch", "x86_64", "a"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["verdict"] == "solved"
    assert [(change["kind"], change["name"]) for change in value["changes"]] == [("install", "b"), ("install", "a")]
    assert value["packages"][0]["repository"] == 0


def test_a_contradiction_is_told(place: Path, capsys: Captured) -> None:
    words = ["apk", "solve", "--index", "APKINDEX", "--arch", "x86_64", "a", "c"]
    assert dispatch(words) == 5
    told = capsys.readouterr().err
    assert "`a` and `c` cannot be satisfied together" in told
    assert "`c-1` refuses `b`" in told
    assert dispatch([*words, "--json"]) == 5
    value = json.loads(capsys.readouterr().out)
    assert value["conflict"] == ["a", "c"]
    assert {fact["kind"] for fact in value["facts"]} == {"depends", "conflict"}


def test_version_test(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "version", "--test", "1.2", "1.10"]) == 0
    assert capsys.readouterr().out == "<\n"
    assert dispatch(["apk", "version", "--test", "1.2", "v1"]) == 1
    assert capsys.readouterr().out == ""
    assert dispatch(["apk", "version", "--test", "1.2"]) == 2


def test_version_pairs_from_standard_input(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1 2\n2 1\n1-r0 1-r00\n1 x\n"))
    assert dispatch(["apk", "version", "--test", "-"]) == 1
    assert capsys.readouterr().out.split() == ["<", ">", "=", "?"]


def test_version_check_counts(capsys: Captured) -> None:
    assert dispatch(["apk", "version", "--check", "1", "1.2-1", "x"]) == 2
    assert capsys.readouterr().out.split() == ["1.2-1", "x"]
