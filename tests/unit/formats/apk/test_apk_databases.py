"""The text files of a root: installed database, scripts, triggers, world, repositories (spec apk.md §4, §5)."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crafted_packages import END, block, control_file, gz, identity, index_record, padded

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import DEFAULT_LIMITS, KIB
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import Dependency, parse_dependency
from apkiln.formats.apk.installed import InstalledPackage, InstalledPath, parse_installed, write_installed
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.repositories import (
    Assignment,
    RepositoryLine,
    list_files,
    parse_repositories,
    parse_repository_line,
    write_repositories,
)
from apkiln.formats.apk.scripts import InstalledScript, read_scripts, write_scripts
from apkiln.formats.apk.triggers import InstalledTriggers, parse_triggers, write_triggers
from apkiln.formats.apk.world import parse_world, write_world

IDENTITIES = st.binary(min_size=20, max_size=20)
NAMES = st.text("abcZé.", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
MODES, IDS = st.integers(0, 0o7777), st.integers(0, 0xFFFFFFFF)
DIGESTS = IDENTITIES | st.just(b"")


@st.composite
def packages(draw: st.DrawFn) -> InstalledPackage:
    folders = draw(st.lists(PATHS | st.just(""), max_size=3, unique=True))
    record = IndexRecord(
        draw(st.text("abAB", min_size=1, max_size=4)), "1.0-r0", "x86_64", draw(IDENTITIES), 1, 2, "t", license="MIT",
        replaces=draw(st.sampled_from(["", "a b<2"])), replaces_priority=draw(st.integers(0, 9)),
        repository_tag=draw(st.sampled_from(["", "edge"])), flags=draw(st.sampled_from(["", "fS"])),
    )  # fmt: skip
    directories = [InstalledPath(path, draw(MODES), draw(IDS), draw(IDS), b"", draw(DIGESTS)) for path in folders]
    names = draw(st.lists(NAMES, max_size=3, unique=True)) if folders else []
    files = [
        InstalledPath(f"{folder}/{name}" if folder else name, draw(MODES), draw(IDS), draw(IDS), draw(DIGESTS), draw(DIGESTS))
        for folder in folders
        for name in names
    ]
    by_path = {item.path: item for item in files}
    return InstalledPackage(record, tuple(directories), tuple(by_path.values()), draw(st.sampled_from(["", "a b"])))


def normal(package: InstalledPackage) -> InstalledPackage:
    return replace(
        package,
        directories=tuple(sorted(package.directories, key=lambda item: item.path.encode())),
        files=tuple(sorted(package.files)),
    )


@given(items=st.lists(packages(), max_size=3, unique_by=lambda item: item.record.name))
def test_installed_round_trip(items: list[InstalledPackage]) -> None:
    content = write_installed(items)
    found = parse_installed(content)
    assert [normal(item) for item in found] == [
        normal(item) for item in sorted(items, key=lambda item: (item.record.name.lower(), item.record.name))
    ]
    assert write_installed(reversed(found)) == content


def test_installed_lines() -> None:
    record = IndexRecord("n", "1-r0", "x", bytes(20), 1, 2, replaces="r", replaces_priority=3, repository_tag="edge", flags="f")
    package = InstalledPackage(
        record,
        (InstalledPath("usr", 0o755), InstalledPath("srv", 0o2775, 0, 1002), InstalledPath("", 0o700)),
        (InstalledPath("usr/x", 0o644, digest=bytes(20)), InstalledPath("usr/a", 0o4755, 1, 2, b"", bytes(20))),
        "t1 t2",
    )
    zero = "Q1" + b64encode(bytes(20)).decode()
    assert write_installed([package]).decode().splitlines() == [
        f"C:{zero}", "P:n", "V:1-r0", "A:x", "S:1", "I:2", "T:", "U:", "L:", "g:t1 t2", "r:r", "q:3", "s:edge", "f:f",
        "F:", "M:0:0:700", "F:srv", "M:0:1002:2775", "F:usr", "R:a", f"a:1:2:4755:{zero}", "R:x", f"Z:{zero}", "",
    ]  # fmt: skip


def test_installed_of_the_peer() -> None:
    """apko's own order of letters, leading zeros of modes, Go's empty list."""
    head = f"P:n\nV:1\nA:x\nL:MIT\nU:\nD:a b\ni:[]\nS:1\nI:2\nC:{identity()}\n"
    text = f"{head}F:etc\nM:501:20:0755\nR:x\na:501:20:0644\nZ:{identity()}\n"
    (package,) = parse_installed(text.encode())
    assert package.record.install_if == "" and package.record.depends == "a b"
    assert package.files[0][:4] == ("etc/x", 0o644, 501, 20) and package.directories[0][:4] == ("etc", 0o755, 501, 20)


INSTALLED = index_record()
INSTALLED_ATTACKS = {
    "unknown letter": (INSTALLED + "X:future\n", "installed-letter"),
    "R before F": (INSTALLED + "R:x\n", "installed-order"),
    "M before F": (INSTALLED + "M:0:0:755\n", "installed-order"),
    "M after R": (INSTALLED + "F:etc\nR:x\nM:0:0:755\n", "installed-order"),
    "a before R": (INSTALLED + "F:etc\na:0:0:644\n", "installed-order"),
    "Z before R": (INSTALLED + f"F:etc\nZ:{identity()}\n", "installed-order"),
    "directory outside": (INSTALLED + "F:../etc\n", "installed-name"),
    "absolute directory": (INSTALLED + "F:/etc\n", "installed-name"),
    "directory with a tab": (INSTALLED + "F:a\tb\n", "installed-name"),
    "file with a slash": (INSTALLED + "F:etc\nR:a/b\n", "installed-name"),
    "file outside": (INSTALLED + "F:etc\nR:..\n", "installed-name"),
    "file without name": (INSTALLED + "F:etc\nR:\n", "installed-name"),
    "file twice": (INSTALLED + "F:etc\nR:x\nR:x\n", "installed-name"),
    "bad mode": (INSTALLED + "F:etc\nM:0:0:9\n", "installed-mode"),
    "huge mode": (INSTALLED + "F:etc\nM:0:0:10000\n", "installed-mode"),
    "bad owner": (INSTALLED + "F:etc\nM:root:0:755\n", "installed-mode"),
    "bad digest": (INSTALLED + "F:etc\nR:x\nZ:Q1x\n", "installed-digest"),
    "no colon": (INSTALLED + "Fetc\n", "installed-line"),
    "field after files": (INSTALLED + "F:etc\nr:x\n", "installed-line"),
    "field twice": (INSTALLED + "P:x\n", "installed-line"),
    "no name": (index_record(P=None), "installed-field-missing"),
    "no identity": (index_record(C=None), "installed-field-missing"),
    "bad identity": (index_record(C="Q1x"), "installed-identity"),
    "bad number": (index_record(S="x"), "installed-number"),
    "name twice": (INSTALLED + "\n" + index_record(1, P="demo0"), "installed-twice"),
    "carriage return": (INSTALLED.replace("\n", "\r\n"), "installed-line-ends"),
}


@pytest.mark.parametrize("case", INSTALLED_ATTACKS)
def test_installed_attack_is_refused(case: str) -> None:
    text, reason = INSTALLED_ATTACKS[case]
    with pytest.raises(ApkilnError) as caught:
        parse_installed(text.encode())
    assert caught.value.reason == reason and caught.value.origin.line > 0


def test_installed_faults_of_all_records_come_together() -> None:
    text = index_record(1) + "R:x\n\n" + index_record(2) + "\n" + index_record(3) + "F:/x\n"
    with pytest.raises(ApkilnError) as caught:
        parse_installed(text.encode())
    faults = caught.value.faults  # type: ignore[attr-defined]
    assert [(fault.reason, fault.origin.line) for fault in faults] == [("installed-order", 10), ("installed-name", 31)]


@pytest.mark.parametrize(
    "package",
    [
        InstalledPackage(IndexRecord("n\nP:evil", "1", "x", bytes(20), 1, 1)),
        InstalledPackage(IndexRecord("n", "1", "x", bytes(20), 1, 1), (InstalledPath("a\nb", 0),)),
        InstalledPackage(IndexRecord("n", "1", "x", bytes(20), 1, 1), (), (InstalledPath("../b", 0),)),
        InstalledPackage(IndexRecord("n", "1", "x", bytes(20), 1, 1), tags="a\nb"),
    ],
)
def test_nothing_bad_is_written_into_the_database(package: InstalledPackage) -> None:
    with pytest.raises(ApkilnError) as caught:
        write_installed([package])
    assert caught.value.reason == "installed-field"


SCRIPTS = st.lists(
    st.builds(
        InstalledScript, st.sampled_from(["a-1.0-r0", "b.c-2"]), IDENTITIES, st.sampled_from(["post-install", "trigger"]),
        st.binary(max_size=600), st.integers(0, (1 << 33) - 1),
    ),
    max_size=4, unique_by=lambda script: script.identity,
)  # fmt: skip


@given(scripts=SCRIPTS)
def test_scripts_round_trip(scripts: list[InstalledScript]) -> None:
    content = write_scripts(scripts)
    known = {script.identity for script in scripts}
    assert read_scripts(content, known) == read_scripts(gz(content), known) == tuple(scripts)
    assert content.endswith(bytes(1024))


@given(raw=IDENTITIES)
def test_scripts_with_names_of_the_peer(raw: bytes) -> None:
    """Base64 may hold `/` and even `//`."""
    name = f"busybox-1.35.0-r17.Q1{b64encode(raw).decode()}.post-install"
    (found,) = read_scripts(control_file(name.encode(), b"x") + END)
    assert found == InstalledScript("busybox-1.35.0-r17", raw, "post-install", b"x")


HEX = b"00" * 20
SCRIPT_ATTACKS = {
    "no identity": (control_file(b"a-1.post-install", b""), "scripts-name"),
    "short identity": (control_file(b"a-1.X1" + HEX[:-2] + b".post-install", b""), "scripts-name"),
    "unknown kind": (control_file(b"a-1.X1" + HEX + b".post-evil", b""), "scripts-name"),
    "a path": (control_file(b"../a-1.X1" + HEX + b".trigger", b""), "scripts-name"),
    "twice": (control_file(b"a-1.X1" + HEX + b".trigger", b"") * 2, "scripts-twice"),
    "a symlink": (block(b"a-1.X1" + HEX + b".trigger", b"2", link=b"/etc/passwd"), "scripts-type"),
    "too large": (
        block(b"a-1.X1" + HEX + b".trigger", b"0", 256 * KIB + 1) + padded(bytes(256 * KIB + 1)), "scripts-too-large"
    ),
    "of a package that is not installed": (control_file(b"a-1.X1" + b"11" * 20 + b".trigger", b""), "scripts-unknown-package"),
    "newline": (control_file(b"a\n-1.X1" + HEX + b".trigger", b""), "name-control-character"),
    "truncated": (block(b"a-1.X1" + HEX + b".trigger", b"0", 600), "tar-truncated"),
}  # fmt: skip


@pytest.mark.parametrize("case", SCRIPT_ATTACKS)
def test_scripts_attack_is_refused(case: str) -> None:
    content, reason = SCRIPT_ATTACKS[case]
    for form in (content + END, gz(content + END)) if reason != "tar-truncated" else (content,):
        with pytest.raises(ApkilnError) as caught:
            read_scripts(form, {bytes(20)})
        assert caught.value.reason == reason


def test_scripts_bomb_is_refused() -> None:
    with pytest.raises(ApkilnError) as caught:
        read_scripts(gz(bytes(9000)), limits=replace(DEFAULT_LIMITS, index_decompressed=5000))
    assert caught.value.reason == "gzip-too-large"


def test_scripts_with_bad_names_are_not_written() -> None:
    with pytest.raises(ApkilnError) as caught:
        write_scripts([InstalledScript("a/b-1", bytes(20), "trigger", b"")])
    assert caught.value.reason == "scripts-name"


GLOBS = st.text("ab*/", min_size=1, max_size=5).map("/".__add__) | st.text("ab", min_size=1).map("+/".__add__)


@given(items=st.dictionaries(IDENTITIES, st.lists(GLOBS, min_size=1, max_size=3).map(tuple), max_size=3))
def test_triggers_round_trip(items: dict[bytes, tuple[str, ...]]) -> None:
    listed = tuple(InstalledTriggers(raw, globs) for raw, globs in items.items())
    assert parse_triggers(write_triggers(listed)) == listed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"Q1x /a\n", "triggers-identity"),
        (identity().encode() + b"\n", "triggers-glob"),
        (identity().encode() + b" usr\n", "triggers-glob"),
        (identity().encode() + b" /a\tb\n", "triggers-glob"),
        ((identity() + " /a\n").encode() * 2, "triggers-twice"),
        (b"\xff", "triggers-not-utf8"),
    ],
)
def test_bad_triggers_are_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_triggers(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize("glob", ["usr", "/a b", "/a\nb"])
def test_bad_triggers_are_not_written(glob: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        write_triggers([InstalledTriggers(bytes(20), (glob,))])
    assert caught.value.reason == "triggers-glob"


DEPENDENCIES = st.sampled_from(["a", "B", "b=1.0-r0", "!c", "d@edge", "e>=2", "so:x.so.1", "f~3", "a<2"]).map(parse_dependency)


@given(items=st.lists(DEPENDENCIES, max_size=6, unique=True), order=st.randoms(use_true_random=False))
def test_world_round_trip(items: list[Dependency], order: object) -> None:
    content = write_world(items)
    found = parse_world(content)
    assert set(found) == set(items) and write_world(reversed(found)) == content
    names = [item.name.lower() for item in found]
    assert names == sorted(names)
    assert content.endswith(b"\n") or not items


def test_world_faults_have_their_line() -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_world(b"a\nb>=x\n")
    assert (caught.value.reason, caught.value.origin.line) == ("bad-version", 2)
    with pytest.raises(ApkilnError) as caught:
        parse_world(b"\xff")
    assert caught.value.reason == "world-not-utf8"


URLS = st.sampled_from(["https://x.org/os", "http://x/y/", "/srv/repo", "file:///srv/repo"])
INDEXES = st.sampled_from(["https://x/APKINDEX.tar.gz", "/x/y.adb", "/x"])
LINES = st.builds(
    RepositoryLine, URLS, st.sampled_from(["", "edge"]), st.sampled_from(["v2", "v3"]),
    st.lists(st.sampled_from(["main", "community"]), max_size=2, unique=True).map(tuple),
) | st.builds(RepositoryLine, INDEXES, st.just("t"), st.just("ndx"), st.just(()))  # fmt: skip


@given(lines=st.lists(LINES, max_size=5))
def test_repositories_round_trip(lines: list[RepositoryLine]) -> None:
    assert parse_repositories(write_repositories(lines)) == tuple(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x/os", RepositoryLine("https://x/os")),
        ("  @edge   https://x/os\tmain  contrib ", RepositoryLine("https://x/os", "edge", "v2", ("main", "contrib"))),
        ("v3 /srv", RepositoryLine("/srv", "", "v3")),
        ("https://x/Packages.adb", RepositoryLine("https://x/Packages.adb", "", "ndx")),
        ("v2 https://x/y.tar.gz", RepositoryLine("https://x/y.tar.gz", "", "v2")),
        ("ndx @a https://x/i", RepositoryLine("https://x/i", "a", "ndx")),
        ("https://x/${APK_ARCH}/${v}", RepositoryLine("https://x/x86_64/3.20")),
        ("# https://x", None),
        ("   ", None),
        ("set v=3.20", Assignment("v", "3.20", False)),
        ("set -default mirror=https://${v}.x", Assignment("mirror", "https://3.20.x", True)),
    ],
)
def test_repository_lines(text: str, expected: object) -> None:
    assert parse_repository_line(text, {"APK_ARCH": "x86_64", "v": "3.20"}) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("main", "repository-url"),
        ("ftp://x/y", "repository-url"),
        ("https://", "repository-url"),
        ("../x", "repository-url"),
        ("@ https://x", "repository-tag"),
        ("@a/b https://x", "repository-tag"),
        ("@a", "repository-line"),
        ("https://x\x01y", "repository-line"),
        ("https://x/i.adb main", "repository-components"),
        ("ndx https://x main", "repository-components"),
        ("https://x/${y}", "repository-variable"),
        ("set", "repository-set"),
        ("set 1a=x", "repository-set"),
        ("set APK_ARCH=x", "repository-set"),
    ],
)
def test_bad_repository_lines_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_repository_line(text)
    assert caught.value.reason == reason


def test_messages_about_repositories_hold_no_password() -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_repository_line("ftp://user:secret@x/y")
    assert "secret" not in str(caught.value)


def test_variables_take_effect_in_order() -> None:
    text = b"set m=https://a\nset -default m=https://b\nset -default n=x\n${m}/1 ${n}\nset m=https://c\n${m}/2\n"
    assert [line.bases for line in parse_repositories(text)] == [("https://a/1/x",), ("https://c/2",)]


def test_repository_faults_come_together() -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_repositories(b"x\nhttps://good\ny\n")
    assert [fault.origin.line for fault in caught.value.faults] == [1, 3]  # type: ignore[attr-defined]


def test_earlier_list_files_hide_later_ones() -> None:
    first, second = ["b.list", "a.list", "x.txt", ".c.list"], ["a.list", "c.list"]
    files = list_files([("etc/apk/repositories.d", first), ("lib/apk/repositories.d", second)])
    assert files == ("etc/apk/repositories.d/a.list", "etc/apk/repositories.d/b.list", "lib/apk/repositories.d/c.list")
