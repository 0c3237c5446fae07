"""Dynamic data of ELF files: against files made here, against pyelftools, and hostile ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_elf import make_elf

from apkiln.formats.elf import ElfFacts, read_elf


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_was_written_is_read(bits: int, order: str) -> None:
    data = make_elf(bits, order, ("liba.so.1", "libc.so.6"), "libx.so.2", "/lib/ld.so", "/a:/b")
    assert read_elf(data) == ElfFacts(62, bits, "/lib/ld.so", "libx.so.2", ("liba.so.1", "libc.so.6"), ("/a", "/b"))
    assert read_elf(memoryview(data)) == read_elf(data)


@given(st.integers(0, 400), st.integers(0, 255), st.integers(1, 400))
def test_damage_gives_facts_or_nothing(position: int, value: int, length: int) -> None:
    data = bytearray(make_elf(64, "<", ("liba.so.1",), "libx.so", "/lib/ld.so", ""))
    data[position % len(data)] = value
    for broken in (bytes(data), bytes(data[:length])):
        found = read_elf(broken)
        assert found is None or isinstance(found, ElfFacts)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"\x7fELF" + bytes(60), b"#!/bin/sh\n" * 10, b"\x7fELF\x02\x01" + b"\xff" * 100]
)
def test_no_elf(data: bytes) -> None:
    assert read_elf(data) is None


def test_agrees_with_pyelftools_on_real_files() -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    dynamic = pytest.importorskip("elftools.elf.dynamic")
    candidates = [Path(sys.executable).resolve(), *sorted(Path(sys.prefix).rglob("*.so"))[:20]]
    compared = 0
    for path in candidates:
        data = path.read_bytes()
        facts = read_elf(data)
        if facts is None:
            continue
        with path.open("rb") as stream:
            section = next(
                (item for item in elffile.ELFFile(stream).iter_segments() if isinstance(item, dynamic.DynamicSegment)), None
            )
            needed = [tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"] if section else []
        assert list(facts.needed) == needed
        compared += 1
    if not compared:
        pytest.skip("no ELF file here")
