"""The shape of melange's `compile`, as seen of the program: objects that are always there, names of options, durations."""

from __future__ import annotations

from tests.sample_definitions import HEAD, resolved

from apkiln.package.definition.melange_rendering import melange_document


def test_a_small_definition_has_the_objects_that_melange_always_prints() -> None:
    shown = melange_document(resolved(HEAD).definition)
    assert {key: shown["package"][key] for key in ("dependencies", "checks", "cpe", "resources")} == {
        "dependencies": {}, "checks": {}, "cpe": {}, "resources": {},
    }  # fmt: skip
    assert (shown["capabilities"], shown["update"], shown["environment"]["entrypoint"]) == ({}, {"enabled": False}, {})
    assert "test" not in shown
    assert "pipeline" not in shown


def test_durations_options_and_scripts_are_written_as_melange_writes_them() -> None:
    text = (
        HEAD.replace("\n", "\n  timeout: 1m30s\n", 1)
        + "options: {x: {environment: {contents: {packages: {add: [a]}}}}, y: {vars: {v: '1'}}}\n"
        + 'pipeline: [{runs: x, pipeline: [{runs: "y\\n"}]}]\n'
        + "subpackages: [{name: sub, scriptlets: {pre-install: s}, test: {}}]\ntest: {pipeline: [{runs: z}]}\n"
    )
    shown = melange_document(resolved(text).definition)
    assert shown["package"]["timeout"] == 90_000_000_000
    nothing = {"Vars": None, "Environment": {"Contents": {"Packages": {"Add": None, "Remove": None}}}}
    assert shown["options"]["x"] == nothing | {"Environment": {"Contents": {"Packages": {"Add": ["a"], "Remove": None}}}}
    assert shown["options"]["y"] == nothing | {"Vars": {"v": "1"}}
    assert shown["pipeline"] == [{"runs": "x\n", "pipeline": [{"runs": "y\n"}]}]
    (sub,) = shown["subpackages"]
    assert (sub["dependencies"], sub["checks"], sub["scriptlets"]) == ({}, {}, {"trigger": {}, "pre-install": "s"})
    assert sub["test"] == {"environment": {"contents": {"packages": ["sub"]}, "entrypoint": {}, "accounts": {}}, "pipeline": None}
    assert shown["test"]["pipeline"] == [{"runs": "z\n"}]
