"""Emission: the same bytes whatever the order, each content read once, all packages or none, exact metadata."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.package_workshop import (
    DEMO,
    OUT,
    directory,
    emission,
    file,
    hard_link,
    library,
    link,
    read,
    request,
    tree,
    with_parents,
    written,
)
from tests.sample_packages import keyring_of, sample_signer

from apkiln.core.errors import ApkilnError, ConflictError, EnvironmentFault, FaultGroup
from apkiln.core.limits import MIB
from apkiln.core.value import replace
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.package.emission.request import EmissionRequest, GuestAccounts, GuestPackage
from apkiln.package.output_tree import OutputTree
from apkiln.system.memory_files import Crash, InterruptedFiles, MemoryFiles

NAME = "demo-1.2-r3.apk"
ITEMS = (
    file("usr/bin/a", b"#!/bin/bash\n", 0o755),
    file("usr/lib/liba.so.1", library("liba.so.1", ["libc.so.6"])),
    link("usr/lib/liba.so", "liba.so.1"),
    hard_link("usr/bin/b", "usr/bin/a"),
    file("usr/share/x", bytes(range(256)) * 300, xattrs=(("user.x", b"1"),)),
    directory("var/lib/demo", 0o1777),
)
SUB = DEMO + "subpackages: [{name: demo-dev, description: other}]\n"


def reasons(error: ApkilnError) -> list[str]:
    return [fault.reason for fault in error.faults] if isinstance(error, FaultGroup) else [error.reason]


def cut(content: bytes, size: int) -> Iterator[bytes]:
    yield from (content[place : place + size] for place in range(0, len(content), size))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=70_000))
def test_bytes_depend_on_nothing_but_the_tree(mixed: random.Random, size: int) -> None:
    first = written(request(SUB), tree(*ITEMS), tree(package="demo-dev"))
    entries, contents = with_parents(ITEMS)
    shuffled = list(entries)
    mixed.shuffle(shuffled)
    again = OutputTree("demo", tuple(shuffled), lambda path: cut(contents[path], size))
    with ThreadPoolExecutor(2) as executor:
        assert written(request(SUB), tree(package="demo-dev"), again, executor=executor) == first


def test_each_content_is_read_once() -> None:
    reads: Counter[str] = Counter()
    entries, contents = with_parents([*ITEMS, file("usr/lib/big.so", library("big.so") + bytes(17 * MIB))])

    def content(path: str) -> Iterator[bytes]:
        reads[path] += 1
        yield contents[path]

    emission(request(), OutputTree("demo", entries, content))
    files = [entry.path for entry in entries if entry.type is EntryType.FILE]
    assert reads == dict.fromkeys(files, 1)


def test_a_package_says_what_it_is() -> None:
    text = """package:
  name: demo
  version: "1.2"
  epoch: 3
  description: "what  it\\n"
  url: https://demo.example
  copyright: [{license: MIT}, {license: 0BSD OR Apache-2.0}]
  dependencies: {runtime: [zeta, alpha], provides: [v=1], replaces: [b, a], provider-priority: 5, replaces-priority: 6}
  scriptlets: {post-install: "#!/bin/sh\\n:\\n", trigger: {script: "#!/bin/sh\\n:\\n", paths: [/a, /b]}}
subpackages: [{name: demo-dev, commit: abc}]
"""
    files = written(request(text, source_date=7, namespace="ns", git_commit="def"), tree(*ITEMS), tree(package="demo-dev"))
    contents, _ = read(files[NAME])
    info = contents.info
    assert (info.description, info.url, info.maintainer, info.commit, info.build_date) == (
        "what it",
        "https://demo.example",
        "ns",
        "def",
        7,
    )
    assert info.depends == ("alpha", "cmd:bash", "so:libc.so.6", "zeta")
    assert info.provides == ("cmd:a=1.2-r3", "so-ver:liba.so.1=1.2-r3", "so:liba.so.1=1", "v=1")
    assert (info.replaces, info.provider_priority, info.replaces_priority) == (("b", "a"), 5, 6)
    assert (info.triggers, info.license, info.origin) == (("/a", "/b"), "MIT AND (0BSD OR Apache-2.0)", "demo")
    assert info.licenses == ("MIT", "0BSD OR Apache-2.0")  # a line each; `license` is what they say together
    assert dict(contents.scripts) == {"post-install": b"#!/bin/sh\n:\n", "trigger": b"#!/bin/sh\n:\n"}
    assert contents.other_control == (".melange.yaml",)
    assert {item.entry.mtime for item in contents.entries} == {7}
    other = read(files["demo-dev-1.2-r3.apk"])[0].info
    assert (other.commit, other.origin, other.description, other.depends) == ("abc", "demo", "", ())
    alone = written(request(text, strip_origin=True), tree(package="demo-dev"))
    assert read(alone["demo-dev-1.2-r3.apk"])[0].info.origin == "demo-dev"


def test_size_counts_each_content_once() -> None:
    files = written(request(), tree(file("a", b"x" * 1000), hard_link("b", "a"), link("c", "a"), directory("d")))
    contents, found = read(files[NAME])
    assert contents.info.installed_size == 1000 + len(found["var/lib/db/sbom/demo-1.2-r3.spdx.json"])


def test_types_modes_links_and_attributes_survive() -> None:
    contents, found = read(written(request(), tree(*ITEMS))[NAME])
    entries = {item.entry.path: item.entry for item in contents.entries}
    assert entries["usr/bin/b"].type is EntryType.HARDLINK and entries["usr/bin/b"].target == "usr/bin/a"
    assert entries["usr/lib/liba.so"].target == "liba.so.1"
    assert entries["var/lib/demo"].mode == 0o1777 and entries["usr/share/x"].xattrs == (("user.x", b"1"),)
    assert found["usr/share/x"] == bytes(range(256)) * 300
    assert entries["var/lib/db/sbom"].mode == 0o755


def test_the_definition_inside_names_the_packages_it_was_built_with() -> None:
    guest = tuple(GuestPackage(IndexRecord(name, "1-r0", "x86_64", bytes(20), 1, 1)) for name in ("b", "a"))
    files = written(request(guest=guest), tree())
    from apkiln.formats.apk.control import read_control

    text = dict(read_control(io.BytesIO(files[NAME])).other_files)[".melange.yaml"].decode()
    assert "- a=1-r0" in text and text.index("a=1-r0") < text.index("b=1-r0")


def test_a_signed_package_is_signed() -> None:
    signer = sample_signer()
    files = written(request(), tree(*ITEMS), signers=(signer,))
    assert read_package(io.BytesIO(files[NAME]), keyring=keyring_of(signer)).signed_by == signer.name


def test_nothing_is_published_when_one_package_cannot_be() -> None:
    files = MemoryFiles()
    broken = OutputTree("demo-dev", (Entry("a", EntryType.FILE, size=3),), lambda _: (b"four",))
    with pytest.raises(ApkilnError) as error:
        emission(request(SUB), tree(*ITEMS), broken, files=files)
    assert error.value.reason == "content-size" and files.snapshot() == {}


class FailingOnce(InterruptedFiles):
    """Fails at one step, as a full disk does for a moment."""

    def advance(self) -> None:
        self.steps += 1
        if self.steps == self._last + 1:
            raise EnvironmentFault("no space", reason="no-space")


def test_an_error_at_any_step_leaves_nothing_or_all() -> None:
    trees = (tree(*ITEMS), tree(package="demo-dev"))
    asked = request(SUB, lint_results=True)
    _, whole = emission(asked, *trees)
    assert isinstance(whole, MemoryFiles)
    refused = 0
    for step in range(1000):
        place = MemoryFiles()
        try:
            emission(asked, *trees, files=FailingOnce(place, step))
        except EnvironmentFault:
            assert place.snapshot() == {}
            refused += 1
        else:
            assert place.snapshot() == whole.snapshot()
            break
    assert refused > 8


def test_a_process_that_dies_leaves_whole_files_and_is_completed_by_the_next() -> None:
    trees = (tree(*ITEMS), tree(package="demo-dev"))
    _, whole = emission(request(SUB), *trees)
    assert isinstance(whole, MemoryFiles)
    for step in range(1000):
        place = MemoryFiles()
        try:
            emission(request(SUB), *trees, files=InterruptedFiles(place, step))
        except Crash:
            assert place.snapshot().items() <= whole.snapshot().items()
            emission(request(SUB), *trees, files=place)
            assert place.snapshot() == whole.snapshot()
        else:
            break
    assert step > 8


def test_a_finding_of_a_required_linter_refuses_all() -> None:
    files = MemoryFiles()
    with pytest.raises(ApkilnError) as error:
        emission(request(SUB), tree(file("bin/a"), file("b", mode=0o666)), tree(file("dev/x"), package="demo-dev"), files=files)
    assert reasons(error.value) == ["lint", "lint", "lint"] and files.snapshot() == {}
    assert isinstance(error.value, FaultGroup)
    assert all(fault.hint and fault.origin.package for fault in error.value.faults)


def test_a_published_version_keeps_its_bytes() -> None:
    _, files = emission(request(), tree(file("a", b"1")))
    assert isinstance(files, MemoryFiles)
    before = files.snapshot()
    emission(request(), tree(file("a", b"1")), files=files)
    with pytest.raises(ConflictError) as error:
        emission(request(SUB), tree(package="demo-dev"), tree(file("a", b"2")), files=files)
    assert error.value.reason == "output-exists" and files.snapshot() == before
    emission(request(overwrite=True), tree(file("a", b"2")), files=files)
    assert files.snapshot() != before


def test_what_was_published_is_told() -> None:
    (first, second), files = emission(request(SUB), tree(*ITEMS), tree(package="demo-dev"))
    content = files.read(first.path, 1 << 20)
    contents, _ = read(content)
    assert first.path == OUT / "x86_64" / NAME and first.size == len(content)
    assert (first.sha256, first.identity, first.info) == (contents.sha256, contents.identity, contents.info)
    assert second.info.name == "demo-dev" and first.analysis.provides == contents.info.provides


@pytest.mark.parametrize(
    ("trees", "reason"),
    [
        ([tree(package="other")], "unknown-package"),
        ([tree(), tree()], "tree-repeated"),
        ([tree((Entry("a", EntryType.FIFO), b""))], "device-not-allowed"),
        ([tree((Entry("a", EntryType.CHARACTER, device=(1, 3)), b""))], "device-not-allowed"),
        ([tree(file(".x"))], "data-dot-name"),
        ([tree(file("a"), file("a/b"))], "path-below-file"),
        ([tree(hard_link("a", "b"))], "hardlink-target-missing"),
    ],
)
def test_trees_that_cannot_be_packages(trees: list[OutputTree], reason: str) -> None:
    with pytest.raises(ApkilnError) as error:
        emission(request(), *trees)
    assert reasons(error.value) == [reason]


ACCOUNTS = GuestAccounts(users=((0, "root"), (12, "mail")), groups=((0, "root"), (34, "post")))


@pytest.mark.parametrize(
    ("ids", "wanted", "notes"),
    [
        ((0, 0), (0, 0, "root", "root"), 0),
        ((1000, 1000), (0, 0, "root", "root"), 0),
        ((12, 34), (12, 34, "mail", "post"), 0),
        ((123, 456), (123, 456, "", ""), 2),
        ((65534, 0), (0, 0, "root", "root"), 1),
    ],
)
def test_owners(ids: tuple[int, int], wanted: tuple[int, int, str, str], notes: int) -> None:
    items = tree(file("a", uid=ids[0], gid=ids[1]))
    (found,), files = emission(request(accounts=ACCOUNTS), items)
    entry = next(item.entry for item in read(files.read(found.path, 1 << 20))[0].entries if item.entry.path == "a")
    assert (entry.uid, entry.gid, entry.uname, entry.gname) == wanted and len(found.notes) == notes


def test_unknown_owners_are_refused_where_that_is_wanted() -> None:
    with pytest.raises(ApkilnError) as error:
        emission(request(accounts=ACCOUNTS, strict_ids=True), tree(file("a", uid=5), file("b", gid=6), file("c", uid=12)))
    assert reasons(error.value) == ["unknown-id", "unknown-id"]


def acl(entries: int) -> bytes:
    return (2).to_bytes(4, "little") + bytes(8 * entries)


@pytest.mark.parametrize(
    ("name", "value", "kept", "dropped_with_user"),
    [
        ("user.x", b"1", True, True),
        ("user.xdg.origin.url", b"1", False, True),
        ("security.selinux", b"1", False, False),
        ("security.capability", b"1" * 20, True, False),
        ("com.docker.grpcfuse.ownership", b"1", False, False),
        ("trusted.SGI_ACL_FILE", b"1", False, False),
        ("system.posix_acl_access", acl(3), False, False),
        ("system.posix_acl_access", acl(4), True, False),
    ],
)
def test_attributes(name: str, value: bytes, kept: bool, dropped_with_user: bool) -> None:
    def found(**fields: Any) -> tuple[tuple[str, bytes], ...]:
        contents, _ = read(written(request(**fields), tree(file("a", xattrs=((name, value),))))[NAME])
        return next(item.entry.xattrs for item in contents.entries if item.entry.path == "a")

    assert found() == (((name, value),) if kept else ())
    assert found(keep_user_xattrs=False) == (((name, value),) if kept and not dropped_with_user else ())


def test_missing_directories_are_made() -> None:
    entries, contents = (Entry("usr/bin/a", EntryType.FILE, size=1),), {"usr/bin/a": b"x"}
    found = read(written(request(), OutputTree("demo", entries, lambda path: (contents[path],)))[NAME])[0]
    assert [item.entry.path for item in found.entries][:2] == ["usr", "usr/bin"]


def test_a_bill_that_the_build_left_is_replaced() -> None:
    path = "var/lib/db/sbom/demo-1.2-r3.spdx.json"
    _, found = read(written(request(), tree(file(path, b"forged"), file("a")))[NAME])
    assert b"forged" not in found[path]


def test_secrets_from_outside_stay_outside() -> None:
    from apkiln.formats.yamlnode.reader import Text
    from apkiln.package.definition.model import NOWHERE

    def asked(name: str, value: Text, **fields: Any) -> EmissionRequest:
        plain = request(**fields)
        environment = plain.definition.environment._replace(environment=((name, value),))
        return replace(plain, definition=plain.definition._replace(environment=environment))

    outside, inside = Text("s3cret", NOWHERE), Text("postgres", replace(NOWHERE, source="x.yaml", line=3))
    for name in ("API_TOKEN", "MY_SECRET", "PGPASSWORD", "SIGNING_KEY"):
        with pytest.raises(ApkilnError) as error:
            emission(asked(name, outside), tree())
        assert reasons(error.value) == ["secret-in-environment"] and "s3cret" not in str(error.value)
    for name, value in (("PGPASSWORD", inside), ("KEYBOARD", outside), ("API_TOKEN", Text("", NOWHERE))):
        emission(asked(name, value), tree())
    emission(asked("API_TOKEN", outside, allow_secrets=True), tree())


def test_priorities_are_those_that_apk_reads() -> None:
    text = DEMO.rstrip()[:-1] + ", dependencies: {provider-priority: -1, replaces-priority: 4294967295}}\n"
    (found,), _ = emission(request(text), tree())
    assert (found.info.provider_priority, found.info.replaces_priority) == (0, (1 << 32) - 1)
    assert found.notes == ("`provider-priority` -1 counts as 0",)
    with pytest.raises(ApkilnError) as error:
        emission(request(text.replace("4294967295", "4294967296")), tree())
    assert error.value.reason == "priority-range" and error.value.origin.line


def test_a_licence_without_a_text_is_told_once() -> None:
    text = SUB.replace("MIT", "'custom: mine', license-path: COPYING")
    for texts, notes in (((), 1), ((("COPYING", "all of it"),), 0)):
        made, _ = emission(request(text, licence_texts=texts), tree(), tree(package="demo-dev"))
        assert [len(item.notes) for item in made] == [notes, 0]


def test_documents_beside_the_package() -> None:
    files = written(request(lint_results=True, cyclonedx=True), tree(file("opt/a")))
    assert sorted(files) == ["demo-1.2-r3.apk", "demo-1.2-r3.cdx.json", "lint-demo-1.2-r3.json"]
    import json

    assert list(json.loads(files["lint-demo-1.2-r3.json"])["findings"]) == ["opt"]
    assert json.loads(files["demo-1.2-r3.cdx.json"])["metadata"]["component"]["name"] == "demo"
