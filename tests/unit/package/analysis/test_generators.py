"""Relations that follow from files, one table row for each rule; options; siblings; order."""

from __future__ import annotations

import gzip
import lzma
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.package_workshop import (
    DEMO,
    X86_64,
    analysed,
    definition,
    directory,
    file,
    hard_link,
    library,
    link,
    observed,
    program,
)

from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import Entry
from apkiln.package.analysis.concluding import conclude, conclude_all
from apkiln.package.analysis.conclusion import AnalysisContext
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.analysis.rules import DEFAULT_RULES

V = "1.2-r3"
File = tuple[Entry, bytes]
PC = b"prefix=/usr\nlibdir=${prefix}/lib\nName: a\nRequires: b >= 1.0, c\nRequires.private: d\nLibs: -L${libdir}\n"


def script(path: str, first: str, mode: int = 0o755) -> File:
    return file(path, f"#!{first}\n:\n".encode(), mode)


@pytest.mark.parametrize(
    ("items", "depends", "provides", "vendored"),
    [
        pytest.param(
            [file("usr/lib/x/p", program(["libz.so.1"]), 0o755)],
            ["so:ld-linux-x86-64.so.2", "so:libz.so.1"],
            [],
            [],
            id="program",
        ),
        pytest.param(
            [file("usr/lib/liba.so.1", library("liba.so.1"))],
            [],
            [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"],
            [],
            id="library without execute bit",
        ),
        pytest.param(
            [file("lib64/liba.so.1.2", library("liba.so.1.2"))],
            [],
            [f"so-ver:liba.so.1.2={V}", "so:liba.so.1.2=1.2"],
            [],
            id="lib64",
        ),
        pytest.param(
            [file("usr/lib/liba-2.so", library("liba-2.so"))],
            [],
            [f"so-ver:liba-2.so={V}", "so:liba-2.so=0"],
            [],
            id="version in name",
        ),
        pytest.param(
            [file("usr/lib/x/liba.so.1", library("liba.so.1"))], [], [], [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"], id="private"
        ),
        pytest.param(
            [file("usr/lib/x/liba.so.1", library("liba.so.1")), file("usr/libexec/p", program(["liba.so.1"]))],
            ["so:ld-linux-x86-64.so.2"],
            [],
            [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"],
            id="own private library",
        ),
        pytest.param(
            [file("usr/lib/a.so", library("", ["libb.so", "libc.so.6"]))], ["so:libc.so.6"], [], [], id="plain names are ignored"
        ),
        pytest.param(
            [file("usr/libexec/p", library("", ["libcuda.so.1"])), file("usr/lib/libcuda.so.1", library("libcuda.so.1"))],
            [],
            [],
            [],
            id="drivers come from the host",
        ),
        pytest.param(
            [file("etc/ld.so.conf.d/a.conf", b"# x\ninclude y\n/opt/a/lib\n"), file("opt/a/lib/liba.so.1", library("liba.so.1"))],
            [],
            [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"],
            [],
            id="loader configuration",
        ),
        pytest.param(
            [file("usr/lib/liba.so.1", library("liba.so.1")), link("usr/lib/liba.so", "liba.so.1")],
            [],
            [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"],
            [],
            id="own link",
        ),
        pytest.param([link("usr/lib/liba.so", "liba.so.1")], [], [], [], id="dangling link"),
        pytest.param([link("usr/lib/a.so", "b.so"), link("usr/lib/b.so", "a.so")], [], [], [], id="circle"),
        pytest.param(
            [file("usr/lib/x/liba.so.1", library("liba.so.1")), link("usr/lib/liba.so.1", "x/liba.so.1")],
            [],
            [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"],
            [f"so-ver:liba.so.1={V}", "so:liba.so.1=1"],
            id="link from a library directory",
        ),
        pytest.param([file("usr/bin/a", b"\0", 0o755), file("usr/bin/b", b"\0", 0o644)], [], [f"cmd:a={V}"], [], id="commands"),
        pytest.param(
            [file("usr/bin/a", b"\0", 0o755), hard_link("usr/bin/b", "usr/bin/a")], [], [f"cmd:a={V}"], [], id="mode of a name"
        ),
        pytest.param([file("usr/bin/sub/a", b"\0", 0o755), file("opt/bin/a", b"\0", 0o755)], [], [], [], id="no commands"),
        pytest.param([file("usr/bin/a", b"\x7fELF", 0o755)], [], [], [], id="broken elf is no command"),
        pytest.param(
            [file("usr/bin/a", b"\0", 0o755), link("usr/bin/b", "a")], [], [f"cmd:a={V}"], [], id="links are no commands"
        ),
        pytest.param([file("usr/lib/pkgconfig/a.pc", PC)], ["pc:b", "pc:c", "pc:d"], [f"pc:a={V}"], [], id="pkg-config"),
        pytest.param(
            [file("usr/share/pkgconfig/b.pc", b"Name: b\n"), file("usr/lib/pkgconfig/a.pc", PC)],
            ["pc:c", "pc:d"],
            [f"pc:a={V}", f"pc:b={V}"],
            [],
            id="own module",
        ),
        pytest.param([file("usr/lib/x/a.pc", PC)], [], [], [f"pc:a={V}"], id="private module"),
        pytest.param([file("usr/lib/pkgconfig/a.pc", b"Requires: ${no}\n")], [], [], [], id="module that cannot be read"),
        pytest.param([link("usr/lib/pkgconfig/a.pc", "b.pc")], [], [], [], id="link to a module"),
        pytest.param([directory("usr/lib/perl5/vendor_perl")], ["perl~5"], [], [], id="perl"),
        pytest.param([directory("lib/perl6/site_perl")], ["perl~6"], [], [], id="perl below lib"),
        pytest.param(
            [directory("usr/lib/python3.9/site-packages"), directory("usr/lib/python3.12/site-packages")],
            ["python-3.9-base"],
            [],
            [],
            id="last python of the walk",
        ),
        pytest.param([directory("usr/lib/python/site-packages")], [], [], [], id="python without version"),
        pytest.param([directory("usr/lib/ruby/gems/3.2.0/gems")], ["ruby-3.2"], [], [], id="ruby"),
        pytest.param(
            [script("usr/bin/a", "/usr/bin/env perl -w"), script("usr/bin/b", "/usr/bin/perl -w", 0o644)],
            ["cmd:perl"],
            [f"cmd:a={V}"],
            [],
            id="scripts",
        ),
        pytest.param([script("usr/bin/x/y/a", "/bin/bash")], ["cmd:bash"], [], [], id="scripts at any depth"),
        pytest.param([script("usr/sbin/a", "/bin/bash")], ["cmd:bash"], [f"cmd:a={V}"], [], id="scripts of sbin"),
        pytest.param(
            [script("usr/bin/a", "/bin/sh"), script("usr/share/a", "/bin/bash")], [], [f"cmd:a={V}"], [], id="ignored scripts"
        ),
        pytest.param(
            [script("usr/bin/a", "/usr/bin/env X=1 ruby"), script("usr/bin/b", "/bin/env -S Y=2 lua -x")],
            ["cmd:lua", "cmd:ruby"],
            [f"cmd:a={V}", f"cmd:b={V}"],
            [],
            id="env assignments",
        ),
        pytest.param([file("usr/lib/modules/6.1/a.ko", b"..vermagic=6.1.2-x SMP\0")], ["linux:6.1.2-x"], [], [], id="module"),
        pytest.param(
            [file("lib/modules/6.1/a.ko.gz", gzip.compress(b"vermagic=6.1\0"))], ["linux:6.1"], [], [], id="module gzip"
        ),
        pytest.param([file("lib/modules/6.1/a.ko.xz", lzma.compress(b"vermagic=6.1\0"))], ["linux:6.1"], [], [], id="module xz"),
        pytest.param([file("boot/vmlinuz", b"\0" * 600 + b"Linux version 6.5-z (x@y)\n")], [], ["linux:6.5-z"], [], id="image"),
        pytest.param([file("boot/vmlinuz", gzip.compress(b"Linux version 6.5 (x)\n"))], [], ["linux:6.5"], [], id="image gzip"),
        pytest.param(
            [file("boot/vmlinuz", b"MZ junk " + gzip.compress(b"Linux version 6.7 (x)\n") + b"tail")],
            [],
            ["linux:6.7"],
            [],
            id="image with gzip inside",
        ),
        pytest.param(
            [file("boot/System.map-6.5", b"Linux version 6.5 (x)\n"), file("usr/share/k", b"Linux version 1 ")],
            [],
            [],
            [],
            id="no image",
        ),
    ],
)
def test_files_say(items: Sequence[File], depends: list[str], provides: list[str], vendored: list[str]) -> None:
    found = analysed(*items)
    assert (list(found.depends), list(found.provides), list(found.vendored)) == (depends, provides, vendored)


def test_kernel_image_with_a_header_and_as_a_section() -> None:
    image = bytearray(2048)
    image[514:518] = b"HdrS"
    image[526:528] = (0x100).to_bytes(2, "little")
    image[0x300:0x310] = b"6.6.6-arch (x)\0\0"
    assert analysed(file("boot/vmlinuz", bytes(image))).provides == ("linux:6.6.6-arch",)
    header = bytearray(512)
    header[:2], header[0x3C:0x40] = b"MZ", (64).to_bytes(4, "little")
    header[64:68], header[70:72] = b"PE\0\0", (1).to_bytes(2, "little")
    header[88:96] = b".linux\0\0"
    header[88 + 16 : 88 + 24] = len(image).to_bytes(4, "little") + (512).to_bytes(4, "little")
    assert analysed(file("boot/linux.efi", bytes(header + image))).provides == ("linux:6.6.6-arch",)


@pytest.mark.parametrize(
    ("text", "items", "depends", "provides"),
    [
        ("options: {no-commands: true}", [script("usr/bin/a", "/bin/bash")], [], []),
        ("options: {no-depends: true}", [script("usr/bin/a", "/bin/bash")], [], [f"cmd:a={V}"]),
        ("options: {no-provides: true}", [script("usr/bin/a", "/bin/bash")], ["cmd:bash"], []),
        (
            "dependencies: {runtime: [python3, b], provides: [x=1]}",
            [directory("usr/lib/python3.9/site-packages")],
            ["b", "python3"],
            ["x=1"],
        ),
        ("dependencies: {runtime: [perl]}", [directory("usr/lib/perl5/vendor_perl")], ["perl"], []),
        ("dependencies: {runtime: ['perl>5']}", [directory("usr/lib/perl5/vendor_perl")], ["perl>5", "perl~5"], []),
        ("dependencies: {runtime: [ruby-3.4]}", [directory("usr/lib/ruby/gems/3.2.0/gems")], ["ruby-3.4"], []),
        ("dependencies: {runtime: [foo, 'bar=1'], provides: ['foo=1', bar]}", [], ["bar=1"], ["bar", "foo=1"]),
    ],
)
def test_what_is_declared_counts(text: str, items: Sequence[File], depends: list[str], provides: list[str]) -> None:
    found = analysed(*items, text=DEMO.rstrip()[:-1] + f", {text}}}\n")
    assert (list(found.depends), list(found.provides)) == (depends, provides)


SUB = DEMO + "subpackages: [{name: demo-dev}, {name: demo-libs}]\n"


def test_a_link_to_a_library_of_another_package_depends_on_it() -> None:
    libraries = observed(file("usr/lib/liba.so.1.0", library("liba.so.1")), package="demo-libs")
    shown = definition(SUB)
    dev = observed(link("usr/lib/liba.so", "liba.so.1.0"), package="demo-dev")
    assert conclude(dev, AnalysisContext(X86_64, shown, (libraries, dev))).depends == ("so:liba.so.1",)


def test_linker_configuration_of_another_package_counts() -> None:
    other = observed(file("etc/ld.so.conf.d/a.conf", b"/opt/a\n"), package="demo-libs")
    found = analysed(file("opt/a/liba.so.1", library("liba.so.1")), text=SUB, siblings=[other])
    assert found.provides == (f"so-ver:liba.so.1={V}", "so:liba.so.1=1")


def guest(provides: str) -> tuple[IndexRecord, ...]:
    return (IndexRecord("g", "1", "x86_64", bytes(20), 1, 1, provides=provides),)


@pytest.mark.parametrize(
    ("needed", "wanted"),
    [
        ("libg.so.1", "so-ver:libg.so.1>=7-r1"),
        ("liba.so.1", f"so-ver:liba.so.1>={V}"),
        ("libx.so.1", ""),
        ("ld-linux-x86-64.so.2", ""),
    ],
)
def test_versions_of_libraries_are_those_of_the_build(needed: str, wanted: str) -> None:
    rules = DEFAULT_RULES._replace(versioned_libraries=True)
    other = observed(file("usr/lib/liba.so.1", library("liba.so.1")), package="demo-libs")
    where: dict[str, Any] = {
        "siblings": [other],
        "rules": rules,
        "guest": guest("so-ver:libg.so.1=7-r1 so-ver:ld-linux-x86-64.so.2=1"),
    }
    found = analysed(file("usr/libexec/p", library("", [needed])), text=SUB, **where)
    assert [item for item in found.depends if item.startswith("so-ver:")] == ([wanted] if wanted else [])
    off = DEMO.rstrip()[:-1] + ", options: {no-versioned-shlib-deps: true}}\n"
    assert not any(
        item.startswith("so-ver:") for item in analysed(file("usr/libexec/p", library("", [needed])), text=off, **where).depends
    )


def test_a_package_asks_for_no_version_of_its_own_library() -> None:
    rules = DEFAULT_RULES._replace(versioned_libraries=True)
    items = [file("usr/lib/liba.so.1", library("liba.so.1")), file("usr/libexec/p", library("", ["liba.so.1"]))]
    assert analysed(*items, rules=rules).depends == ()


def test_links_are_commands_where_a_distribution_wants_them() -> None:
    rules = DEFAULT_RULES._replace(command_links=True)
    items = [file("usr/libexec/a", b"\0", 0o755), link("usr/bin/b", "../libexec/a"), link("usr/bin/c", "nowhere")]
    assert analysed(*items, rules=rules).provides == (f"cmd:b={V}",)


@given(st.randoms(use_true_random=False))
def test_the_order_of_entries_makes_no_difference(mixed: random.Random) -> None:
    items = [
        file("usr/lib/liba.so.1", library("liba.so.1", ["libb.so.2"])),
        link("usr/lib/liba.so", "liba.so.1"),
        script("usr/bin/a", "/bin/bash"),
        directory("usr/lib/python3.9/site-packages"),
        directory("usr/lib/python3.10/site-packages"),
        file("usr/lib/x/libb.so.2", library("libb.so.2")),
        file("usr/lib/pkgconfig/a.pc", PC),
    ]
    first = observed(*items)
    shown = definition(SUB)
    mixed.shuffle(items)
    second = observed(*items)
    siblings = [observed(file("opt/x", b"1"), package="demo-dev"), observed(file("opt/y", b"2"), package="demo-libs")]
    mixed.shuffle(siblings)
    one = conclude(first, AnalysisContext(X86_64, shown, (first, *siblings)))
    assert conclude(TreeFacts("demo", second.entries, second.files), AnalysisContext(X86_64, shown, tuple(siblings[::-1]))) == one


def test_all_together_are_each_by_itself() -> None:
    shown = definition(SUB)
    facts = (
        observed(file("usr/libexec/p", program(["liba.so.1"])), package="demo"),
        observed(link("usr/lib/liba.so", "liba.so.1"), package="demo-dev"),
        observed(file("usr/lib/liba.so.1", library("liba.so.1")), package="demo-libs"),
    )
    context = AnalysisContext(X86_64, shown, facts, rules=DEFAULT_RULES._replace(versioned_libraries=True))
    assert conclude_all(context) == tuple(conclude(item, context) for item in facts)
    assert conclude_all(context)[1].depends == ("so:liba.so.1",)


def test_a_script_with_several_words_for_env_is_told() -> None:
    found = analysed(script("usr/bin/a", "/usr/bin/env bash -x"), file("usr/lib/pkgconfig/a.pc", b"Requires: ${no}\n"))
    assert [note.partition(":")[0] for note in found.notes] == ["usr/lib/pkgconfig/a.pc", "usr/bin/a"]


def test_names_that_apk_cannot_read_are_left_out_with_a_remark() -> None:
    module = b'Name: a\nRequires: b $(c) >= 1 "d"\n'
    found = analysed(
        file("usr/bin/sp ace", b"x", 0o755), file("usr/bin/plain", b"x", 0o755), file("usr/lib/pkgconfig/a.pc", module)
    )
    assert (found.depends, found.provides) == (("pc:b",), (f"cmd:plain={V}", f"pc:a={V}"))
    assert [note.partition("`")[2].partition("`")[0] for note in found.notes] == ['pc:"d"', "pc:$(c)", f"cmd:sp ace={V}"]
