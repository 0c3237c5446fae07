"""Findings on named pipelines, and that the built-in ones have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apkiln.cli import dispatch
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.pipeline_checks import PipelineFinding, check_pipeline
from apkiln.package.compilation.pipeline_file import read_pipeline_file
from apkiln.package.compilation.shelves import library_of, shelf
from apkiln.system.folder import MemoryFolder

OTHERS = {
    "needy.yaml": b"inputs: {what: {description: d, required: true}}\npipeline: [{runs: 'echo ${{inputs.what}}'}]\n",
    "ring/a.yaml": b"pipeline: [{uses: ring/b}]\n",
    "ring/b.yaml": b"pipeline: [{uses: ring/a}]\n",
}


def findings(text: str, name: str = "mine") -> list[tuple[str, str, int]]:
    library = PipelineLibrary((shelf("others", MemoryFolder(OTHERS)), *library_of([]).shelves))
    found = check_pipeline(read_pipeline_file(name, f"{name}.yaml", text.encode()), library)
    assert all(isinstance(one, PipelineFinding) and one.origin.source for one in found)
    return [(one.severity, one.reason, one.origin.line) for one in found]


GOOD = """inputs:
  where: {description: "a place", default: .}
  text: {description: "a text"}
needs: {packages: ["${{inputs.text}}"]}
pipeline:
  - if: ${{inputs.where}} != '.'
    working-directory: ${{targets.destdir}}
    runs: echo ${{vars.any}} ${{package.version}} ${{host.triplet.gnu}} ${{context.name}}
  - uses: needy
    with: {what: "${{inputs.where}}"}
"""


def test_nothing_is_said_about_a_good_one() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("vars.any", "inputs.wher", ("error", "unknown-input", 8)),
        ("vars.any", "package.versions", ("error", "unknown-variable", 8)),
        ("vars.any", "nothing", ("error", "unknown-variable", 8)),
        ("uses: needy", "uses: greedy", ("error", "unknown-pipeline", 9)),
        ("uses: needy", "uses: ../needy", ("error", "bad-pipeline-name", 9)),
        ("uses: needy", "uses: ring/a", ("error", "pipeline-cycle", 9)),
        ("uses: needy", "uses: mine", ("error", "pipeline-cycle", 9)),
        ("with: {what:", "with: {waht:", ("error", "unknown-input", 10)),
        ("!= '.'", "=== '.'", ("error", "bad-condition", 6)),
        ("working-directory", "working-dir", ("warning", "unknown-key", 7)),
        ("runs: echo", "run: echo", ("error", "unknown-key", 8)),
        ("""  text: {description: "a text"}""", """  Text: {description: "a text"}""", ("warning", "input-name", 3)),
        ("""  text: {description: "a text"}""", """  text: {}""", ("warning", "undescribed-input", 3)),
        ("default: .}", "default: ., required: true}", ("warning", "useless-default", 2)),
        ('needs: {packages: ["${{inputs.text}}"]}', "needs: {packages: [a]}", ("warning", "unused-input", 3)),
    ],
)
def test_each_fault_is_found_at_its_place(old: str, new: str, wanted: tuple[str, str, int]) -> None:
    assert old in GOOD
    assert wanted in findings(GOOD.replace(old, new))


def test_a_missing_input_may_come_from_around() -> None:
    assert findings("pipeline: [{uses: needy}]\n") == [("warning", "missing-input", 1)]


def test_the_built_in_pipelines_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "lint-pipeline", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["pipelines"] > 40
    assert shown["findings"] == []


def test_the_command_looks_below_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p/deep").mkdir(parents=True)
    (tmp_path / "p/deep/one.yaml").write_text("pipeline: [{uses: two}]\n")
    (tmp_path / "p/two.yaml").write_text("inputs: {x: {description: d}}\nruns: 'true'\n")
    assert dispatch.dispatch(["package", "lint-pipeline", str(tmp_path / "p")]) == 0
    assert "unused-input" in capsys.readouterr().out
    assert dispatch.dispatch(["package", "lint-pipeline", str(tmp_path / "p"), "--strict"]) == 10
    (tmp_path / "p/deep/one.yaml").write_text("pipeline: [{uses: three}]\n")
    assert dispatch.dispatch(["package", "lint-pipeline", str(tmp_path / "p")]) == 10
    assert "deep/one.yaml:1" in capsys.readouterr().out
