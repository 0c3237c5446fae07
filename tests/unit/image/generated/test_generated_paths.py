"""The `paths` section: the recorded table of the peer, and what we do better on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apkiln.core.errors import ApkilnError, ConfigurationError, ConflictError, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.value import replace
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import PathMutation
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.memory_tree import MemoryTree, Shipped
from apkiln.image.generated.paths import apply_paths

TABLE = Path(__file__).resolve().parents[4].parent / "shared" / "conformance" / "apko" / "tables" / "paths.json"
TYPES = {"dir": EntryType.DIRECTORY, "file": EntryType.FILE, "symlink": EntryType.SYMLINK}


def recorded() -> list[Any]:
    return json.loads(TABLE.read_text())["cases"] if TABLE.exists() else []


def tree_of(described: dict[str, Any]) -> MemoryTree:
    shipped: dict[str, Shipped] = {}
    for path, item in described.items():
        mode = int(item.get("mode", "0777"), 8)
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            shipped.setdefault(directory, Shipped(Entry(directory, EntryType.DIRECTORY, mode)))
        name = path.strip("/")
        entry = Entry(name, TYPES[item["type"]], mode, item.get("uid", 0), item.get("gid", 0), target=item.get("target", ""))
        shipped[name] = Shipped(entry)
    return MemoryTree(shipped.values())


def mutation_of(item: dict[str, Any]) -> PathMutation:
    wanted = ("uid", "gid", "permissions", "source", "recursive")
    return PathMutation(item["path"], item["type"], **{name: item[name] for name in wanted if name in item})


@pytest.mark.parametrize("case", recorded(), ids=lambda case: case["name"])
def test_recorded_cases(case: dict[str, Any]) -> None:
    draft = Draft(tree_of(case.get("tree", {})))
    mutations = [mutation_of(item) for item in case["paths"]]
    if case.get("error"):
        with pytest.raises(ApkilnError):
            apply_paths(draft, mutations, {})
        return
    apply_paths(draft, mutations, {})
    for path, wanted in (case.get("want") or case["tar"]).items():
        entry = draft.entry(path.strip("/"))
        assert entry is not None
        found = {"mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid}
        assert {name: found[name] for name in wanted} == wanted


def test_the_recorded_table_was_there_or_is_absent_as_a_whole() -> None:
    if not TABLE.exists():
        pytest.skip("recorded tables are not beside the checkout")
    assert recorded()


def draft_of(*entries: Entry) -> Draft:
    return Draft(MemoryTree(Shipped(entry, "pkg", b"content") for entry in entries))


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, EntryType.DIRECTORY, mode)


def test_permissions_absent_leave_the_mode_and_a_symlink_leaves_its_target() -> None:
    draft = draft_of(directory("etc"), Entry("etc/hostname", EntryType.FILE, 0o640))
    apply_paths(
        draft,
        [
            PathMutation("/etc/link", "symlink", source="/etc/hostname"),
            PathMutation("/etc/hostname", "permissions", uid=3),
            PathMutation("/a/b", "directory"),
            PathMutation("/a/file", "empty-file"),
        ],
        {},
    )
    modes = {path: node.entry.mode for path, node in draft.nodes.items()}
    assert modes == {"etc/link": 0o777, "etc/hostname": 0o640, "a": 0o755, "a/b": 0o755, "a/file": 0o644}
    assert draft.nodes["etc/hostname"].content is None, "the package's content stays"


def test_a_final_symlink_is_changed_itself_unless_follow_is_given() -> None:
    link = Entry("etc/link", EntryType.SYMLINK, 0o777, target="real")
    draft = draft_of(directory("etc"), Entry("etc/real", EntryType.FILE, 0o644), link)
    apply_paths(draft, [PathMutation("/etc/link", "permissions", permissions=0o600, uid=7)], {})
    assert draft.entry("etc/real") == Entry("etc/real", EntryType.FILE, 0o644)
    assert draft.entry("etc/link") == link._replace(uid=7)
    apply_paths(draft, [PathMutation("/etc/link", "permissions", permissions=0o600, follow=True)], {})
    assert draft.entry("etc/real") == Entry("etc/real", EntryType.FILE, 0o600)


def test_parents_lead_through_symlinks_inside_the_root() -> None:
    draft = draft_of(directory("usr"), directory("usr/lib"), Entry("lib", EntryType.SYMLINK, 0o777, target="usr/lib"))
    apply_paths(draft, [PathMutation("/lib/x/y", "empty-file")], {})
    assert sorted(draft.nodes) == ["usr/lib/x", "usr/lib/x/y"]


@pytest.mark.parametrize(
    ("mutation", "kind", "reason"),
    [
        (PathMutation("/etc/hostname", "empty-file"), ConflictError, "path-exists"),
        (PathMutation("/etc/hostname", "symlink", source="x"), ConflictError, "path-exists"),
        (PathMutation("/etc/hostname", "hardlink", source="/etc/other"), ConflictError, "path-exists"),
        (PathMutation("/etc/hostname", "directory"), ConflictError, "path-exists"),
        (PathMutation("/etc", "symlink", source="x", force=True), ConflictError, "directory-in-the-way"),
        (PathMutation("/etc/hostname/x", "empty-file"), ConfigurationError, "path-through-file"),
        (PathMutation("/up/x", "empty-file"), ConfigurationError, "path-leaves-root"),
        (PathMutation("/loop/x", "empty-file"), ConfigurationError, "too-many-links"),
        (PathMutation("/../x", "empty-file"), ConfigurationError, "bad-path"),
        (PathMutation("/", "directory"), ConfigurationError, "bad-path"),
        (PathMutation("/x", "hardlink", source="/nothing"), ConfigurationError, "no-such-path"),
        (PathMutation("/x", "socket"), ConfigurationError, "path-type"),
        (PathMutation("/x", "symlink", source="a\nb"), ConfigurationError, "bad-link-target"),
        (PathMutation("/x", "file", content="a", sha256="0" * 64), VerificationError, "file-digest-mismatch"),
        (PathMutation("/x", "file", content="a", xattrs=(("user.a", "base64:?"),)), ConfigurationError, "bad-xattr"),
    ],
)
def test_refusals_name_the_place(mutation: PathMutation, kind: type[ApkilnError], reason: str) -> None:
    draft = draft_of(
        directory("etc"),
        Entry("etc/hostname", EntryType.FILE),
        Entry("etc/other", EntryType.FILE),
        Entry("up", EntryType.SYMLINK, target="../../x"),
        Entry("loop", EntryType.SYMLINK, target="loop"),
    )
    located = replace(mutation, origin=Origin("image.yaml", 4, 3))
    with pytest.raises(kind) as caught:
        apply_paths(draft, [located], {})
    assert caught.value.reason == reason
    assert caught.value.origin.line == 4


def test_all_faults_come_at_once() -> None:
    draft = draft_of(directory("etc"))
    with pytest.raises(ApkilnError) as caught:
        apply_paths(draft, [PathMutation("/x", "permissions"), PathMutation("/y", "permissions")], {})
    assert caught.value.reason == "several-faults"


def test_skip_and_replace() -> None:
    draft = draft_of(directory("etc"), Entry("etc/a", EntryType.FILE, 0o600))
    apply_paths(draft, [PathMutation("/etc/a", "file", content="new", if_exists="skip")], {})
    assert not draft.nodes
    apply_paths(draft, [PathMutation("/etc/a", "file", content="new", if_exists="replace")], {})
    assert draft.read("etc/a") == b"new"


def test_hard_linked_names_change_together_and_part_when_one_is_replaced() -> None:
    first = Entry("bin/one", EntryType.FILE, 0o755, size=7)
    links = [Entry(f"bin/{name}", EntryType.HARDLINK, 0o755, target="bin/one") for name in ("two", "three")]
    draft = draft_of(directory("bin"), first, *links)
    apply_paths(draft, [PathMutation("/bin/two", "permissions", permissions=0o700)], {})
    modes = {path: node.entry.mode for path, node in draft.nodes.items()}
    assert modes == dict.fromkeys(("bin/one", "bin/two", "bin/three"), 0o700)
    apply_paths(draft, [PathMutation("/bin/one", "file", content="new", force=True)], {})
    assert draft.read("bin/one") == b"new"
    assert draft.read("bin/two") == draft.read("bin/three") == b"content"
    assert draft.entry("bin/two") == Entry("bin/two", EntryType.HARDLINK, 0o700, target="bin/three")


def test_a_local_tree_is_copied_without_its_owners_and_times() -> None:
    local = ((directory("sub"), b""), (Entry("sub/x", EntryType.FILE, 0o600, 1000, 1000, size=1, mtime=99), b"x"))
    draft = draft_of()
    apply_paths(draft, [PathMutation("/opt/app", "tree", from_path="./app", uid=5, recursive=True)], {"./app": local})
    assert draft.read("opt/app/sub/x") == b"x"
    assert draft.entry("opt/app/sub/x") == Entry("opt/app/sub/x", EntryType.FILE, 0o600, 5, 0, size=1)
    assert draft.entry("opt") == directory("opt")
