"""Newer versions: filters and rewriting of what upstream offers, and who is asked how."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.cli import dispatch
from apkiln.core.errors import ApkilnError, ConfigurationError
from apkiln.formats.apk.version import compare
from apkiln.package.compilation.resolving import load
from apkiln.package.definition.model import PackageDefinition, Schedule
from apkiln.package.updates.asking import NetworkUpstreams, RecordedUpstreams, offers_of
from apkiln.package.updates.checking import Checked, CheckSettings, check
from apkiln.package.updates.choosing import Choice, Offer, choose
from apkiln.package.updates.schedule import is_due, read_state, write_state
from apkiln.system.git import MemoryGit, MemoryRepository, RemoteReference
from apkiln.system.http import HttpPolicy
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, Resource, memory_transfer
from apkiln.system.memory_store import MemoryStore

DAY = 86_400
NOW = CheckSettings(now=1_700_000_000)
COMMIT = "12" * 20


def definition(update: str, version: str = "1.2") -> PackageDefinition:
    text = f"""package: {{name: a, version: {version}, epoch: 0}}
pipeline:
- pipeline:
  - uses: git-checkout
    with: {{repository: 'https://h.example/a', tag: 'v${{{{package.version}}}}'}}
update: {{enabled: true, {update}}}
"""
    return load(text.encode(), "a.yaml").evaluated.definition


def chosen(update: str, *tags: str, current: str = "1.2") -> Choice:
    found = definition(update, current)
    assert found.update is not None
    return choose(found.update, found.update.monitors[0], current, [Offer(tag) for tag in tags])


def newest(update: str, *tags: str, current: str = "1.2") -> str:
    choice = chosen(update, *tags, current=current)
    return "" if choice.chosen is None else f"{choice.chosen.version} {choice.chosen.offer.tag}"


class TestChoosing:
    @pytest.mark.parametrize(
        ("update", "tags", "wanted"),
        [
            ("git: {}", ["1.1", "1.3", "1.10", "1.9"], "1.10 1.10"),
            ("git: {}", ["1.2", "1.1"], ""),
            ("git: {}", [], ""),
            ("git: {strip-prefix: v}", ["v1.3", "other", "2.0"], "2.0 2.0"),
            ("git: {strip-prefix: v, tag-filter-prefix: v}", ["v1.3", "2.0"], "1.3 v1.3"),
            ("git: {tag-filter-contains: final, strip-suffix: -final}", ["1.3-final", "1.4"], "1.3 1.3-final"),
            ("github: {identifier: a/b, tag-filter: r, strip-prefix: r}", ["r1.3", "1.4"], "1.3 r1.3"),
            ("git: {}, version-separator: _", ["1_3", "1_2_9"], "1.3 1_3"),
            ("git: {}, ignore-regex-patterns: ['^1\\.3', beta]", ["1.3", "1.3.1", "1.2.5", "1.4beta"], "1.2.5 1.2.5"),
            ("git: {strip-prefix: v}, ignore-regex-patterns: ['^2']", ["v2.0", "v1.3"], "1.3 v1.3"),
            ("git: {}, version-transform: [{match: '^(.+)-(\\d+)$', replace: '$1.$2'}]", ["1.2-7"], "1.2.7 1.2-7"),
            ("git: {}, version-transform: [{match: '-', replace: '.'}, {match: '^', replace: '3.'}]", ["1-2"], "3.1.2 1-2"),
            ("git: {}", ["1.3_rc1", "1.2.1"], "1.2.1 1.2.1"),
            ("git: {}, enable-prerelease-tags: true", ["1.3_rc1", "1.2.1"], "1.3_rc1 1.3_rc1"),
            ("git: {}, require-sequential: true", ["1.5", "1.3", "1.4"], "1.3 1.3"),
            ("git: {}", ["99999999999999999999", "1.3"], "1.3 1.3"),
        ],
    )
    def test_rules(self, update: str, tags: list[str], wanted: str) -> None:
        assert newest(update, *tags) == wanted

    def test_what_is_no_version_is_told_but_early_ones_are_not(self) -> None:
        choice = chosen("git: {}", "nightly", "1.3-rc1", "release", "2.0-beta.1")
        assert choice.chosen is None and choice.unreadable == ("release",)

    def test_upstreams_word_on_early_versions_counts(self) -> None:
        found = definition("github: {identifier: a/b}")
        assert found.update is not None
        offers = [Offer("2.0", prerelease=True), Offer("1.3")]
        choice = choose(found.update, found.update.monitors[0], "1.2", offers)
        assert choice.chosen is not None and choice.chosen.version == "1.3"

    def test_bad_expressions_have_a_place(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            chosen("git: {}, ignore-regex-patterns: ['(']", "1.3")
        assert caught.value.reason == "bad-regular-expression" and caught.value.origin.line

    @given(st.lists(st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,2}){0,2}", fullmatch=True), max_size=10))
    def test_order_of_offers_does_not_matter(self, tags: list[str]) -> None:
        one = chosen("git: {strip-prefix: v}", *tags, current="5")
        assert chosen("git: {strip-prefix: v}", *reversed(tags), current="5") == one
        assert all(compare(version.version, "5") > 0 for version in one.newer)
        assert one.chosen is None or all(compare(one.chosen.version, version.version) >= 0 for version in one.newer)


class TestSchedule:
    @pytest.mark.parametrize(
        ("period", "age", "due"),
        [("daily", DAY, True), ("daily", DAY - 1800, True), ("daily", DAY // 2, False), ("weekly", 6 * DAY, False),
         ("weekly", 7 * DAY, True), ("monthly", 29 * DAY, False), ("monthly", 30 * DAY, True), ("weekly", -5, True)],
    )  # fmt: skip
    def test_periods(self, period: str, age: int, due: bool) -> None:
        assert is_due(Schedule(period), 10**9, 10**9 + age) is due
        assert is_due(None, 10**9, 10**9 + age) and is_due(Schedule(period), None, 10**9)

    def test_state_comes_back(self) -> None:
        assert read_state(write_state({"b": 2, "a": 1})) == {"a": 1, "b": 2}
        for content in (b"", b"[]", b'{"a": "x"}'):
            with pytest.raises(ApkilnError) as caught:
                read_state(content)
            assert caught.value.reason == "bad-update-state"


RELEASES = "https://api.github.com/repos/a/b/releases?per_page=100"


class Bench:
    def __init__(self) -> None:
        self.files = MemoryFiles()
        self.server = MemoryServer()
        tags = {"refs/tags/v1.3": ("9" * 40, COMMIT), "refs/tags/v1.2": (COMMIT, COMMIT)}
        repositories = {"https://h.example/a": MemoryRepository(tags, {}), "https://github.com/a/b": MemoryRepository(tags, {})}
        self.git = MemoryGit(repositories, self.files)
        transfer = memory_transfer(self.server, policy=HttpPolicy(retries=0))
        self.network = NetworkUpstreams(transfer, self.git, MemoryStore(), lambda image: (f"{image}-tag", "1.3"))

    def check(self, update: str, last: int | None = None) -> Checked:
        return check(definition(update), self.network, last, NOW)


class TestAsking:
    def test_git_takes_the_first_checkout_and_knows_the_commit(self) -> None:
        found = Bench().check("git: {strip-prefix: v}")
        assert found.choice is not None and found.choice.chosen is not None
        assert found.choice.chosen.version == "1.3" and found.choice.chosen.offer.commit == COMMIT

    def test_tags_at_github_need_no_api(self) -> None:
        bench = Bench()
        assert bench.check("github: {identifier: a/b, use-tag: true, strip-prefix: v}").choice is not None
        assert not bench.server.asked

    def test_releases_are_asked_for_conditionally(self) -> None:
        bench = Bench()
        answer = [{"tag_name": "1.4", "prerelease": True}, {"tag_name": "1.3"}, {"tag_name": "1.5", "draft": True}]
        bench.server.put(RELEASES, Resource(json.dumps(answer).encode(), etag='"one"'))
        for _ in range(2):
            choice = bench.check("github: {identifier: a/b}").choice
            assert choice is not None and choice.chosen is not None and choice.chosen.version == "1.3"
        assert len(bench.server.asked) == 2
        assert dict(bench.server.asked[1].headers)["if-none-match"] == '"one"'

    @pytest.mark.parametrize(
        ("answer", "wanted"),
        [
            ({"versions": ["1.4", "1.3"], "stable_versions": ["1.3"]}, "1.3"),
            ({"versions": ["1.4", "1.3"]}, "1.4"),
            ({"versions": [], "stable_versions": ["1.5"]}, "1.5"),
        ],
    )
    def test_release_monitoring(self, answer: object, wanted: str) -> None:
        bench = Bench()
        bench.server.put("https://release-monitoring.org/api/project/77/", json.dumps(answer).encode())
        choice = bench.check("release-monitor: {identifier: 77}").choice
        assert choice is not None and choice.chosen is not None and choice.chosen.version == wanted

    def test_registries(self) -> None:
        choice = Bench().check("oci: {identifier: r.example/a}").choice
        assert choice is not None and choice.chosen is not None and choice.chosen.version == "1.3"

    @pytest.mark.parametrize("answer", [b"<html>", b"{}", b"[1]", b'[{"name": "x"}]'])
    def test_other_answers_are_refused(self, answer: bytes) -> None:
        bench = Bench()
        bench.server.put(RELEASES, answer)
        with pytest.raises(ApkilnError) as caught:
            bench.check("github: {identifier: a/b}")
        assert caught.value.reason == "bad-answer"

    def test_no_repository_to_look_at(self) -> None:
        found = load(b"package: {name: a, version: 1}\nupdate: {enabled: true, git: {}}\n", "a.yaml").evaluated.definition
        with pytest.raises(ApkilnError) as caught:
            check(found, Bench().network, None, NOW)
        assert caught.value.reason == "no-repository" and caught.value.origin.line == 2

    def test_who_is_passed_over(self) -> None:
        bench = Bench()
        off = load(
            b"package: {name: a, version: 1}\nupdate: {enabled: false, exclude-reason: frozen}\n", "a"
        ).evaluated.definition
        assert check(off, bench.network, None, NOW).passed_over == "not enabled: frozen"
        assert check(definition("manual: true"), bench.network, None, NOW).passed_over == "no monitor"
        weekly = "git: {strip-prefix: v}, schedule: {period: weekly, reason: often}"
        assert bench.check(weekly, NOW.now - DAY).passed_over == "not due: weekly"
        assert not bench.check(weekly, NOW.now - 8 * DAY).passed_over
        assert bench.check("git: {strip-prefix: v}, manual: true").manual


def test_answers_are_recorded_and_used_again() -> None:
    bench = Bench()
    bench.server.put(RELEASES, b"[]")
    place = PurePosixPath("/answers")
    recording = RecordedUpstreams(bench.files, place, bench.network)
    asked = (recording.document(RELEASES), recording.references("https://h.example/a"), recording.tags("r.example/a"))
    replay = RecordedUpstreams(bench.files, place)
    assert (replay.document(RELEASES), replay.references("https://h.example/a"), replay.tags("r.example/a")) == asked
    assert asked[1][0] == RemoteReference("refs/tags/v1.2", COMMIT, COMMIT)
    with pytest.raises(ApkilnError) as caught:
        offers_of(definition("github: {identifier: c/d}").update.monitors[0], "", replay)  # type: ignore[union-attr]
    assert caught.value.reason == "not-recorded"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "answers").mkdir()
    (tmp_path / "recipes").mkdir()
    name = "https%3A%2F%2Frelease-monitoring.org%2Fapi%2Fproject%2F7%2F.json"
    (tmp_path / "answers" / name).write_text('{"versions": ["2.0", "1.2"]}')
    for package, update in (("a", "enabled: true, release-monitor: {identifier: 7}"), ("b", "enabled: false")):
        text = f"package: {{name: {package}, version: 1.2, epoch: 4}}\nupdate: {{{update}}} # why\n"
        (tmp_path / f"recipes/{package}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APKILN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_command_tells_and_applies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["package", "update", "check", "recipes", "--replay", "answers"]
    assert dispatch.dispatch(words) == 0
    assert capsys.readouterr().out == "a 1.2 -> 2.0 (tag 2.0)\n"
    assert dispatch.dispatch([*words, "--all", "--json", "--state", "state.json"]) == 0
    rows = json.loads(capsys.readouterr().out)["updates"]
    assert [(row["file"], row.get("version"), row.get("passedOver")) for row in rows] == [
        ("recipes/a.yaml", "2.0", None),
        ("recipes/b.yaml", None, "not enabled"),
    ]
    assert list(json.loads((folder / "state.json").read_text())) == ["a"]
    assert dispatch.dispatch([*words, "--apply"]) == 0
    assert (folder / "recipes/a.yaml").read_text().startswith('package: {name: a, version: "2.0", epoch: 0}\n')
    capsys.readouterr()
    assert dispatch.dispatch([*words, "--all"]) == 0
    assert "a 2.0: up to date" in capsys.readouterr().out


def test_faults_do_not_hide_other_packages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "recipes/c.yaml").write_text("package: {name: c, version: 1}\nupdate: {enabled: true, github: {identifier: x/y}}\n")
    assert dispatch.dispatch(["package", "update", "check", "recipes", "--replay", "answers"]) != 0
    captured = capsys.readouterr()
    assert "a 1.2 -> 2.0" in captured.out and "recipes/c.yaml" in captured.err
