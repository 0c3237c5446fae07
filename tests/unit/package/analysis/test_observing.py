"""Facts are the same however a content arrives, and each content is asked for once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.package_workshop import file, library, observed, program

from apkiln.core.limits import MIB
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.package.analysis import facts as marks
from apkiln.package.analysis.observing import HELD, Observer, file_facts


def pieces(content: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted({cut % (len(content) + 1) for cut in cuts}), len(content)]
    return [content[one:two] for one, two in pairwise(borders)]


@given(st.lists(st.integers(min_value=0, max_value=4000), max_size=12))
def test_facts_do_not_depend_on_the_borders_of_chunks(cuts: list[int]) -> None:
    content = program(["liba.so.1"]) + b"x" * 1500 + b"/home/build/melange-out" + b"y" * 900
    entry = Entry("usr/bin/a", EntryType.FILE, 0o755, size=len(content))
    whole = file_facts(entry, [content], whole=True, alike=True)
    assert whole is not None and whole.elf is not None and whole.marks == (marks.BUILD_PATH,)
    assert file_facts(entry, [piece for piece in pieces(content, cuts) if piece], whole=True, alike=True) == whole


@pytest.mark.parametrize(
    ("path", "mode", "content", "wanted"),
    [
        ("usr/bin/a", 0o755, b"#!/bin/sh\necho\n", marks.FileFacts(first_line=b"#!/bin/sh")),
        ("usr/share/a", 0o644, b"#!/bin/sh\necho\n", marks.FileFacts(first_line=b"#!/bin/sh")),
        ("usr/share/a", 0o644, b"text\n", marks.NOTHING),
        ("usr/bin/a", 0o755, b"text\n", marks.FileFacts(marks=(marks.PLAIN_TEXT,))),
        ("usr/bin/a", 0o644, b"text\n", marks.NOTHING),
        ("usr/bin/a", 0o755, b"\0text\n", marks.NOTHING),
        ("usr/bin/a", 0o755, b"\x7fELF", marks.FileFacts(marks=(marks.DAMAGED_ELF,))),
        ("etc/k", 0o644, b"-----BEGIN RSA PRIVATE KEY-----\n", marks.FileFacts(marks=(marks.PRIVATE_KEY,))),
        ("etc/k", 0o644, b"-----BEGIN PUBLIC KEY-----\n", marks.NOTHING),
        ("usr/lib/pkgconfig/a.pc", 0o644, b"Name: a\n", marks.FileFacts(text=b"Name: a\n")),
        ("etc/ld.so.conf.d/a.conf", 0o644, b"/opt\n", marks.FileFacts(text=b"/opt\n")),
        ("etc/a.conf", 0o644, b"/opt\n", marks.NOTHING),
    ],
)
def test_what_a_file_says(path: str, mode: int, content: bytes, wanted: marks.FileFacts) -> None:
    assert observed(file(path, content, mode)).of(path) == wanted


def test_a_first_line_is_cut_where_the_kernel_stops_reading() -> None:
    content = b"#!/" + b"x" * 400 + b"\n"
    assert observed(file("usr/bin/a", content)).of("usr/bin/a").first_line == content[:256]


def test_only_files_that_could_be_copies_are_hashed() -> None:
    large, other = b"same" * 300, b"diff" * 300
    found = observed(file("a/x", large), file("b/x", large), file("c/x", other[:-1]), file("d/y", large), file("e/s", b"s" * 9))
    assert found.of("a/x").sha256 == found.of("b/x").sha256 == hashlib.sha256(large).digest()
    assert not found.of("c/x").sha256 and not found.of("d/y").sha256


def test_a_reading_that_is_left_leaves_no_facts() -> None:
    entry = Entry("usr/lib/a.so", EntryType.FILE, size=len(library("a.so")))
    observer = Observer("demo", [entry])
    next(iter(observer.reader(lambda _: (library("a.so")[:10], library("a.so")[10:]))("usr/lib/a.so")))
    assert not observer.facts().files


def test_a_large_file_is_kept_from_the_first_reading_to_the_second() -> None:
    content = library("big.so") + bytes(17 * MIB)
    entry = Entry("usr/lib/big.so", EntryType.FILE, size=len(content))
    reads: Counter[str] = Counter()

    def source(path: str) -> Iterator[bytes]:
        reads[path] += 1
        yield content

    observer = Observer("demo", [entry])
    read = observer.reader(source)
    assert b"".join(read(entry.path)) == b"".join(read(entry.path)) == content
    assert reads == {entry.path: 1}
    elf = observer.facts().of(entry.path).elf
    assert elf is not None and elf.facts.soname == "big.so"


def test_what_is_too_large_is_marked_and_not_taken_for_damaged() -> None:
    entry = Entry("usr/lib/huge.so", EntryType.FILE, size=HELD + 1)
    found = file_facts(entry, [library("huge.so")[:100]], whole=False, alike=True)
    assert found == marks.FileFacts(marks=(marks.TOO_LARGE,))


def test_entries_come_in_the_order_of_a_walk() -> None:
    entries = [Entry(path, EntryType.FILE) for path in ("b", "a/c", "a-b", "a/b/d", "ä")]
    entries.append(Entry("a", EntryType.DIRECTORY))
    found = Observer("demo", entries).facts()
    assert [entry.path for entry in found.entries] == ["a", "a/b/d", "a/c", "a-b", "b", "ä"]
