"""The manifest of generated paths: read exactly, and not believed when it excuses too much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apkiln.core.errors import FormatError
from apkiln.formats.archive.entry import EntryType
from apkiln.image.audit.accounting import PATH, read_accounting

ARCH = {"path": "etc/apk/arch", "type": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 7, "sha256": "aa" * 32}


def manifest(*rules: tuple[str, list[dict[str, Any]]], overrides: list[dict[str, Any]] | None = None) -> bytes:
    listed = [{"rule": rule, "entries": entries} for rule, entries in rules]
    return json.dumps({"version": 1, "rules": listed, "overrides": overrides or []}).encode()


def test_every_member_of_an_entry_is_read() -> None:
    rows = [
        {"path": "dev/null", "type": "character", "mode": "0666", "uid": 0, "gid": 0, "device": "1:3"},
    ]
    link = {"path": "lib/apk", "type": "symlink", "mode": "0777", "uid": 0, "gid": 0, "target": "../usr/lib/apk"}
    joined = {"path": "x", "type": "hardlink", "mode": "0644", "uid": 1, "gid": 2, "target": "y", "xattrs": {"user.a": "ff"}}
    book = read_accounting(
        manifest(("apk-arch", [ARCH]), ("device-nodes", rows), ("apk-database-link", [link]), ("paths-directive", [joined]))
    )
    assert book.violations == ()
    assert book.generated["etc/apk/arch"][:7] == ("apk-arch", EntryType.FILE, 0o644, 0, 0, 7, bytes([0xAA]) * 32)
    assert book.generated["dev/null"].device == (1, 3)
    assert book.generated["lib/apk"].target == "../usr/lib/apk"
    assert (book.generated["x"].joined_with, book.generated["x"].xattrs) == ("y", (("user.a", b"\xff"),))


def test_only_the_manifest_itself_may_lack_a_digest() -> None:
    own = {"path": PATH, "type": "file", "mode": "0644", "uid": 0, "gid": 0}
    assert read_accounting(manifest(("apkiln-manifest", [own]))).generated[PATH].sha256 is None
    for rule, row in (("apkiln-manifest", {**own, "path": "etc/other"}), ("apk-arch", {**own, "path": "etc/apk/arch"})):
        with pytest.raises(FormatError) as caught:
            read_accounting(manifest((rule, [row])))
        assert caught.value.reason == "bad-accounting"


@pytest.mark.parametrize(
    ("rule", "path", "violation"),
    [
        ("apk-arch", "etc/apk/arch", None),
        ("apk-arch", "usr/bin/backdoor", "rule-domain"),
        ("device-nodes", "dev/kmem", "rule-domain"),
        ("home-directories", "home/app/.profile", "rule-domain"),
        ("paths-directive", "anything/at/all", None),
        ("busybox-links", "usr/bin/file-not-link", "rule-domain"),
        ("made-up", "etc/apk/arch", "unknown-rule"),
    ],
)
def test_a_rule_answers_only_for_its_own_paths(rule: str, path: str, violation: str | None) -> None:
    book = read_accounting(manifest((rule, [{**ARCH, "path": path}])))
    assert [item.rule for item in book.violations] == ([violation] if violation else [])


def test_a_path_named_twice_is_a_violation() -> None:
    book = read_accounting(manifest(("apk-arch", [ARCH]), ("paths-directive", [ARCH])))
    assert [item.rule for item in book.violations] == ["generated-twice"]


def test_overrides_carry_package_and_rule() -> None:
    book = read_accounting(manifest(overrides=[ARCH | {"package": "base", "by": "paths-directive"}]))
    assert (book.overridden, book.overrides["etc/apk/arch"].answers) == ({"etc/apk/arch": "base"}, "paths-directive")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version":2,"rules":[],"overrides":[]}',
        b'{"version":1,"rules":[]}',
        manifest(("apk-arch", [{**ARCH, "type": "door"}])),
        manifest(("apk-arch", [{**ARCH, "mode": "rw"}])),
        manifest(("apk-arch", [{**ARCH, "sha256": "zz"}])),
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        read_accounting(content)
    assert caught.value.reason == "bad-accounting"
