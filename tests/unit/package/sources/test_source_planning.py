"""Sources that definitions declare: which steps count, what is refused, and with which place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector, FaultGroup
from apkiln.core.origin import Origin
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of, shelf
from apkiln.package.sources.cherry_picks import CherryPick, parse_cherry_pick, parse_cherry_picks
from apkiln.package.sources.plan import FetchSource, GitSource, SourcePlan, file_name
from apkiln.package.sources.planning import plan_sources
from apkiln.system.folder import MemoryFolder

SHA256, SHA512, COMMIT = "ab" * 32, "cd" * 64, "12" * 20
FETCH = {"uses": "fetch", "with": {"uri": "https://a.example/x-1.tar.gz?y=/z", "expected-sha256": SHA256}}
GIT = {"uses": "git-checkout", "with": {"repository": "https://a.example/r", "tag": "v1", "expected-commit": COMMIT}}


def plan(library: PipelineLibrary | None = None, *, tests: bool = False, **parts: Any) -> SourcePlan:
    definition = {"package": {"name": "demo", "version": "1.2.3", "epoch": 0}, **parts}
    loaded = load(json.dumps(definition).encode(), "demo.yaml")
    resolved = resolve(loaded, Arch.parse("x86_64"), library or library_of([]))
    return plan_sources(resolved.definition, tests=tests)


def one(**given: object) -> Any:
    given = {name.replace("_", "-"): value for name, value in given.items()}
    name = "fetch" if "uri" in given else "git-checkout"
    return plan(pipeline=[{"uses": name, "with": given}]).sources[0]


def reasons(**given: object) -> list[str]:
    with pytest.raises(ApkilnError) as caught:
        one(**given)
    faults = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
    assert all(fault.origin.source == "demo.yaml" and fault.origin.line for fault in faults)
    return [fault.reason for fault in faults]


def test_every_step_that_runs_counts_and_no_other() -> None:
    library = PipelineLibrary(
        (shelf("mine", MemoryFolder({"both.yaml": json.dumps({"pipeline": [FETCH, GIT]}).encode()})), *library_of([]).shelves)
    )
    found = plan(
        library,
        pipeline=[FETCH, {"if": "${{build.arch}} == 'aarch64'", **GIT}, {"uses": "both"}],
        subpackages=[
            {"name": "demo-a", "if": "'1' == '2'", "pipeline": [FETCH]},
            {"name": "demo-b", "pipeline": [{"pipeline": [GIT]}], "test": {"pipeline": [FETCH]}},
        ],
        test={"pipeline": [GIT]},
    )  # fmt: skip
    assert [(source.step, source.package) for source in found.sources] == [
        ("pipeline[0]", "demo"),
        ("pipeline[2].pipeline[0]", "demo"),
        ("pipeline[2].pipeline[1]", "demo"),
        ("subpackages[0].pipeline[0].pipeline[0]", "demo-b"),
    ]
    assert len(found.fetches) == 2 and len(found.checkouts) == 2
    tests = plan(pipeline=[FETCH], test={"pipeline": [GIT]}, tests=True)
    assert [source.step for source in tests.sources] == ["pipeline[0]", "test.pipeline[0]"]


def test_a_file() -> None:
    found = one(uri="https://a.example/p/x-1.tar.gz?y=/z#f", expected_sha256=SHA256.upper(), expected_sha512=SHA512)
    assert isinstance(found, FetchSource)
    assert [str(digest) for digest in found.digests] == [f"sha256:{SHA256}", f"sha512:{SHA512}"]
    assert found.cache_name == f"sha256:{SHA256}" and found.file_name == "x-1.tar.gz"
    assert (found.purl_name, found.purl_version, found.extract, found.strip_components) == ("demo", "1.2.3", True, 1)
    assert one(uri="https://a.example/x", expected_sha512=SHA512).cache_name == f"sha512:{SHA512}"
    unpinned = plan(pipeline=[{"uses": "fetch", "with": {"uri": "https://a.example/x", "expected-none": "y"}}])
    assert unpinned.unpinned == unpinned.sources and unpinned.fetches[0].cache_name.startswith("unpinned:")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://h/a/b.tgz", "b.tgz"),
        ("https://h/a/b.tgz?x=1/2", "b.tgz"),
        ("https://h/", "source"),
        ("https://h", "source"),
        ("https://h/..", "source"),
        ("https://h/a/b#c/d", "b"),
    ],
)
def test_names_of_files(uri: str, name: str) -> None:
    assert file_name(uri) == name


def test_a_checkout() -> None:
    found = one(
        repository="https://a.example/r", tag="v1", expected_commit=COMMIT.upper(), recurse_submodules="true",
        cherry_picks=f"\n# none\nstable/2.x/{COMMIT}: a fix # really\n", sparse_paths="a\n b", destination="src",
    )  # fmt: skip
    assert isinstance(found, GitSource)
    assert (found.tag, found.commit, found.depth, found.submodules) == ("v1", COMMIT, 1, True)
    assert found.picks == (CherryPick(COMMIT, "a fix", "stable/2.x"),)
    assert found.sparse_paths == ("a", "b") and found.destination == "src" and found.cache_name == f"git:{COMMIT}"


@pytest.mark.parametrize(
    ("given", "depth"),
    [
        ({"branch": "b", "expected_commit": COMMIT}, -1),
        ({"branch": "b", "expected_commit": COMMIT, "expected_commit_is_branch_tip": "true"}, 1),
        ({"branch": "b"}, 1),
        ({"tag": "v1", "expected_commit": COMMIT}, 1),
        ({"tag": "v1", "depth": "7"}, 7),
        ({"tag": "v1", "depth": "-1"}, -1),
    ],
)
def test_how_much_history(given: dict[str, str], depth: int) -> None:
    assert one(repository="https://a.example/r", **given).depth == depth


def test_paths_are_left_to_the_step() -> None:
    found = plan(pipeline=[
        {"uses": "fetch", "with": {"uri": "file:///srv/x.tar", "expected-sha256": SHA256}},
        {"uses": "git-checkout", "with": {"repository": "/home/build/r", "tag": "v1"}},
        {"uses": "git-checkout", "with": {"repository": "git@a.example:r.git", "tag": "v1", "expected-commit": COMMIT}},
    ])  # fmt: skip
    assert [source.step for source in found.in_guest] == ["pipeline[0]", "pipeline[1]"]
    assert [source.step for source in found.sources] == ["pipeline[2]"]


REPOSITORY = "https://a.example/r"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"uri": "https://a.example/x"}, ["missing-checksum"]),
        ({"uri": "https://a.example/x\nyz", "expected_sha256": SHA256}, ["bad-value"]),
        ({"uri": "--help", "expected_sha256": SHA256}, ["bad-value"]),
        ({"uri": "https://a.example/x", "expected_sha256": SHA256, "strip_components": "x"}, ["bad-value"]),
        ({"repository": REPOSITORY, "tag": "v", "branch": "b"}, ["exclusive-inputs"]),
        ({"repository": REPOSITORY, "tag": "v", "expected_commit_is_branch_tip": "true"}, ["exclusive-inputs"]),
        ({"repository": REPOSITORY, "tag": "-v"}, ["bad-value"]),
        ({"repository": REPOSITORY, "tag": "v", "depth": "0"}, ["bad-value"]),
        ({"repository": REPOSITORY, "tag": "v", "recurse_submodules": "yes"}, ["bad-value"]),
        ({"repository": REPOSITORY, "branch": "b", "cherry_picks": f"{COMMIT}\nx/y: z"}, ["bad-cherry-pick", "bad-cherry-pick"]),
        ({"repository": "--upload-pack=x", "tag": "v", "depth": "q"}, ["bad-value", "bad-value"]),
    ],
)
def test_refuses(given: dict[str, str], wanted: list[str]) -> None:
    assert reasons(**given) == wanted


class TestCherryPicks:
    @pytest.mark.parametrize("line", ["", "  ", "# a: b", "   # x"])
    def test_nothing(self, line: str) -> None:
        assert parse_cherry_pick(line) is None

    @pytest.mark.parametrize(
        ("line", "word"),
        [
            (COMMIT, "comment"),
            (f"{COMMIT}:", "comment"),
            (f"{COMMIT}: # why", "comment"),
            ("main/xyz: a", "no commit"),
            ("main/: a", "no commit"),
            (f"-x/{COMMIT}: a", "no branch"),
            (f"a..b/{COMMIT}: a", "no branch"),
            (f"a b/{COMMIT}: a", "no branch"),
        ],
    )
    def test_refused_with_the_wanted_form(self, line: str, word: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            parse_cherry_pick(line, Origin("f.yaml", 3, 4))
        assert caught.value.reason == "bad-cherry-pick" and word in caught.value.message
        assert "[branch/]commit: comment" in caught.value.hint and caught.value.origin.line == 3

    @given(
        st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), max_size=4).map("/".join),
        st.from_regex(r"[0-9a-f]{7,40}", fullmatch=True),
        st.from_regex(r"[a-z][a-z :/]{0,20}[a-z]", fullmatch=True),
    )
    def test_parts_come_back(self, branch: str, commit: str, comment: str) -> None:
        line = f"  {branch}/{commit}: {comment}" if branch else f"{commit}:{comment}"
        assert parse_cherry_pick(line) == CherryPick(commit, comment, branch)

    @given(st.text(max_size=80))
    def test_any_text_gives_a_pick_or_one_kind_of_fault(self, text: str) -> None:
        faults = FaultCollector.empty()
        parse_cherry_picks(text, Origin("f", 1, 1), faults)
        assert {fault.reason for fault in faults.faults} <= {"bad-cherry-pick"}
