"""What ELF files say of their protection and debugging data; nothing outside the file is looked at."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_elf import make_elf

from apkiln.formats.elf import ElfObject, read_elf, read_object


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_dynamic_data_is_the_same(bits: int, order: str) -> None:
    data = make_elf(bits, order, ("liba.so.1",), "libx.so", "", "/a")
    found = read_object(data)
    assert found is not None and found.facts == read_elf(data) and found.type == 3
    assert read_object(memoryview(data)) == found


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_damage_is_no_crash(noise: bytes, place: int) -> None:
    data = bytearray(make_elf(64, "<", ("liba.so.1",), "libx.so", "/lib/ld.so", "/a"))
    data[place : place + len(noise)] = noise
    found = read_object(bytes(data))
    assert found is None or isinstance(found, ElfObject)


@given(st.integers(min_value=0, max_value=(1 << 64) - 1), st.integers(min_value=0, max_value=65535), st.integers(0, 65535))
def test_a_table_of_sections_anywhere_is_no_crash(offset: int, count: int, names: int) -> None:
    data = bytearray(make_elf(64, "<", (), "", "", ""))
    data[40:48] = offset.to_bytes(8, "little")
    data[58:64] = struct.pack("<HHH", 64, count, names)
    assert read_object(bytes(data)) is not None


def test_programs_of_this_machine_agree_with_another_reader() -> None:
    elftools = pytest.importorskip("elftools.elf.elffile")
    programs = [path for name in ("bash", "ls", "python3", "tar") if (path := Path("/usr/bin", name)).exists()]
    if not programs:
        pytest.skip("no programs in /usr/bin")
    for path in programs:
        content = path.read_bytes()
        found = read_object(content)
        if found is None:
            continue
        with path.open("rb") as stream:
            other = elftools.ELFFile(stream)
            kinds = [segment["p_type"] for segment in other.iter_segments()]
            dynamic = other.get_section_by_name(".dynamic")
            tags = {tag.entry.d_tag: tag.entry.d_val for tag in dynamic.iter_tags()} if dynamic is not None else {}
            stack = [segment["p_flags"] for segment in other.iter_segments() if segment["p_type"] == "PT_GNU_STACK"]
            names = {section.name for section in other.iter_sections()}
        assert found.relro == ("PT_GNU_RELRO" in kinds)
        assert found.bind_now == (
            bool(tags.get("DT_FLAGS", 0) & 8) or bool(tags.get("DT_FLAGS_1", 0) & 1) or "DT_BIND_NOW" in tags
        )
        assert found.executable_stack == bool(not stack or stack[0] & 1)
        assert found.debug == (".debug_info" in names)
        assert found.stack_protector == (b"__stack_chk_fail" in content)
