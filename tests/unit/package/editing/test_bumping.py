"""New versions in definitions: the right scalars change, and no other byte."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.editing import Edit, edited, find
from apkiln.formats.yamlnode.node import Scalar
from apkiln.package.compilation.resolving import load
from apkiln.package.editing.bumping import bumped, commit_remark, plan_bump, readable_version
from apkiln.package.editing.looking_up import file_digests, same_commit, tag_commits
from apkiln.package.sources.source_map import NO_MAP, SourceMap
from apkiln.system.git import MemoryGit, MemoryRepository
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer

OLD, NEW = "a" * 40, "b" * 40
TEXT = f"""# a comment
package:
  name: demo   # the name
  version: 1.10
  epoch: 4 # built again
  description: "with: quotes"

vars:
  major: '1'
  tagged: "v${{{{package.version}}}}"
var-transforms:
  - from: ${{{{package.version}}}}
    match: (\\d+)\\.(\\d+)
    replace: $1_$2
    to: underscored
  - from: ${{{{package.version}}}}
    match: \\.
    replace: "-"
    to: dashed

pipeline:
  - uses: fetch
    with:
      expected-sha256: '{"0" * 64}'
      uri: https://h.example/${{{{package.version}}}}/x-${{{{vars.dashed}}}}.tgz
      expected-sha512: {"1" * 128}
  - pipeline:
      - uses: git-checkout
        with: {{repository: "https://h.example/r", tag: "${{{{vars.tagged}}}}", expected-commit: {OLD}}}
  - uses: git-checkout
    with:
      repository: https://h.example/other
      tag: v7
      expected-commit: {OLD}
  - uses: git-checkout
    with:
      repository: https://h.example/branched
      branch: main
      expected-commit: "{OLD}"
      cherry-picks: |
        main/{OLD}: a fix

subpackages:
  - name: demo-data
    pipeline:
      - uses: fetch
        with:
          uri: https://h.example/data-${{{{package.version}}}}
          expected-sha256: {"2" * 64}
"""  # fmt: skip


def bump(text: str, version: str, commit: str = "", *, all_sources: bool = False) -> str:
    plan = plan_bump(text.encode(), "demo.yaml", version, all_sources=all_sources)
    digests = {
        one.uri: {name: hashlib.new(name, one.uri.encode()).hexdigest() for name in one.algorithms} for one in plan.downloads
    }
    return bumped(plan, digests, same_commit(plan, commit) if commit else {}).decode()


def changes(old: str, new: str) -> list[tuple[str, str]]:
    pairs = zip(old.split("\n"), new.split("\n"), strict=True)
    return [(one.strip(), two.strip()) for one, two in pairs if one != two]


def test_only_what_goes_with_the_version_changes() -> None:
    uri = b"https://h.example/2.0/x-2-0.tgz"
    found = changes(TEXT, bump(TEXT, " 2.0 ", NEW))
    assert found == [
        ("version: 1.10", 'version: "2.0"'),
        ("epoch: 4 # built again", "epoch: 0 # built again"),
        (f"expected-sha256: '{'0' * 64}'", f"expected-sha256: '{hashlib.sha256(uri).hexdigest()}'"),
        (f"expected-sha512: {'1' * 128}", f"expected-sha512: {hashlib.sha512(uri).hexdigest()}"),
        (
            f'with: {{repository: "https://h.example/r", tag: "${{{{vars.tagged}}}}", expected-commit: {OLD}}}',
            f'with: {{repository: "https://h.example/r", tag: "${{{{vars.tagged}}}}", expected-commit: {NEW}}}',
        ),
        (f'expected-commit: "{OLD}"', f'expected-commit: "{NEW}"'),
    ]


def test_the_same_version_gets_the_next_epoch() -> None:
    assert changes(TEXT, bump(TEXT, "1.10"))[:2] == [
        ("version: 1.10", 'version: "1.10"'),
        ("epoch: 4 # built again", "epoch: 5 # built again"),
    ]


def test_sources_of_subpackages_only_when_asked() -> None:
    assert f"expected-sha256: {'2' * 64}" in bump(TEXT, "2.0")
    assert f"expected-sha256: {'2' * 64}" not in bump(TEXT, "2.0", all_sources=True)


def test_a_single_checkout_always_goes_with_the_version() -> None:
    step = f"- uses: git-checkout\n  with:\n    repository: https://h/r\n    tag: fixed\n    expected-commit: {OLD}\n"
    text = f"package: {{name: a, version: 1, epoch: 0}}\npipeline:\n{step}"
    assert NEW in bump(text, "2", NEW)


@pytest.mark.parametrize(
    ("tag", "goes"),
    [("v${{package.version}}", True), ("${{ vars.one }}", True), ("${{vars.two}}", True), ("${{vars.three}}", True),
     ("${{vars.fixed}}", False), ("v7", False), ("", True)],
)  # fmt: skip
def test_tags_may_name_the_version_through_variables(tag: str, goes: bool) -> None:
    text = f"""
package: {{name: a, version: 1, epoch: 0}}
vars: {{one: "v${{{{package.version}}}}", three: "x${{{{vars.two}}}}", fixed: "7"}}
var-transforms: [{{from: "${{{{vars.one}}}}", match: v, replace: r, to: two}}]
pipeline:
- uses: git-checkout
  with: {{repository: https://h/r, expected-commit: {OLD}{f", tag: '{tag}'" if tag else ""}}}
- uses: git-checkout
  with: {{repository: https://h/s, expected-commit: {OLD}, tag: fixed}}
"""
    plan = plan_bump(text.encode(), "a.yaml", "2")
    assert [one.repository for one in plan.checkouts] == (["https://h/r"] if goes else [])


def test_values_made_of_variables_and_absent_keys_are_left() -> None:
    text = """
package: {name: a, version: 1, epoch: 0}
vars: {c: cc, s: ss}
pipeline:
- uses: git-checkout
  with: {repository: https://h/r, expected-commit: '${{vars.c}}'}
- uses: fetch
  with: {uri: https://h/x, expected-sha256: '${{vars.s}}'}
"""
    plan = plan_bump(text.encode(), "a.yaml", "2")
    assert plan.downloads == () and plan.checkouts == ()
    with pytest.raises(ApkilnError) as caught:
        same_commit(plan, NEW)
    assert caught.value.reason == "no-checkout"


def test_a_definition_without_pipeline_and_one_without_epoch() -> None:
    assert bump("package:\n  name: a\n  version: 1\n", "2") == 'package:\n  name: a\n  version: "2"\n'


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_byte_order_marks_and_wide_characters_stay(newline: str) -> None:
    text = f"\ufeffpackage: # é𝄞{newline}  name: a{newline}  description: 'é𝄞'{newline}  version: é1{newline}".replace("é1", "1")
    new = bump(text, "2")
    assert new == text.replace("version: 1", 'version: "2"')


@pytest.mark.parametrize("newline", ["\r", "\x85", "\u2028", "\u2029"])
def test_line_ends_that_only_yaml_knows_count(newline: str) -> None:
    text = f"package:\n  name: a # one{newline}  # two\n  version: 1 # three\n"
    assert bump(text, "2") == text.replace("version: 1", 'version: "2"')


def test_cherry_picks_are_spoken_of() -> None:
    notes = plan_bump(TEXT.encode(), "demo.yaml", "2.0").notes
    assert len(notes) == 1 and "a fix" in notes[0].message and notes[0].origin.line
    assert not plan_bump(TEXT.encode(), "demo.yaml", "1.10").notes


@pytest.mark.parametrize(
    ("version", "right"),
    [("v1.2.4", "1.2.4"), ("1.2.4-rc1", "1.2.4_rc1"), ("2.0-beta.3", "2.0_beta3"), ("release_1_2", "1.2"), ("1.2-r3", "1.2"),
     ("1.0p1", "1.0_p1"), ("x", ""), ("", ""), ("1.2.3456789012345678901", "")],
)  # fmt: skip
def test_versions_that_apk_cannot_read(version: str, right: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_bump(TEXT.encode(), "demo.yaml", version)
    assert caught.value.reason == "bad-version"
    assert (f"`{right}`" in caught.value.hint) if right else ("1.2.3" in caught.value.hint)


@given(st.text(max_size=30))
def test_a_guess_is_a_version(text: str) -> None:
    guess = readable_version(text)
    if guess:
        assert bump("package:\n  name: a\n  version: 1\n", guess)


def test_faults_of_the_definition_are_told() -> None:
    with pytest.raises(ApkilnError) as caught:
        plan_bump(b"package:\n  name: a\n  version: 1\n  colour: red\n", "a.yaml", "2")
    assert caught.value.reason == "unknown-key" and caught.value.origin.line == 4


def test_a_version_of_several_lines_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_bump(b"package:\n  name: a\n  version: |\n    1\n", "a.yaml", "2")
    assert caught.value.reason == "cannot-edit" and caught.value.origin.line == 3


def test_remark_on_commits() -> None:
    assert not commit_remark(NEW) and commit_remark("foo")


class TestLookingUp:
    def test_files_are_fetched_once_from_mirrors_first(self) -> None:
        server = MemoryServer({"https://m.example/2.0/x-2-0.tgz": b"data"})
        plan = plan_bump(TEXT.encode(), "demo.yaml", "2.0")
        places = SourceMap(prefixes=(("https://h.example/", "https://m.example/"),))
        found = file_digests(plan, memory_transfer(server), places)
        assert found == {
            "https://h.example/2.0/x-2-0.tgz": {
                "sha256": hashlib.sha256(b"data").hexdigest(), "sha512": hashlib.sha512(b"data").hexdigest(),
            }
        }  # fmt: skip
        assert len(server.asked) == 1

    def test_what_is_not_there_names_the_step(self) -> None:
        plan = plan_bump(TEXT.encode(), "demo.yaml", "2.0")
        with pytest.raises(ApkilnError) as caught:
            file_digests(plan, memory_transfer(MemoryServer()), NO_MAP)
        assert caught.value.reason == "not-found" and any("demo.yaml" in line for line in caught.value.details)

    def test_commits_are_asked_for(self) -> None:
        one = MemoryRepository({"refs/tags/v2.0": ("d" * 40, NEW), "refs/heads/main": (OLD, OLD)}, {})
        git = MemoryGit({"https://h.example/r": one, "https://h.example/branched": one}, MemoryFiles())
        plan = plan_bump(TEXT.encode(), "demo.yaml", "2.0")
        assert sorted(tag_commits(plan, git, NO_MAP).values()) == [OLD, NEW]
        with pytest.raises(ApkilnError) as caught:
            tag_commits(plan_bump(TEXT.encode(), "demo.yaml", "3.0"), git, NO_MAP)
        assert caught.value.reason == "ref-missing"


@given(st.data())
def test_an_edit_changes_one_value_and_nothing_else(data: st.DataObject) -> None:
    """Law: after an edit the document has the new value there and every other value as before."""
    values = data.draw(
        st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8), min_size=1, max_size=5)
    )
    style = data.draw(st.sampled_from(['"', "'"]))
    rows = [
        f"k{number}: {style}{value.replace(chr(92), '').replace(chr(34), '').replace(chr(39), '')}x{style} # é"
        for number, value in enumerate(values)
    ]
    document = compose("\n".join(rows).encode(), "t", FaultCollector.empty())
    number = data.draw(st.integers(0, len(values) - 1))
    new = data.draw(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"), max_size=8))
    node = find(document.root, f"k{number}")
    assert isinstance(node, Scalar)
    result = edited(document, [Edit(node, new, quoted=data.draw(st.booleans()))])
    after = compose(result.encode(), "t", FaultCollector.empty())
    for index in range(len(values)):
        was, now = find(document.root, f"k{index}"), find(after.root, f"k{index}")
        assert isinstance(was, Scalar) and isinstance(now, Scalar)
        assert now.text == (new if index == number else was.text)
    assert load(TEXT.encode(), "t").written.package.version.origin == Origin("t", 4, 12)
