"""Reading definitions: source text, all faults with their places, every key there and back, the published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sample_definitions import HEAD, compiled, faults

from apkiln.core import canonical_json
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.package.compilation.resolving import parse
from apkiln.package.definition import forms, keys
from apkiln.package.definition.published_schema import json_schema
from apkiln.package.definition.rendering import document, render_yaml

ROOT = Path(__file__).resolve().parents[4]

SPECIAL: dict[tuple[str, str], Any] = {
    ("setcap", "add"): {"cap_net_raw": "+ep"},
    ("capabilities", "add"): ["CAP_NET_ADMIN"],
    ("capabilities", "drop"): ["CAP_CHOWN"],
    ("package", "timeout"): "1h30m",
    ("copyright", "license-path"): "LICENSE",
    ("release-monitor", "identifier"): 7127,
}
SKIPPED = {("step", "uses"), ("step", "with"), ("cpe", "sw-edition"), ("cpe", "target-sw"), ("cpe", "target-hw")}


def example(section: str, depth: int = 0) -> dict[str, Any]:
    """A mapping with every key of a section."""
    shown: dict[str, Any] = {}
    for key in keys.SECTIONS[section]:
        if (section, key.name) in SKIPPED or key.kind == "ignored" or (depth > 7 and ":" in key.kind):
            continue
        if section == "update" and key.name in keys.MONITORS[1:]:
            continue
        shown[key.name] = SPECIAL.get((section, key.name), _value(section, key, depth))
    return shown


def _value(section: str, key: keys.Key, depth: int) -> Any:
    form, _, inner = key.kind.partition(":")
    if key.choices:
        return key.choices[0]
    if form == "section":
        return example(inner, depth + 1)
    if form == "list":
        return [example(inner, depth + 1)]
    if form == "map":
        return {"one": example(inner, depth + 1)}
    values: dict[str, Any] = {"boolean": True, "integer": 3, "texts": ["t1", "t2"], "pairs": {"a": "1", "b": "2"}}
    return values.get(form, "cpevalue" if section == "cpe" else f"text-{key.name}")


def test_every_key_is_read_and_shown_again() -> None:
    whole = example("")
    definition, _ = parse(json.dumps(whole).encode(), "x.yaml")
    assert document(definition) == whole
    again, _ = parse(render_yaml(definition).encode(), "x.yaml")
    assert document(again) == whole


@pytest.mark.parametrize("kind", keys.MONITORS)
def test_monitors_are_read_and_shown_again(kind: str) -> None:
    whole = {"package": {"name": "a", "version": "1", "epoch": 0}, "update": {"enabled": True, kind: example(kind)}}
    assert document(parse(json.dumps(whole).encode(), "x.yaml")[0]) == whole


def test_published_schema_is_the_table() -> None:
    published = (ROOT / "docs" / "schema" / "package.schema.json").read_bytes()
    assert published == canonical_json.encode_pretty(json_schema())


@pytest.mark.parametrize("text", ["1.10", "2301", "true", "0x10", "2024-01-02", "1_000", "00303", "1e3", "~x"])
def test_scalars_keep_their_source_text(text: str) -> None:
    definition, _ = parse(f"package:\n  name: a\n  version: {text}\nvars:\n  v: {text}\n".encode(), "x.yaml")
    assert definition.package.version.text == text
    assert definition.variables[0][1].text == text


def test_null_is_nothing() -> None:
    text = "package:\n  name: a\n  version: 1\n  description:\n  epoch: ~\n  dependencies: null\npipeline:\nvars:\n  a: null\n"
    text += "environment:\n  contents:\n    packages: [a, null, b]\n"
    definition, _ = parse(text.encode(), "x.yaml")
    assert document(definition) == {
        "package": {"name": "a", "version": "1", "epoch": 0},
        "environment": {"contents": {"packages": ["a", "b"]}},
        "vars": {"a": ""},
    }


def test_all_faults_at_once_with_hints() -> None:
    text = (
        "package:\n  name: a\n  version: [1]\n  epok: 1\n  epoch: x\n  cpe: {vendor: v}\npipline: []\nupdate: {enabled: maybe}\n"
    )
    with pytest.raises(FaultGroup) as caught:
        parse(text.encode(), "x.yaml")
    found = [(fault.reason, fault.origin.line, fault.origin.column, fault.hint) for fault in caught.value.faults]
    assert ("unknown-key", 4, 3, "did you mean `epoch`?") in found
    assert ("unknown-key", 7, 1, "did you mean `pipeline`?") in found
    assert {reason for reason, *_ in found} == {"unknown-key", "wrong-type", "missing-key"}
    assert {line for _, line, *_ in found} >= {3, 4, 5, 6, 7, 8}
    assert all(fault.details for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("body", "reason", "line"),
    [
        ("pipeline:\n- uses: a\n  runs: b\n", "useless-key", 7),
        ("pipeline:\n- with: {a: b}\n", "useless-key", 6),
        ("data: [{name: a}, {name: a}]\n", "duplicate-name", 5),
        ("subpackages: [{name: demo}]\n", "duplicate-name", 5),
        ("subpackages: [{name: -x}]\n", "bad-package-name", 5),
        ("subpackages: [{name: x, range: r}]\n", "undefined-range", 5),
        ("subpackages: [{name: x, dependencies: {provider-priority: p}}]\n", "bad-priority", 5),
        ('subpackages: [{name: x, description: "a\\nb"}]\n', "line-feed", 5),
        ("update: {enabled: true, git: {}, oci: {}}\n", "several-monitors", 5),
        ("update: {enabled: true, release-monitor: {identifier: x}}\n", "bad-value", 5),
        ("var-transforms: [{from: a, match: '(', replace: b, to: c}]\n", "bad-regular-expression", 5),
        ("vars:\n  a: ${{vars.b}}\n  b: ${{vars.a}}\n", "variable-cycle", 6),
        ("capabilities: {add: [net_admin]}\n", "bad-value", 5),
        ("subpackages: [{name: x, setcap: [{path: p, add: {cap_nope: +e}, reason: r}]}]\n", "bad-value", 5),
        ("environment: {content: {}}\n", "unknown-key", 5),
        ("---\na: b\n", "several-documents", 5),
    ],
)
def test_refuses(body: str, reason: str, line: int) -> None:
    found = faults(HEAD + body)
    assert [(one[0], one[2]) for one in found] == [(reason, line)]


def test_licence_paths_stay_inside() -> None:
    for path in ("/etc/passwd", "../x", "a/../../x"):
        text = f"package:\n  name: a\n  version: 1\n  copyright: [{{license: MIT, license-path: {path}}}]\n"
        assert faults(text)[0][0] == "path-outside"


def test_an_empty_definition_is_refused() -> None:
    with pytest.raises(ApkilnError) as caught:
        parse(b"# nothing\n", "x.yaml")
    assert caught.value.origin.source == "x.yaml"


@pytest.mark.parametrize(
    ("text", "wanted"), [("1h30m", 5400 * 10**9), ("0", 0), ("-1.5s", -1_500_000_000), ("100ms", 10**8), ("", 0)]
)
def test_durations(text: str, wanted: int) -> None:
    assert not forms.duration(text)
    assert forms.nanoseconds(text) == wanted


@pytest.mark.parametrize("text", ["5", "1d", "h", "1h 2m", "1.h.", "--1s"])
def test_what_is_no_duration(text: str) -> None:
    assert forms.duration(text)


@pytest.mark.parametrize(
    "body", ["pipeline: [{runs: x, with: {}}]\n", "pipeline: [{runs: x, with: }]\n", "pipeline: [~, runs: x]\n"]
)
def test_what_is_empty_counts_as_absent(body: str) -> None:
    assert compiled(HEAD + body)["pipeline"] == [{"runs": "x"}]
