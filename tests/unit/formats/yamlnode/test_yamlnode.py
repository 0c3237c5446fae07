"""YAML as nodes: places, source text, limits, hostile documents; and the writer against PyYAML and our own reader."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector
from apkiln.core.limits import Limits
from apkiln.formats.yamlnode.compose import MAXIMUM_DEPTH, compose
from apkiln.formats.yamlnode.excerpt import excerpt, without_passwords
from apkiln.formats.yamlnode.nearest import distance, nearest
from apkiln.formats.yamlnode.node import Document, Mapping, Node, Scalar, Sequence
from apkiln.formats.yamlnode.reader import Fields, Value, parse_integer, root
from apkiln.formats.yamlnode.writer import write


def read(text: str | bytes) -> tuple[Document, FaultCollector]:
    faults = FaultCollector.empty()
    return compose(text if isinstance(text, bytes) else text.encode(), "f.yaml", faults), faults


def value(text: str) -> tuple[Value, FaultCollector]:
    document, faults = read(text)
    return root(document, faults), faults


def fields(text: str, *known: str) -> tuple[Fields, FaultCollector]:
    found, faults = value(text)
    return found.fields(known), faults


def reasons(faults: FaultCollector) -> list[str]:
    return [fault.reason for fault in faults.faults]


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(item) for key, item in node.items}


def test_scalars_keep_their_source_text() -> None:
    document, _ = read("a: 1.10\nb: 00303\nc: 0o755\nd: yes\ne: 2024-01-01\nf: '1'\ng: 1_000\n")
    assert plain(document.root) == {
        "a": "1.10", "b": "00303", "c": "0o755", "d": "yes", "e": "2024-01-01", "f": "1", "g": "1_000"
    }  # fmt: skip


def test_places_are_those_of_the_text() -> None:
    document, _ = read("ä: [ü, x]\nlist:\n  - {k: v}\n")
    assert isinstance(document.root, Mapping)
    (_, first), (key, second) = document.root.items
    assert isinstance(first, Sequence)
    assert isinstance(second, Sequence)
    assert [(item.line, item.column) for item in first.items] == [(1, 5), (1, 8)]
    assert (key.line, key.column, key.width) == (2, 1, 4)
    assert (second.items[0].line, second.items[0].column) == (3, 5)
    assert str(document.origin(key)) == "f.yaml:2:1"


def test_an_empty_document_is_null() -> None:
    for text in ("", "# nothing\n", "---\n", "\ufeff"):
        found, faults = value(text)
        assert found.is_null
        assert found.fields(("a",)).found == {}
        assert faults.faults == []


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        (b"a: [", "bad-yaml", (2, 1)),
        (b"a: b: c\n", "bad-yaml", (1, 5)),
        (b"a: 1\n---\nb: 2\n", "several-documents", (2, 1)),
        (b"a: \xff\n", "not-utf-8", (1, 0)),
        (b"a: \x01\n", "bad-yaml", (1, 4)),
        (b"x: 1\na: *b\n", "yaml-alias", (2, 4)),
        (b"a: &a [*a]\n", "yaml-alias", (1, 8)),
        (b"a: &a {k: *a}\n", "yaml-alias", (1, 11)),
        (b"[" * (MAXIMUM_DEPTH + 1), "yaml-too-deep", (1, MAXIMUM_DEPTH + 1)),
        (b"[" * 200_000, "bad-yaml", None),
        (b"{a: " * 200_000, "yaml-too-deep", None),
        (b"\tkey: x", "bad-yaml", (1, 1)),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(text: bytes, reason: str, place: tuple[int, int] | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert caught.value.reason == reason
    if place is not None:
        assert (caught.value.origin.line, caught.value.origin.column) == place


def test_a_billion_laughs_are_counted_not_told() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigurationError) as caught:
        read("\n".join(lines))
    assert caught.value.reason == "yaml-too-many-nodes"


def test_size_is_limited() -> None:
    with pytest.raises(ConfigurationError) as caught:
        compose(b"a: b\n", "f", FaultCollector.empty(), Limits(document=4))
    assert caught.value.reason == "document-too-large"


def test_duplicate_keys_and_odd_keys_are_all_reported() -> None:
    document, faults = read("a: 1\nb: {c: 1, c: 2}\na: 2\n? [x]\n: 3\n")
    assert reasons(faults) == ["duplicate-key", "duplicate-key", "yaml-key"]
    assert [(fault.origin.line, fault.origin.column) for fault in faults.faults] == [(2, 11), (3, 1), (4, 3)]
    assert plain(document.root) == {"a": "1", "b": {"c": "1"}}


def test_foreign_tags_are_reported() -> None:
    assert reasons(read("a: !!python/object:os.system x\n")[1]) == ["yaml-tag"]
    assert reasons(read("a: !local [x]\n")[1]) == ["yaml-tag"]
    assert reasons(read("a: !!str 1\nb: !!map {}\n")[1]) == []


def test_anchors_and_merge_keys_are_understood() -> None:
    document, faults = read("base: &b {x: 1, y: 2}\nmore: &m {z: 3}\none: {<<: *b, y: 9}\ntwo:\n  <<: [*m, *b]\n  w: 0\n")
    assert faults.faults == []
    found = plain(document.root)
    assert found["one"] == {"y": "9", "x": "1"}
    assert found["two"] == {"w": "0", "z": "3", "x": "1", "y": "2"}
    assert reasons(read("a: {<<: 3}\n")[1]) == ["yaml-merge"]


def test_unknown_keys_name_the_nearest_one() -> None:
    _, faults = fields("contants: 1\nzzzzzz: 1\nruntime-repositories: 1\n", "contents", "runtime_repositories")
    assert reasons(faults) == ["unknown-key"] * 3
    assert [fault.hint for fault in faults.faults] == ["did you mean `contents`?", "", "did you mean `runtime_repositories`?"]
    assert faults.faults[0].details == ("   1 | contants: 1", "     | ^^^^^^^^")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("12", 12),
        ("+3", 3),
        ("-3", -3),
        ("0o755", 0o755),
        ("0755", 0o755),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("", 0),
    ],
)
def test_integers(text: str, number: int) -> None:
    found, faults = fields(f"a: {text}\n", "a")
    assert found.integer("a") == number
    assert faults.faults == []


@given(st.integers())
def test_integers_of_all_bases_mean_the_same(number: int) -> None:
    digits = abs(number)
    sign = "-" if number < 0 else ""
    for form in (f"{digits}", f"0x{digits:x}", f"0o{digits:o}", f"0{digits:o}", f"0b{digits:b}"):
        assert parse_integer(sign + form) == number


@pytest.mark.parametrize("text", ["1.5", "'1'", "one", "[1]", "{a: 1}", "08", "1e3", "9" * 5000, "0o9", "--1", "0x"])
def test_what_is_no_integer_is_a_fault(text: str) -> None:
    found, faults = fields(f"a: {text}\n", "a")
    assert found.integer("a") == 0
    assert reasons(faults) == ["wrong-type"]


@pytest.mark.parametrize(
    ("text", "fault"), [("0o7777", []), ("0o10000", ["bad-mode"]), ("-1", ["bad-mode"]), ("rwx", ["wrong-type"])]
)
def test_modes(text: str, fault: list[str]) -> None:
    found, faults = fields(f"a: {text}\n", "a")
    known = found.get("a")
    assert known is not None
    known.mode()
    assert reasons(faults) == fault


def test_truth_values() -> None:
    for word, truth in (
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("false", False),
        ("NO", False),
        ("off", False),
        ("~", False),
    ):
        found, faults = fields(f"a: {word}\n", "a")
        assert found.boolean("a") is truth
        assert faults.faults == []
    for word in ("1", "'true'", "maybe", "[true]"):
        found, faults = fields(f"a: {word}\n", "a")
        assert found.boolean("a") is False
        assert reasons(faults) == ["wrong-type"]


def test_wrong_kinds_are_faults_and_harmless() -> None:
    found, faults = fields(
        "text: [1]\nlist: x\nmap: [x]\npairs: {a: [1]}\nchoice: c\nnull: null\n", *["text", "list", "map", "pairs", "choice"]
    )
    assert found.text("text") == ""
    assert found.items("list") == ()
    assert found.pairs("map") == ()
    assert found.pairs("pairs") == (("a", ""),)
    assert found.choice("choice", ("a", "b")) == ""
    assert reasons(faults) == ["unknown-key", "wrong-type", "wrong-type", "wrong-type", "wrong-type", "unknown-value"]


def test_null_is_not_given() -> None:
    found, faults = fields("a: null\nb: ~\nc:\nd: ''\n", *"abcd")
    assert [found.get(key) is None for key in "abcd"] == [True, True, True, False]
    assert found.texts("a") == ()
    assert faults.faults == []


def test_messages_and_excerpts_hide_passwords() -> None:
    _, faults = fields("a:\n  - https://user:hunter2@host/x\n", "b")
    found, more = fields("a: https://user:hunter2@host/x\n", "a")
    found.integer("a")
    shown = "".join(fault.message + "".join(fault.details) for fault in [*faults.faults, *more.faults])
    assert "hunter2" not in shown
    assert without_passwords("x https://token@host/p y") == "x https://*****@host/p y"


def test_an_excerpt_of_a_long_line_is_cut_around_the_place() -> None:
    text = "x" * 500 + "HERE" + "y" * 500
    line, marker = excerpt(text, 1, 501, 4)
    assert len(line) < 200
    start = marker.index("^")
    assert line[start : start + 4] == "HERE"
    assert excerpt("a", 5, 1) == ()
    assert excerpt("a\x1b[31mb", 1, 1)[0] == "   1 | a?[31mb"


@given(st.text(alphabet="abc-_", max_size=6), st.text(alphabet="abc-_", max_size=6), st.text(alphabet="abc-_", max_size=6))
def test_distance_is_symmetric_and_zero_for_equals(one: str, other: str, third: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) <= max(len(one), len(other))


def test_nearest_prefers_the_fewest_changes() -> None:
    assert nearest("evironment", ("entrypoint", "environment")) == "environment"
    assert nearest("work_dir", ("work-dir",)) == "work-dir"
    assert nearest("qqqq", ("contents",)) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(data)
    except ApkilnError as error:
        assert error.origin.source == "f.yaml"


PRINTABLE = st.text(st.characters(codec="utf-8"), max_size=20)
TREES = st.recursive(
    st.one_of(PRINTABLE, st.integers(-(10**6), 10**6), st.booleans(), st.text(alphabet="ab \n#:-'\"|", max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(PRINTABLE, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(PRINTABLE, TREES, max_size=4))
def test_what_is_written_reads_back_in_pyyaml(tree: dict[str, Any]) -> None:
    assert yaml.safe_load(write(tree)) == tree


def texts(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: texts(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [texts(item) for item in tree]
    return str(tree).lower() if isinstance(tree, bool) else str(tree)


@given(st.dictionaries(PRINTABLE.filter(lambda key: key != "<<"), TREES, max_size=4))
def test_what_is_written_reads_back_here(tree: dict[str, Any]) -> None:
    document, faults = read(write(tree))
    assert faults.faults == []
    assert plain(document.root) == texts(tree)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("plain", "plain"), ("1.10", '"1.10"'), ("yes", '"yes"'), ("", '""'), ("@x y", "'@x y'"), ("a: b", "'a: b'"),
        ("a #b", "'a #b'"), ("-x", "-x"), ("- x", "'- x'"), ("it's: so", "'it''s: so'"), ("ü", "ü"),
        ("\x07", '"\\a"'), ("null", '"null"'),
    ],
)  # fmt: skip
def test_texts_are_quoted_where_they_look_like_something_else(text: str, form: str) -> None:
    assert write({"k": text}) == f"k: {form}\n"
