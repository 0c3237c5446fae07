"""Compiling: the specification's worked example, inputs, needs, scopes, refusals with places, limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sample_definitions import HEAD, compiled, faults, resolved

from apkiln.package.compilation import steps
from apkiln.package.compilation.compiling import CompilationSettings
from apkiln.package.compilation.embedding import embedded
from apkiln.package.definition.rendering import document
from apkiln.package.evaluation.evaluating import EvaluationSettings

EXAMPLE = """
package: {name: demo, version: 1.10, epoch: 2}
vars: {greet: hi}
var-transforms:
  - {from: "${{package.version}}", match: '^(\\d+)\\.(\\d+)$', replace: '${1}_${2}', to: mangled}
data:
  - {name: libs, items: {b: "2", a: "1"}}
pipeline:
  - if: ${{build.arch}} == 'x86_64'
    runs: echo ${{vars.mangled}}
  - uses: outer
    with: {x: "${{package.name}}"}
subpackages:
  - range: libs
    name: demo-${{range.key}}
    dependencies: {runtime: ["demo=${{package.full-version}}"]}
    pipeline:
      - runs: touch ${{targets.subpkgdir}}/${{range.value}}
"""
OUTER = """
inputs:
  x: {required: true}
  y: {default: "${{inputs.x}}-y"}
needs: {packages: ["tool-${{inputs.y}}"]}
pipeline:
  - uses: inner
    with: {x: "${{inputs.x}}-inner"}
"""
INNER = """
inputs: {x: {}}
pipeline:
  - runs: echo ${{inputs.x}} ${{inputs.y}} ${{vars.greet}}
"""


def test_worked_example() -> None:
    shown = compiled(EXAMPLE, {"outer": OUTER, "inner": INNER}, "aarch64")
    assert (shown["package"]["version"], shown["package"]["epoch"]) == ("1.10", 2)
    assert shown["pipeline"][0] == {"if": "\"aarch64\" == 'x86_64'", "runs": "echo 1_10"}
    outer = shown["pipeline"][1]
    assert outer["with"] == {"x": "demo", "y": "demo-y"}
    assert outer["pipeline"][0]["pipeline"][0]["runs"] == "echo demo-inner demo-y hi"
    assert shown["environment"]["contents"]["packages"] == ["tool-demo-y"]
    assert [(one["name"], one["dependencies"]["runtime"], one["pipeline"][0]["runs"]) for one in shown["subpackages"]] == [
        ("demo-a", ["demo=1.10-r2"], "touch /home/build/melange-out/demo-a/1"),
        ("demo-b", ["demo=1.10-r2"], "touch /home/build/melange-out/demo-b/2"),
    ]
    text = json.dumps(shown)
    assert not any(f'"{key}"' in text for key in ("data", "inputs", "needs"))


def test_compiling_the_result_changes_nothing() -> None:
    shown = compiled(EXAMPLE, {"outer": OUTER, "inner": INNER})
    assert compiled(json.dumps(shown), {}) == shown


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", {"a": "A", "b": "A!"}),
        ("with: {a: x}", {"a": "x", "b": "x!"}),
        ("with: {a: ''}", {"a": "A", "b": "A!"}),  # empty counts as not given
        ("with: {b: '${{inputs.a}}?'}", {"a": "A", "b": "A?"}),
        ("with: {a: '${{inputs.b}}', b: z}", {"a": "z", "b": "z"}),
        ("with: {a: [one, two]}", {"a": "one\ntwo", "b": "one\ntwo!"}),
    ],
)
def test_inputs(given: str, wanted: dict[str, str]) -> None:
    pipeline = "inputs: {a: {default: A}, b: {default: '${{inputs.a}}!'}}\npipeline: [{runs: '${{inputs.a}} ${{inputs.b}}'}]\n"
    step = compiled(f"{HEAD}pipeline:\n  - uses: p\n    {given}\n", {"p": pipeline})["pipeline"][0]
    assert step["pipeline"][0]["runs"] == "{a} {b}".format(**wanted)
    defaults = {"a": "A", "b": "${{inputs.a}}!"}
    assert step.get("with", {}) == {name: value for name, value in wanted.items() if value != defaults[name]}


def test_a_declared_input_has_its_own_value_whatever_the_pipeline_around_has() -> None:
    outer = "inputs: {v: {default: outer}}\npipeline:\n  - uses: inner\n  - uses: inner\n    with: {v: own}\n"
    inner = "inputs: {v: {default: inner}}\npipeline: [{runs: '${{inputs.v}}'}]\n"
    step = compiled(f"{HEAD}pipeline: [{{uses: outer}}]\n", {"outer": outer, "inner": inner})["pipeline"][0]
    assert [one["pipeline"][0]["runs"] for one in step["pipeline"]] == ["inner", "own"]


@pytest.mark.parametrize(
    ("nested", "inner", "wanted"),
    [
        ("uses: inner", "pipeline: [{runs: '[${{inputs.v}}]'}]", "[outer]"),
        ("uses: inner", "inputs: {v: {}}\npipeline: [{runs: '[${{inputs.v}}]'}]", "[]"),
        ("uses: inner\n    with: {v: '<${{inputs.v}}>'}", "inputs: {v: {}}\npipeline: [{runs: '[${{inputs.v}}]'}]", "[<outer>]"),
        ("uses: inner", "inputs: {v: {default: '${{inputs.v}}!'}}\npipeline: [{runs: '[${{inputs.v}}]'}]", "[outer!]"),
        ("uses: inner", "inputs: {v: {default: '${{inputs.w}}!'}}\npipeline: [{runs: '[${{inputs.v}}]'}]", "[w!]"),
        ("uses: inner", "inputs: {v: {default: '${{inputs.w}}!'}, w: {}}\npipeline: [{runs: '[${{inputs.v}}]'}]", "[!]"),
    ],
)
def test_what_a_nested_pipeline_sees_of_the_inputs_around_it(nested: str, inner: str, wanted: str) -> None:
    outer = f"inputs: {{v: {{default: outer}}, w: {{default: w}}}}\npipeline:\n  - {nested}\n"
    step = compiled(f"{HEAD}pipeline: [{{uses: outer}}]\n", {"outer": outer, "inner": inner})["pipeline"][0]
    assert step["pipeline"][0]["pipeline"][0]["runs"] == wanted


def test_an_input_of_the_pipeline_around_does_not_satisfy_a_required_one() -> None:
    outer = "inputs: {v: {default: outer}}\npipeline: [{uses: inner}]\n"
    inner = "inputs: {v: {required: true}}\npipeline: [{runs: '${{inputs.v}}'}]\n"
    found = faults(f"{HEAD}pipeline: [{{uses: outer}}]\n", {"outer": outer, "inner": inner})
    assert [fault[0] for fault in found] == ["missing-input"]


def test_needs_of_a_pipeline_file_replace_those_of_its_step() -> None:
    text = f"{HEAD}pipeline:\n  - uses: p\n    needs: {{packages: [own]}}\n  - uses: q\n    needs: {{packages: [kept]}}\n"
    shown = compiled(text, {"p": "needs: {packages: [theirs]}\nruns: x\n", "q": "runs: x\n"})
    assert shown["environment"]["contents"]["packages"] == ["kept", "theirs"]


def test_a_pipeline_file_lies_over_its_step() -> None:
    file = (
        "name: mine\nif: \"'${{inputs.on}}' == 'yes'\"\ninputs: {on: {default: 'yes'}}\nneeds: {packages: [n]}\n"
        "environment: {A: file, B: file}\nworking-directory: sub\nruns: first\npipeline: [{runs: second}]\n"
    )
    text = f"{HEAD}pipeline:\n  - uses: p\n    name: theirs\n    environment: {{A: step, C: step}}\n"
    step = compiled(text, {"p": file})["pipeline"][0]
    environment = {"A": "file", "B": "file", "C": "step"}
    inner = {"working-directory": "sub", "environment": environment}
    assert (
        step
        == {
            "if": "'yes' == 'yes'",
            "name": "theirs",
            "uses": "p",
            "pipeline": [{"runs": "first"} | inner, {"runs": "second"} | inner],
        }
        | inner
    )


def test_needs_count_only_where_steps_run() -> None:
    pipeline = "needs: {packages: [need]}\nruns: x\n"
    text = (
        f"{HEAD}pipeline:\n  - if: \"'a' == 'b'\"\n    uses: p\n  - needs: {{packages: [own]}}\n    runs: x\n"
        "subpackages:\n  - name: off\n    if: ${{build.arch}} == 'aarch64'\n    pipeline: [{uses: p}]\n"
        "test:\n  environment: {contents: {packages: [zz, aa]}}\n  pipeline: [{uses: p}]\n"
    )
    shown = compiled(text, {"p": pipeline}, "x86_64")
    assert shown["environment"]["contents"]["packages"] == ["own"]
    assert "subpackages" not in shown
    assert shown["test"]["environment"]["contents"]["packages"] == ["aa", "demo", "need", "zz"]
    there = compiled(text, {"p": pipeline}, "aarch64")
    assert there["environment"]["contents"]["packages"] == ["need", "own"]
    assert [one["name"] for one in there["subpackages"]] == ["off"]


def test_variables_of_one_architecture_work_everywhere() -> None:
    text = (
        "package:\n  name: demo\n  version: 1\n  description: for ${{build.arch}}\n"
        "  dependencies: {runtime: ['x-${{build.arch}}']}\nvars: {v: 'v-${{build.goarch}}'}\n"
        "environment:\n  contents: {packages: ['p-${{vars.v}}']}\n  environment: {A: '${{targets.package.sub}}'}\n"
        "pipeline: [{uses: p}]\nsubpackages:\n  - name: sub\n    pipeline:\n"
        "      - runs: ${{targets.contextdir}} ${{targets.destdir}} ${{context.name}} ${{subpkg.name}}\n"
        "options: {o: {}}\n"
    )
    shown = compiled(text, {"p": "runs: ${{vars.v}} ${{options.o.enabled}} ${{host.triplet.gnu}}"}, "armv7")
    assert shown["package"]["description"] == "for armv7"
    assert shown["package"]["dependencies"]["runtime"] == ["x-armv7"]
    assert shown["environment"]["contents"]["packages"] == ["p-v-arm/v7"]
    assert shown["environment"]["environment"]["A"] == "/home/build/melange-out/sub"
    assert shown["pipeline"][0]["pipeline"][0]["runs"] == "v-arm/v7 false armv7l-unknown-linux-gnueabihf"
    out = "/home/build/melange-out"
    assert shown["subpackages"][0]["pipeline"][0]["runs"] == f"{out}/sub {out}/demo sub sub"


def test_options_change_variables_before_anything_is_replaced() -> None:
    text = (
        f"{HEAD}vars: {{a: plain}}\nvar-transforms: [{{from: '${{{{vars.a}}}}', match: a, replace: o, to: b}}]\n"
        "environment: {contents: {packages: [one, two, three]}}\npipeline: [{runs: '${{vars.a}} ${{vars.b}}'}]\n"
        "options:\n  f:\n    vars: {a: fancy}\n    environment: {contents: {packages: {add: [four], remove: [two]}}}\n"
    )
    shown = compiled(text, settings=EvaluationSettings(options=("f",)))
    assert shown["pipeline"][0]["runs"] == "fancy foncy"
    assert shown["environment"]["contents"]["packages"] == ["four", "one", "three"]
    assert shown["vars"] == {"a": "fancy"}


@pytest.mark.parametrize(
    ("body", "reason", "line", "column"),
    [
        ("pipeline: [{uses: nope}]", "unknown-pipeline", 5, 19),
        ("pipeline: [{uses: ../p}]", "bad-pipeline-name", 5, 19),
        ("pipeline: [{uses: /p}]", "bad-pipeline-name", 5, 19),
        ("pipeline:\n  - uses: p\n    with:\n      r: 1\n      aa: 2", "unknown-input", 9, 11),
        ("pipeline: [{uses: p}]", "missing-input", 5, 19),
        ("pipeline:\n  - uses: p\n    with: {r: 1, expected-sha256: 12}", "bad-digest", 7, 35),
        ("pipeline:\n  - uses: p\n    with: {r: 1, a: '${{inputs.b}}', b: '${{inputs.a}}'}", "input-cycle", 7, 21),
        ("pipeline:\n  - runs: |\n      x\n      echo ${{vars.q}}", "unknown-variable", 8, 12),
        ("pipeline: [{runs: '${{subpkg.name}}'}]", "unknown-variable", 5, 20),
        ("pipeline: [{if: 'a == b', runs: x}]", "bad-condition", 5, 17),
        ("subpackages: [{name: s, if: \"'a'\"}]", "bad-condition", 5, 29),
        ("pipeline: [{uses: loop}]", "pipeline-cycle", 0, 0),
        ("pipeline: [{uses: broken}]", "unknown-key", 0, 0),
        ("pipeline: [{uses: nothing}]", "empty-pipeline", 0, 0),
    ],
)
def test_refuses_with_the_place(body: str, reason: str, line: int, column: int) -> None:
    pipelines = {
        "p": "inputs: {r: {required: true}, a: {}, b: {}, expected-sha256: {}}\nruns: x\n",
        "loop": "pipeline: [{uses: loop2}]\n",
        "loop2": "pipeline: [{uses: loop}]\n",
        "broken": "pipelin: [{runs: x}]\n",
        "nothing": "name: nothing\n",
    }
    found = faults(f"{HEAD}{body}\n", pipelines)
    assert found[0][0] == reason
    if line:
        assert found[0][1:] == ("x.yaml", line, column)
    else:
        assert found[0][1].startswith(("lib/", "x.yaml"))


def test_all_faults_at_once() -> None:
    text = f"{HEAD}pipeline:\n  - uses: nope\n  - runs: ${{{{vars.q}}}} ${{{{ package.x }}}}\n  - if: x\n    runs: y\n"
    assert [fault[0] for fault in faults(text)] == ["unknown-variable", "unknown-variable"]
    text = f"{HEAD}pipeline:\n  - uses: nope\n  - runs: ${{{{inputs.q}}}}\n  - if: x\n    runs: y\n"
    assert [fault[0] for fault in faults(text)] == ["unknown-pipeline", "unknown-variable", "bad-condition"]


def test_unknown_keys_of_pipelines_are_remarks_unless_strict() -> None:
    found = resolved(f"{HEAD}pipeline: [{{uses: p}}]\n", {"p": "x-vendor: 1\npipeline: [{runs: x, description: d}]\n"})
    assert [str(note.origin) for note in found.notes] == ["lib/p.yaml:1:1"]


def test_strict_compiling_refuses_what_apk_cannot_read() -> None:
    text = "package:\n  name: a\n  version: 1-x\n  dependencies: {runtime: ['b=x y']}\n"
    strict = CompilationSettings(strict=True)
    assert [fault[0] for fault in faults(text, compilation=strict)] == ["bad-version", "bad-dependency"]
    assert len(resolved(text).notes) >= 2


def test_only_targeted_architectures() -> None:
    text = "package:\n  name: a\n  version: 1\n  target-architecture: [arm64]\n"
    assert faults(text)[0][0] == "not-targeted"
    assert compiled(text, arch="aarch64")


def test_fan_out_is_bounded() -> None:
    pipelines = {f"p{level}": "pipeline:\n" + f"  - uses: p{level + 1}\n" * 10 for level in range(9)} | {"p9": "runs: x\n"}
    assert faults(f"{HEAD}pipeline: [{{uses: p0}}]\n", pipelines)[0][0] == "too-many-steps"
    assert steps.MAXIMUM_STEPS <= 100_000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # 10^8 nodes by aliases, in fewer than 271 bytes.
        ("".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else 'x'] * 10)}]\n" for n in range(9)), "yaml-too-many-nodes"),
        (f"{HEAD}vars:\n  a: xxxxxxxxxxxxxxxx\n" + "".join(f"  {chr(98 + n)}: " + f"${{{{vars.{chr(97 + n)}}}}}" * 9 + "\n" for n in range(9)),  # noqa: E501
         "text-too-large"),
        (f"{HEAD}vars:\n" + "".join(f"  v{n}: ${{{{vars.v{n + 1}}}}}\n" for n in range(300)) + "  v300: x\n", "variable-chain"),
        (f"{HEAD}data:\n- name: d\n  items:\n" + "".join(f"    k{n}: v\n" for n in range(200))
         + "subpackages:\n" + "".join(f"- {{range: d, name: 's{n}-${{{{range.key}}}}'}}\n" for n in range(60)), "too-many-subpackages"),  # noqa: E501
        (f"{HEAD}pipeline:\n" + "".join("  " * n + "- pipeline:\n" for n in range(70)), "yaml-too-deep"),
    ],
)  # fmt: skip
def test_blow_ups_are_refused(text: str, reason: str) -> None:
    assert faults(text)[0][0] == reason


def test_depth_of_pipelines_is_bounded() -> None:
    nest = "".join("  " * n + ("- " if n else "") + "pipeline:\n" for n in range(25))
    pipelines = {f"p{n}": nest + "  " * 25 + f"- uses: p{n + 1}\n" for n in range(6)} | {"p6": "runs: x\n"}
    assert faults(f"{HEAD}pipeline: [{{uses: p0}}]\n", pipelines)[0][0] == "pipeline-too-deep"


def test_order_of_mappings_does_not_count() -> None:
    def text(order: int) -> str:
        pairs = ["a: '1'", "b: '${{vars.c}}'", "c: '3'"][::order]
        with_ = ["x: '${{vars.a}}'", "y: '${{inputs.x}}'"][::order]
        return f"{HEAD}vars: {{{', '.join(pairs)}}}\npipeline:\n  - uses: p\n    with: {{{', '.join(with_)}}}\n    environment: {{{', '.join(pairs)}}}\n"  # noqa: E501

    pipelines = {"p": "inputs: {y: {}, x: {}}\nruns: ${{inputs.x}}${{inputs.y}}${{vars.b}}\n"}
    one, other = compiled(text(1), pipelines), compiled(text(-1), pipelines)
    assert json.dumps(one) == json.dumps(other)
    assert one["pipeline"][0]["pipeline"][0]["runs"] == "113"


def test_embedded_form_has_no_comments_and_is_stable() -> None:
    found = resolved(f"{HEAD}pipeline:\n  - runs: |\n      # c\n      echo '# no' # c\n").definition
    once: dict[str, Any] = document(embedded(found))
    assert once["pipeline"][0]["runs"] == "echo '# no'\n"
    assert document(embedded(embedded(found))) == once


def test_a_plain_step_may_have_inputs_with_defaults() -> None:
    inputs = "inputs: {v: {default: '${{package.name}}'}}"
    assert compiled(f"{HEAD}pipeline: [{{runs: '${{{{inputs.v}}}}', {inputs}}}]\n")["pipeline"] == [{"runs": "demo"}]
    found = faults(f"{HEAD}pipeline: [{{runs: x, inputs: {{v: {{required: true}}}}}}]\n")
    assert [fault[0] for fault in found] == ["missing-input"]
