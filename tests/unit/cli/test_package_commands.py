"""`apkiln package compile`, `query` and `version`, and melange's own command lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apkiln.cli import dispatch

DEFINITION = """package:
  name: hello
  version: 1.10
  target-architecture: [x86_64]
options: {loud: {vars: {word: HEY}}}
vars: {word: hey}
pipeline:
  - uses: shout
    with: {what: "${{vars.word}}"}
  - uses: strip
"""
SHOUT = "inputs: {what: {required: true}}\nneeds: {packages: [shout]}\npipeline: [{runs: 'echo ${{inputs.what}} # loud'}]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hello.yaml").write_text(DEFINITION)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "shout.yaml").write_text(SHOUT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compile_prints_the_resolved_definition(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["package", "compile", "hello.yaml", "--arch", "x86_64", "--pipeline-dir", "pipelines", "--build-option", "loud"]
    assert dispatch.dispatch(words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["package"]["version"] == "1.10"
    assert shown["pipeline"][0]["pipeline"] == [{"runs": "echo HEY"}]
    assert shown["pipeline"][1]["pipeline"][0]["working-directory"] == "/home/build/melange-out/hello"
    assert shown["environment"]["contents"]["packages"] == ["binutils", "scanelf", "shout"]


def test_compile_takes_melange_command_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hello.yaml").rename(folder / ".melange.yaml")
    (folder / "env").write_text("export CFLAGS='-O2'\n")
    words = "melange compile --arch x86_64 --pipeline-dir ./pipelines/ --git-commit abc --namespace n --git-repo-url https://x.example"
    assert dispatch.dispatch([*words.split(), "--env-file", "env", "--yaml"]) == 0
    captured = capsys.readouterr().out
    assert "    commit: abc\n" in captured and "        CFLAGS: -O2\n" in captured
    assert dispatch.dispatch(["melange", "bake"]) == 2


def test_compile_of_several_reports_all_faults_and_prints_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("package: {name: a, version: 1}\npipeline: [{uses: nope}]\n")
    (folder / "worse.yaml").write_text("package: {name: a}\n")
    words = ["package", "compile", "bad.yaml", "hello.yaml", "worse.yaml", "--pipeline-dir", "pipelines"]
    assert dispatch.dispatch([*words, "--arch", "x86_64"]) == 3
    captured = capsys.readouterr()
    assert [json.loads(line)["file"] for line in captured.out.splitlines()] == ["hello.yaml"]
    assert "bad.yaml:2:19" in captured.err and "worse.yaml:1:10" in captured.err
    assert dispatch.dispatch([*words[:2], "hello.yaml", "hello.yaml", "--pipeline-dir", "pipelines", "--arch", "arm64"]) == 0
    assert capsys.readouterr().out == ""


def test_an_architecture_that_is_not_targeted_is_an_outcome_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "compile", "hello.yaml", "--arch", "aarch64", "--json"]) == 3
    assert json.loads(capsys.readouterr().err)["error"]["reason"] == "not-targeted"


def test_missing_things_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "compile"]) == 2
    assert dispatch.dispatch(["package", "compile", "none.yaml"]) == 8
    assert dispatch.dispatch(["package", "compile", "hello.yaml", "--pipeline-dir", "none"]) == 8
    assert "`none`" in capsys.readouterr().err


def test_query_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["melange", "query", "hello.yaml", "{{ .Package.Name }} {{ len .Pipeline }}"]) == 0
    assert dispatch.dispatch(["package", "query", "hello.yaml", "package.version"]) == 0
    assert dispatch.dispatch(["package", "version", "hello.yaml"]) == 0
    assert capsys.readouterr().out == "hello 21.10\nhello-1.10-r0"


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "compile", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "apkiln package definition"


def test_melange_compile_takes_its_flags_and_prints_its_shape(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text("package: {name: demo, version: 1.10, epoch: 0, timeout: 1s}\noptions: {a: {}, b: {}}\n")
    flags = "--arch x86_64 --build-option a,b --rm=true --generate-index=false -i --cpu 4 --timeout=1h --log-level debug"
    assert dispatch.dispatch(["melange", "compile", *flags.split(), str(path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["package"]["timeout"], shown["package"]["commit"], shown["capabilities"]) == (1_000_000_000, "unknown", {})
    assert shown["options"]["a"]["Vars"] is None


@pytest.mark.parametrize("switch", ["--strict", "--strict=true"])
def test_a_switch_may_be_said_to_be_on(switch: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text("package: {name: demo, version: not a version, epoch: 0}\n")
    assert dispatch.dispatch(["package", "compile", switch, str(path)]) != 0
    assert "no version that apk can read" in capsys.readouterr().err


def test_a_switch_may_be_said_to_be_off(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text("package: {name: demo, version: not a version, epoch: 0}\n")
    assert dispatch.dispatch(["package", "compile", "--strict=false", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["package"]["version"] == "not a version"
