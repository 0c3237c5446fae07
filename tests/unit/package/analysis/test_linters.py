"""Each linter on a tree where it has something to say and on one where it has not; settings; results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.package_workshop import (
    DEMO,
    X86_64,
    definition,
    directory,
    file,
    hard_link,
    library,
    link,
    observed,
    program,
)

from apkiln.core.arch import Arch
from apkiln.core.errors import UsageError
from apkiln.formats.archive.entry import Entry
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import AnalysisContext
from apkiln.package.analysis.finding import Finding
from apkiln.package.analysis.linters.contents import human
from apkiln.package.analysis.linters.results import results
from apkiln.package.analysis.linters.scene import Default
from apkiln.package.analysis.linters.settings import LintSettings
from apkiln.package.analysis.linters.table import LINTERS, NAMES

File = tuple[Entry, bytes]
SITE = "usr/lib/python3.12/site-packages"
LARGE = b"x" * 2048


def findings(
    linter: str, *items: File, name: str = "demo", extra: str = "", siblings: Any = (), arch: Arch = X86_64
) -> list[Finding]:
    """What one linter says of a package of this name."""
    head = f"package: {{name: {name}, version: '1.2', epoch: 3{extra}}}\n"
    subpackages = f"subpackages: [{', '.join('{name: ' + item.package + '}' for item in siblings)}]\n" if siblings else ""
    facts = observed(*items, package=name)
    context = AnalysisContext(arch, definition(head + subpackages), siblings, lint=LintSettings((), (linter,)))
    return list(conclude(facts, context).findings)


def elf(**changes: int) -> bytes:
    """A program whose header says something else: `machine`."""
    data = bytearray(program())
    data[18:20] = changes["machine"].to_bytes(2, "little")
    return bytes(data)


def debugged() -> bytes:
    """A program with a table of section names that has debugging data."""
    data = bytearray(program())
    names = b"\0.shstrtab\0.debug_info\0"
    offset = len(data)
    data += names
    table = len(data)
    data += bytes(64) + bytes(24) + offset.to_bytes(8, "little") + len(names).to_bytes(8, "little") + bytes(24)
    data[40:48] = table.to_bytes(8, "little")
    data[58:64] = (64).to_bytes(2, "little") + (2).to_bytes(2, "little") + (1).to_bytes(2, "little")
    return bytes(data)


TABLE: tuple[tuple[str, list[File], list[str], list[File]], ...] = (
    ("dev", [file("dev/x")], ["dev/x"], [directory("dev/pts"), file("usr/dev/x")]),
    ("infodir", [file("usr/share/info/dir")], ["usr/share/info/dir"], [file("usr/share/info/dir.info")]),
    ("libtool/la-files", [file("usr/lib/a.la")], ["usr/lib/a.la"], [file("usr/lib/a.lax")]),
    ("setuidgid", [file("usr/bin/a", mode=0o4755)], ["usr/bin/a"], [directory("tmp", 0o1777), file("usr/bin/a", mode=0o755)]),
    (
        "tempdir",
        [file("tmp/a"), file("var/tmp/b"), directory("run/c"), directory("var/run/d")],
        ["run/c", "tmp/a", "var/run/d", "var/tmp/b"],
        [directory("tmp"), directory("var/tmp/x")],
    ),
    (
        "tempdir",
        [file("run/c"), file("usr/lib/tmpfiles.d/a.conf")],
        ["run/c"],
        [directory("run/c"), file("usr/lib/tmpfiles.d/a.conf")],
    ),
    (
        "usrmerge",
        [file("bin/a"), file("lib64"), file("usr/sbin/b")],
        ["bin", "bin/a", "lib64", "usr/sbin", "usr/sbin/b"],
        [link("bin", "usr/bin"), link("usr/sbin", "bin"), file("usr/bin/bin")],
    ),
    ("usrmerge", [file("top"), file("usr/x"), file("sbin/a")], ["sbin", "sbin/a"], [file("top"), file("usr/x"), file("library")]),
    ("varempty", [file("var/empty/a")], ["var/empty/a"], [directory("var/empty")]),
    ("worldwrite", [file("a", mode=0o666)], ["a"], [directory("a", 0o777), link("b", "c"), file("d", mode=0o775)]),
    (
        "binaryarch",
        [file("usr/lib/a.so", elf(machine=183)), file("usr/bin/b", elf(machine=40), 0o755)],
        ["usr/bin/b", "usr/lib/a.so"],
        [file("usr/lib/a.so", library()), file("usr/share/b", elf(machine=183)), file("usr/lib/bpf.so", elf(machine=247))],
    ),
    (
        "unsupportedarch",
        [file("usr/lib/i386/a"), file("usr/b-ppc64le.bin"), file("c.s390x")],
        ["c.s390x", "usr/b-ppc64le.bin", "usr/lib/i386/a"],
        [file("usr/i386x/a"), file("usr/mipsy/b"), file("x86_64/b-ppc64le"), file("sparc")],
    ),
    (
        "nonlinux",
        [file("usr/a-darwin.so"), file("b/Windows/c"), file("d_win64.x"), file("mac-os/e")],
        ["b/Windows/c", "d_win64.x", "mac-os/e", "usr/a-darwin.so"],
        [file("proximosx"), file("windowsill"), file("darwinian")],
    ),
    ("cudaruntimelib", [file("usr/lib/libcuda.so.1")], ["usr/lib/libcuda.so.1"], [file("usr/local/lib/libcuda.so.1")]),
    ("dll", [file("a.dll")], ["a.dll"], [file("a.dll.a")]),
    ("dylib", [file("a.dylib")], ["a.dylib"], [file("a.so")]),
    (
        "duplicate",
        [file("a/x", LARGE), file("b/x", LARGE)],
        ["a/x", "b/x"],
        [
            file("a/x", LARGE),
            hard_link("b/x", "a/x"),
            file("c/LICENSE", LARGE),
            file("d/LICENSE", LARGE),
            file("e/s", b"1"),
            file("f/s", b"1"),
            file("g/y", LARGE),
        ],
    ),
    ("lddcheck", [file("usr/lib/a.so.1", b"x")], ["usr/lib/a.so.1"], [file("usr/lib/a.so.x", b"x")]),
    (
        "pkgconf",
        [file("usr/lib/pkgconfig/a.pc", b"Name: a\n")],
        ["usr/lib/pkgconfig/a.pc"],
        [file("usr/x/pkgconfig/a.pc", b"Name: a\n")],
    ),
    (
        "maninfo",
        [file("usr/share/man/man1/a.1.gz"), file("usr/man/man3p/b.3pm"), file("usr/share/info/c.info-2.xz")],
        ["usr/man/man3p/b.3pm", "usr/share/info/c.info-2.xz", "usr/share/man/man1/a.1.gz"],
        [
            file("usr/share/doc/a.1"),
            file("usr/share/info/x.txt"),
            file("usr/share/man/de/man8/b.8"),
            file("usr/share/man/man1/a"),
        ],
    ),
    ("object", [file("a.o")], ["a.o"], [file("a.so")]),
    ("opt", [file("opt/a")], ["opt/a"], [directory("opt/a")]),
    ("srv", [file("srv/a")], ["srv/a"], [directory("srv/a")]),
    ("usrlocal", [link("usr/local/a", "b")], ["usr/local/a"], [directory("usr/local/bin")]),
    ("python/docs", [directory(f"{SITE}/docs")], [f"{SITE}/docs"], [directory(f"{SITE}/a/docs")]),
    ("python/test", [file(f"{SITE}/tests")], [f"{SITE}/tests"], [directory(f"{SITE}/a/tests")]),
    (
        "python/multiple",
        [directory(f"{SITE}/a"), file(f"{SITE}/b.py")],
        [f"{SITE}/a", f"{SITE}/b.py"],
        [
            directory(f"{SITE}/a"),
            file(f"{SITE}/a.cpython-312.so"),
            file(f"{SITE}/_x.py"),
            directory(f"{SITE}/b-1.dist-info"),
            file(f"{SITE}/c.pth"),
            directory(f"{SITE}/tests"),
        ],
    ),
    (
        "python/docs",
        [directory(SITE), directory("usr/lib/python3.11")],
        ["usr/lib/python3.11", "usr/lib/python3.12"],
        [directory(SITE)],
    ),
    ("sbom", [file("var/lib/db/sbom/a.json")], ["var/lib/db/sbom/a.json"], [file("var/lib/db/sbom/a.spdx.json")]),
    ("staticarchive", [file("a.a")], ["a.a"], [file("a.aa")]),
    (
        "strip",
        [file("usr/bin/a", debugged(), 0o755)],
        ["usr/bin/a"],
        [file("usr/bin/a", program(), 0o755), file("x/a.ko", debugged()), file("y/a.ko.xz", debugged())],
    ),
    (
        "dangling-symlink",
        [link("a", "b"), link("c", "../../x"), link("d", "d")],
        ["a", "c", "d"],
        [link("a", "b"), file("b"), link("c", "/proc/1"), link("e", "a")],
    ),
    (
        "rpath",
        [file("usr/bin/a", program((), "/home/build/lib")), file("usr/bin/b", program((), "/usrx"))],
        ["usr/bin/a", "usr/bin/b"],
        [file("usr/bin/a", program((), "$ORIGIN/../lib:${ORIGIN}:/usr/lib/x"))],
    ),
    (
        "missing-needed",
        [file("usr/bin/a", program(["libx.so"]))],
        ["usr/bin/a"],
        [file("usr/bin/a", program(["libx.so", "liby.so.1"])), file("usr/lib/libx.so", library())],
    ),
    ("owner", [file("a", uid=100)], ["a"], [file("a", uid=100), file("usr/lib/sysusers.d/a.conf")]),
    ("build-path", [file("a", b"/home/build/x")], ["a"], [file("a", b"/home/builx")]),
    (
        "shebang-missing",
        [file("usr/bin/a", b"echo\n", 0o755)],
        ["usr/bin/a"],
        [file("usr/bin/a", b"#!/bin/sh\n", 0o755), file("usr/bin/b", b"x", 0o644)],
    ),
    (
        "world-readable-secrets",
        [file("etc/k", b"-----BEGIN PRIVATE KEY-----\n")],
        ["etc/k"],
        [file("etc/k", b"-----BEGIN PRIVATE KEY-----\n", 0o600)],
    ),
    ("empty-dir-perms", [directory("a", 0o777)], ["a"], [directory("a", 0o1777), directory("b", 0o777), file("b/c")]),
    ("case-collision", [file("a/x"), file("A/X")], ["A", "A/X", "a", "a/x"], [file("a/x"), file("a/y")]),
    ("documentation", [file("README"), file("x/a.md")], ["README", "x/a.md"], [file("READMEs"), file("a.mdx")]),
    ("absolute-symlink", [link("a", "/b")], ["a"], [link("a", "b")]),
    ("undeclared-license", [file("usr/share/licenses/a")], ["usr/share/licenses/a"], [file("usr/share/a")]),
)


@pytest.mark.parametrize(
    ("linter", "bad", "paths", "good"), TABLE, ids=[f"{row[0]}-{number}" for number, row in enumerate(TABLE)]
)
def test_a_linter_finds_what_it_is_for_and_nothing_else(linter: str, bad: list[File], paths: list[str], good: list[File]) -> None:
    found = findings(linter, *bad)
    assert [item.linter for item in found] == [linter] and list(found[0].paths) == paths
    assert findings(linter, *good) == []


def test_every_linter_is_in_a_table_of_tests() -> None:
    elsewhere = {"setcap-missing-file", "file-conflict", "scriptlet-syntax", "empty", "hardening"}
    assert {row[0] for row in TABLE} | elsewhere == set(NAMES)


@pytest.mark.parametrize(
    ("linter", "name", "path"),
    [
        ("dll", "a-dev", "x.dll"),
        ("dylib", "a-dev", "x.dylib"),
        ("staticarchive", "a-static", "x.a"),
        ("staticarchive", "a-dev", "x.a"),
        ("maninfo", "a-doc", "usr/share/man/man1/a.1"),
        ("documentation", "a-doc", "README"),
        ("opt", "a-compat", "opt/x"),
        ("srv", "a-compat", "srv/x"),
        ("usrlocal", "a-compat", "usr/local/x"),
    ],
)
def test_packages_that_are_made_for_it_may(linter: str, name: str, path: str) -> None:
    assert findings(linter, file(path), name=name) == [] != findings(linter, file(path))


def test_debugging_data_may_be_where_it_is_split_off_to() -> None:
    assert findings("strip", file("usr/lib/debug/a", debugged()), name="demo-dbg") == []


def test_the_architecture_is_that_of_the_package() -> None:
    arm = Arch.parse("aarch64")
    assert findings("binaryarch", file("usr/lib/a.so", elf(machine=183)), arch=arm) == []
    (found,) = findings("binaryarch", file("usr/lib/a.so", library()), arch=arm)
    assert found.rows == ((("path", "usr/lib/a.so"), ("arch", "x86_64")),)
    assert findings("unsupportedarch", file("a-riscv64.x"), arch=Arch.parse("riscv64")) == []


def test_an_empty_package_is_right_when_it_exists_for_its_relations() -> None:
    assert [item.message for item in findings("empty")] == ["has no files"]
    assert findings("empty", extra=", dependencies: {runtime: [a]}") == []
    assert findings("empty", extra=", options: {no-provides: true}") == []
    assert findings("empty", file("var/lib/db/sbom/x.spdx.json")) != []
    assert findings("empty", file("a")) == []


def test_protections_are_named_where_they_are_missing() -> None:
    (found,) = findings("hardening", file("usr/bin/a", program(["libc.so.6"])))
    missing = dict(found.rows[0])["missing"]
    assert missing == ("read-only relocations", "immediate binding", "non-executable stack", "stack protector")
    assert findings("hardening", file("usr/lib/a.o", b"\x7fELF" + bytes(60))) == []


def test_capabilities_need_a_file() -> None:
    extra = ", setcap: [{path: /usr/bin/a, add: {cap_net_raw: +ep}, reason: r}]"
    assert findings("setcap-missing-file", file("usr/bin/a"), extra=extra) == []
    assert [item.paths for item in findings("setcap-missing-file", link("usr/bin/a", "b"), extra=extra)] == [("usr/bin/a",)]


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("#!/bin/sh\nif true\n", True),
        ("echo\n", True),
        ("#!/bin/sh\nif true; then echo; fi\n", False),
        ("#!/bin/bash\n[[ a ]]\n", False),
    ],
)
def test_scripts_are_looked_at(script: str, wrong: bool) -> None:
    extra = f", scriptlets: {{post-install: {json.dumps(script)}}}"
    assert bool(findings("scriptlet-syntax", extra=extra)) == wrong


def test_a_trigger_is_a_script_and_paths() -> None:
    assert findings("scriptlet-syntax", extra=", scriptlets: {trigger: {paths: [/a]}}") != []
    assert findings("scriptlet-syntax", extra=", scriptlets: {trigger: {script: '#!/bin/x', paths: [/a]}}") == []


@pytest.mark.parametrize(
    ("main", "other", "conflict"),
    [
        ("", "", True),
        (", dependencies: {replaces: [zz]}", "", False),
        ("", ", dependencies: {replaces: ['demo<2']}", False),
        (", dependencies: {runtime: ['!zz']}", "", False),
        (", dependencies: {provides: ['v=1']}", ", dependencies: {provides: ['v=1']}", False),
        (", dependencies: {provides: [v]}", ", dependencies: {provides: [v]}", True),
    ],
)
def test_two_packages_with_one_file(main: str, other: str, conflict: bool) -> None:
    shown = definition(f"package: {{name: demo, version: 1{main}}}\nsubpackages: [{{name: zz{other}}}]\n")
    one, two = observed(file("a/b"), package="demo"), observed(file("a/b"), directory("a/c"), package="zz")
    settings = LintSettings(("file-conflict",), ())
    found = [conclude(item, AnalysisContext(X86_64, shown, (one, two), lint=settings)).findings for item in (one, two)]
    assert [len(item) for item in found] == ([1, 0] if conflict else [0, 0])
    assert not conflict or (found[0][0].required and found[0][0].paths == ("a/b",))


def test_a_link_may_lead_into_another_package_of_the_build() -> None:
    other = observed(file("usr/lib/a.so.1", library("a.so.1")), package="demo-libs")
    assert findings("dangling-symlink", link("usr/lib/a.so", "a.so.1"), siblings=(other,)) == []
    assert findings("missing-needed", file("usr/bin/x", program(["a.so"])), siblings=(other,)) != []


@pytest.mark.parametrize(
    ("pipeline", "linter"), [("test/ldd-check", "lddcheck"), ("test/tw/ldd-check", "lddcheck"), ("test/pkgconf", "pkgconf")]
)
def test_a_test_at_any_depth_counts(pipeline: str, linter: str) -> None:
    from apkiln.package.compilation.resolving import load

    items = [file("usr/lib/a.so", b"x"), file("usr/lib/pkgconfig/a.pc", b"Name: a\n")]
    text = DEMO + f"test: {{pipeline: [{{name: x, pipeline: [{{uses: {pipeline}}}]}}]}}\n"
    for content, found in ((text, 0), (DEMO, 1)):
        shown = load(content.encode(), "x").evaluated.definition
        context = AnalysisContext(X86_64, shown, lint=LintSettings((), (linter,)))
        assert len(conclude(observed(*items), context).findings) == found


def test_a_disabled_check_warns_for_its_package_alone() -> None:
    text = DEMO.rstrip()[:-1] + ", checks: {disabled: [opt, setuidgid]}}\nsubpackages: [{name: demo-x}]\n"
    shown = definition(text)
    facts = [observed(file("usr/bin/a" + name, mode=0o4755), package=name) for name in ("demo", "demo-x")]
    found = [conclude(item, AnalysisContext(X86_64, shown, tuple(facts))).findings for item in facts]
    assert [[(item.linter, item.required) for item in part] for part in found] == [[("setuidgid", False)], [("setuidgid", True)]]


def test_lists_replace_the_defaults_and_unknown_names_are_refused() -> None:
    settings = LintSettings(("strip",), ())
    assert settings.of("strip", Default.WARNED, ()) is Default.REQUIRED
    assert settings.of("dev", Default.REQUIRED, ()) is Default.OFF
    assert LintSettings(None, ("dev",)).of("dev", Default.REQUIRED, ("dev",)) is Default.WARNED
    with pytest.raises(UsageError) as error:
        LintSettings(("stripp",), ()).check()
    assert error.value.reason == "unknown-linter" and "`strip`" in error.value.hint


def test_defaults_are_those_of_the_specification() -> None:
    required = {item.name for item in LINTERS if item.default is Default.REQUIRED}
    assert required == {"dev", "infodir", "libtool/la-files", "setuidgid", "tempdir", "usrmerge", "varempty", "worldwrite"} | {
        "setcap-missing-file",
        "file-conflict",
    }
    assert {item.name for item in LINTERS if item.default is Default.OFF} == {
        "documentation", "empty", "absolute-symlink", "hardening", "undeclared-license",
    }  # fmt: skip


def test_results_have_details_of_their_kind() -> None:
    found = [
        *findings("setuidgid", file("a", mode=0o6755)),
        *findings("duplicate", file("a/x", LARGE), file("b/x", LARGE)),
        *findings("nonlinux", file("a.win32")),
        *findings("opt", file("opt/a")),
        *findings("empty"),
        *findings("worldwrite", file("b", mode=0o772), file("c", mode=0o622)),
        *findings("python/multiple", file(f"{SITE}/one.py"), file(f"{SITE}/two/x")),
    ]
    shown = results("demo-1.2-r3", found)
    details = {name: rows[0].get("details") for name, rows in shown["findings"].items()}
    assert shown["package_name"] == "demo-1.2-r3"
    assert details["setuidgid"] == {"files": [{"path": "a", "mode": "6755", "permissions": ["setuid", "setgid"]}]}
    assert details["nonlinux"] == {"references": [{"path": "a.win32", "platform": "windows"}]}
    assert details["opt"] == {"paths": ["opt/a"]} and details["empty"] is None
    assert [row["permissions"] for row in details["worldwrite"]["files"]] == [
        ["world-writable", "executable"],
        ["world-writable"],
    ]
    assert details["python/multiple"] == {"count": 2, "packages": ["one", "two"]}
    copies = details["duplicate"]
    assert (
        copies["total_duplicate_sets"] == 1 and copies["total_wasted_bytes"] == 2048 and copies["total_wasted_size"] == "2.0 kB"
    )
    assert copies["duplicates"][0]["paths"] == ["a/x", "b/x"] and copies["duplicates"][0]["count"] == 2


def test_copies_are_sorted_by_what_they_waste() -> None:
    items = [file(f"{place}/{name}", name.encode() * size) for name, size in (("s", 1100), ("l", 9000)) for place in "ab"]
    (found,) = findings("duplicate", *items)
    assert [dict(row)["basename"] for row in found.rows] == ["l", "s"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1.0 kB"),
        (9960, "10 kB"),
        (999_999, "1000 kB"),
        (3_020_983, "3.0 MB"),
        (5 << 50, "5630 TB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert human(size) == text
