"""Which scripts run, in which order, with which surroundings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.package.building.session import Network
from apkiln.package.building.steps import DOWNLOADING, StepRun, build_environment, environment_of, script_of, step_runs
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import BUILT_IN
from apkiln.package.definition.model import PackageDefinition

HEAD = "package: {name: demo, version: '1', epoch: 0, description: d, copyright: [{license: MIT}]}\n"


def compiled(text: str) -> PackageDefinition:
    return resolve(load((HEAD + text).encode(), "demo.yaml"), Arch.parse("x86_64"), PipelineLibrary(())).definition


def runs(text: str) -> tuple[StepRun, ...]:
    return step_runs(compiled(text).pipeline)


def test_nested_steps_follow_their_own_script_and_false_ones_do_not_run() -> None:
    found = runs(
        """
pipeline:
  - name: outer
    runs: one
    environment: {A: outer, B: outer}
    working-directory: sub
    pipeline:
      - runs: two
        environment: {B: inner}
      - if: ${{build.arch}} == 'aarch64'
        runs: never
  - pipeline: [{runs: three}]
"""
    )
    assert [(run.number, run.fragment) for run in found] == [("1", "one"), ("1.1", "two"), ("2.1", "three")]
    assert found[1].environment == (("A", "outer"), ("B", "inner"))
    assert [run.directory for run in found] == ["/home/build/sub", "/home/build/sub", "/home/build"]
    assert found[0].identity == "outer" and found[0].origin.line == 5


def test_the_network_of_a_step_is_that_of_the_steps_inside() -> None:
    found = runs("pipeline: [{network: true, pipeline: [{runs: a}]}, {runs: b}]")
    assert [run.network for run in found] == [True, False]


@pytest.mark.parametrize(("count", "fails"), [(1, False), (2, True), (0, True)])
def test_steps_that_ran_are_counted(count: int, fails: bool) -> None:
    text = f"pipeline: [{{assertions: {{required-steps: {count}}}, pipeline: [{{runs: a}}, {{if: \"'1' == '2'\", runs: b}}]}}]"
    if fails:
        with pytest.raises(ConfigurationError) as caught:
            runs(text)
        assert caught.value.reason == "required-steps"
    else:
        assert [run.fragment for run in runs(text)] == ["a"]


def test_variables_of_a_step_win_over_the_path_and_that_over_the_base() -> None:
    step = runs("pipeline: [{runs: a, environment: {PATH: /mine, X: step}}, {runs: b}]")
    base = {"PATH": "/base", "X": "base", "Y": "base"}
    assert dict(environment_of(step[0], base)) == {"PATH": "/mine", "X": "step", "Y": "base"}
    assert dict(environment_of(step[1], base))["PATH"].startswith("/usr/local/sbin:")


def test_the_source_date_yields_to_the_definition() -> None:
    environment = compiled("environment: {environment: {SOURCE_DATE_EPOCH: '7', HOME: ''}}\npipeline: [{runs: a}]").environment
    found = build_environment(environment, 5)
    assert found["SOURCE_DATE_EPOCH"] == "7" and found["HOME"] == "/home/build"
    assert build_environment(environment._replace(environment=()), 5) == {"SOURCE_DATE_EPOCH": "5"}


@pytest.mark.parametrize(
    ("fragment", "code"),
    [
        ("true", 0),
        ("false", 1),
        ("false | true", 1),
        ("[ 1 = 2 ] && echo no", 0),
        ("echo $UNSET", 0),
        ("exit 3", 3),
        ("cd /; pwd", 0),
        ("echo 'quote\"", 2),
    ],
)
def test_scripts_fail_as_the_shell_says(fragment: str, code: int, tmp_path: object) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash not found")
    run = StepRun("x", "1", fragment, f"{tmp_path}/a 'quoted' $dir", (), False, False, compiled("").package.origin)
    done = subprocess.run((bash, "-c", script_of(run)), capture_output=True, check=False)
    assert done.returncode == code


def test_debugging_shows_each_command() -> None:
    run = StepRun("x", "1", "echo a", "/home/build", (), False, False, compiled("").package.origin)
    assert "set -x" in script_of(run, debug=True) and "set -x" not in script_of(run)


@pytest.mark.parametrize(("mode", "reached"), [("off", [True, False, False]), ("auto", [True, True, False]), ("on", [True] * 3)])
def test_the_network_reaches_what_the_mode_says(mode: str, reached: list[bool]) -> None:
    definition = compiled("pipeline: [{network: true, runs: a}, {uses: go/build, pipeline: [{runs: b}]}, {runs: c}]")
    assert [Network(mode).reaches(run) for run in step_runs(definition.pipeline)] == reached


def test_pipelines_that_download_are_known_by_their_names() -> None:
    assert names_of_built_in() >= DOWNLOADING


def names_of_built_in() -> set[str]:
    return {path.relative_to(BUILT_IN).as_posix().removesuffix(".yaml") for path in Path(BUILT_IN).rglob("*.yaml")}
