"""`apkiln image config` as a whole: files in, definition out, faults with their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apkiln.cli import dispatch

BASE = "contents:\n  repositories: ['https://user:hunter2@packages.example.com/os']\n  packages: [base]\nenvironment: {V: 1.10}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "image.yaml").write_text("include: base.yaml\ncontents: {packages: [app]}\narchs: [x86_64]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_prints_the_merged_definition(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["image", "config", "image.yaml", "-p", "extra,more", "--annotations", "k:v", "--flat"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "contents:",
        "    repositories:",
        "        - https://packages.example.com/os",
        "    packages:",
        "        - base",
        "        - app",
        "        - extra",
        "        - more",
        "archs:",
        "    - amd64",
        "environment:",
        '    V: "1.10"',
        "annotations:",
        "    k: v",
    ]
    assert captured.err == ""


def test_json_tells_where_each_value_comes_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["image", "config", "image.yaml", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["origins"]["contents.packages[0]"] == "base.yaml:3:14"
    assert value["origins"]["contents.packages[1]"] == "image.yaml:2:23"
    assert value["files"] == ["image.yaml", "base.yaml"]
    assert value["checksum"].startswith("sha256-")
    assert "hunter2" not in json.dumps(value)


def test_the_peers_verb_works(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["apko", "show-config", "image.yaml"]) == 0
    assert "include: base.yaml" in capsys.readouterr().out


def test_faults_show_their_line_and_exit_with_three(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "image.yaml").write_text("contents: {repositories: [r]}\nentry-point: x\npaths:\n  - {path: /a, type: copy}\n")
    assert dispatch.dispatch(["image", "config", "image.yaml"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("error:") == 2
    assert "image.yaml:2:1" in captured.err
    assert "entry-point: x\n" in captured.err
    assert "did you mean `entrypoint`?" in captured.err


def test_a_missing_file_exits_with_eight(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["image", "config", "absent.yaml"]) == 8
    assert "absent.yaml" in capsys.readouterr().err


def test_a_decimal_mode_is_remarked_upon(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "image.yaml").write_text("contents: {repositories: [r]}\npaths: [{path: /a, type: directory, permissions: 755}]\n")
    assert dispatch.dispatch(["image", "config", "image.yaml"]) == 0
    assert "0o755" in capsys.readouterr().err
