"""Variables, transforms and ranges; files of variables; defaults."""

from __future__ import annotations

import pytest
from tests.sample_definitions import HEAD, compiled, faults

from apkiln.core.errors import ConfigurationError
from apkiln.package.definition.note import Note
from apkiln.package.evaluation.environment_file import merged_files, read_environment_file, read_variables_file
from apkiln.package.evaluation.evaluating import EvaluationSettings


def runs(text: str, settings: EvaluationSettings = EvaluationSettings()) -> str:  # noqa: B008
    shown: str = compiled(HEAD + text, settings=settings)["pipeline"][0]["runs"]
    return shown


def test_variables_refer_to_each_other_in_any_order() -> None:
    assert (
        runs("vars: {a: '${{vars.b}}!', b: '${{package.name}}-${{vars.c}}', c: x}\npipeline: [{runs: '${{vars.a}}'}]\n")
        == "demo-x!"
    )


def test_package_fields_may_come_from_variables() -> None:
    text = "package:\n  name: ${{vars.n}}\n  version: ${{vars.v}}\nvars: {n: abc, v: '2'}\npipeline: [{runs: '${{package.full-version}}'}]\n"  # noqa: E501
    shown = compiled(text)
    assert (shown["package"]["name"], shown["pipeline"][0]["runs"]) == ("abc", "2-r0")


def test_transforms_run_in_order_and_see_earlier_ones() -> None:
    text = (
        "var-transforms:\n"
        "  - {from: '${{package.version}}', match: '\\.', replace: '-', to: v}\n"
        "  - {from: '${{vars.v}}', match: '^', replace: v, to: v}\n"
        "  - {from: '${{vars.v}}', match: nothing, replace: x, to: w}\n"
        "vars: {late: '<${{vars.w}}>'}\n"
        "pipeline: [{runs: '${{vars.v}} ${{vars.w}} ${{vars.late}}'}]\n"
    )
    assert runs(text) == "v1-10 v1-10 <v1-10>"


def test_a_transform_does_not_see_later_ones() -> None:
    text = (
        "var-transforms:\n  - {from: '${{vars.b}}', match: x, replace: y, to: a}\n"
        "  - {from: x, match: x, replace: y, to: b}\npipeline: []\n"
    )
    assert faults(HEAD + text)[0][0] == "unknown-variable"


def test_range_values_may_refer_to_variables_and_conditions_may_be_quoted_or_not() -> None:
    text = (
        "vars: {v: w}\ndata: [{name: r, items: {b: 'B-${{vars.v}}', a: 'A-${{build.arch}}'}}]\n"
        "subpackages:\n  - range: r\n    name: s-${{range.key}}\n    pipeline:\n"
        "      - if: ${{range.key}} == 'a'\n        runs: ${{range.value}}\n"
        '      - if: \'"${{range.key}}" == "b"\'\n        runs: ${{range.value}}\n'
    )
    a, b = compiled(HEAD + text)["subpackages"]
    assert [step["if"] for step in a["pipeline"]] == ["\"a\" == 'a'", '"a" == "b"']
    assert (a["pipeline"][0]["runs"], b["pipeline"][1]["runs"]) == ("A-x86_64", "B-w")


def test_range_variables_exist_only_in_ranges() -> None:
    assert faults(f"{HEAD}pipeline: [{{runs: '${{{{range.key}}}}'}}]\n")[0][0] == "unknown-variable"


def test_command_line_variables_win() -> None:
    settings = EvaluationSettings(variables=(("a", "given"), ("n", "new")))
    assert runs("vars: {a: written}\npipeline: [{runs: '${{vars.a}} ${{vars.n}}'}]\n", settings) == "given new"
    assert runs("pipeline: [{runs: '${{vars.a}}'}]\n", settings) == "given"


def test_unknown_options_are_refused() -> None:
    found = faults(f"{HEAD}options: {{fancy: {{}}}}\n", settings=EvaluationSettings(options=("fanzy",)))
    assert found[0][0] == "unknown-option"


def test_inner_steps_inherit() -> None:
    text = (
        "pipeline:\n  - working-directory: d\n    environment: {A: 1, B: 1}\n    pipeline:\n"
        "      - environment: {B: 2}\n        pipeline: [{runs: x}]\n      - {runs: y, working-directory: e}\n"
    )
    one, two = compiled(HEAD + text)["pipeline"][0]["pipeline"]
    assert one["pipeline"][0] == {"runs": "x", "working-directory": "d", "environment": {"A": "1", "B": "2"}}
    assert two == {"runs": "y", "working-directory": "e", "environment": {"A": "1", "B": "1"}}


def test_defaults_yield_to_files_and_those_to_the_definition() -> None:
    settings = EvaluationSettings(environment=(("HOME", "/file"), ("GOPATH", ""), ("X", "file")))
    shown = compiled(f"{HEAD}environment: {{environment: {{X: own}}}}\n", settings=settings)["environment"]
    assert shown["environment"] | {"HOME": "/file", "GOPATH": "/home/build/.cache/go", "X": "own"} == shown["environment"]
    assert shown["accounts"]["users"] == [{"username": "build", "uid": 1000, "gid": 1000}]


def test_environment_files() -> None:
    text = '# c\n\nA=1\nexport B = \'x # y\' # c\nC="a\\n\\"b\\""\nD=\nE=a b  # c\nA=2\n'
    found = dict(read_environment_file(text, "f"))
    assert found == {"A": "2", "B": "x # y", "C": 'a\n"b"', "D": "", "E": "a b"}
    notes: list[Note] = []
    merged = merged_files([("f", tuple(found.items())), ("g", (("A", "3"), ("Z", "1")))], notes)
    assert dict(merged)["A"] == "2" and dict(merged)["Z"] == "1" and len(notes) == 1


@pytest.mark.parametrize("line", ["no sign", "1A=x", "A='x", 'A="x', "A=x'y'"])
def test_environment_files_refuse_with_the_line(line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_environment_file(f"A=1\n{line}\n", "f")
    assert (caught.value.reason, caught.value.origin.line) == ("bad-environment-file", 2)


def test_variables_files_keep_source_text() -> None:
    assert read_variables_file(b"v: 1.10\nb: true\n", "f") == (("b", "true"), ("v", "1.10"))
