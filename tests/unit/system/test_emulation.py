"""The registration fits programs of its architecture and no others."""

from __future__ import annotations

import re
import struct

import pytest

from apkiln.core.arch import KNOWN
from apkiln.core.errors import EnvironmentFault
from apkiln.system.emulation import emulator_for, registration


def matches(line: str, header: bytes) -> bool:
    """Whether the kernel would use the entry for a file that begins so."""
    _empty, _name, kind, offset, pattern, mask, _program, _flags = line.split(":")
    assert (kind, offset) == ("M", "")
    magic, bits = (bytes.fromhex(re.sub(r"\\x", "", text)) for text in (pattern, mask))
    return len(header) >= len(magic) and all(
        byte & bit == want & bit for byte, bit, want in zip(header, bits, magic, strict=False)
    )


def elf(machine: int, *, bits: int = 64, order: str = "<", kind: int = 2, system: int = 0) -> bytes:
    begin = b"\x7fELF" + bytes((1 if bits == 32 else 2, 1 if order == "<" else 2, 1, system)) + bytes(8)
    return begin + struct.pack(f"{order}HH", kind, machine) + bytes(40)


@pytest.mark.parametrize(
    ("architecture", "header"),
    [
        ("aarch64", elf(0xB7)),
        ("aarch64", elf(0xB7, kind=3, system=3)),
        ("armv7", elf(0x28, bits=32)),
        ("riscv64", elf(0xF3)),
        ("s390x", elf(0x16, order=">")),
        ("ppc64le", elf(0x15)),
    ],
)
def test_programs_of_the_architecture_fit(architecture: str, header: bytes) -> None:
    assert matches(registration(architecture, "/usr/bin/qemu"), header)


@pytest.mark.parametrize("header", [elf(0x3E), elf(0xB7, bits=32), elf(0xB7, order=">"), elf(0xB7, kind=1), b"#!/bin/sh\n" * 9])
def test_nothing_else_fits(header: bytes) -> None:
    assert not matches(registration("aarch64", "/usr/bin/qemu"), header)


@pytest.mark.parametrize("architecture", [arch.apk for arch in KNOWN])
def test_no_raw_byte_can_end_the_pattern(architecture: str) -> None:
    line = registration(architecture, "/usr/bin/qemu")
    assert line.isprintable() and line.count(":") == 7 and line.endswith(":FP") and len(line) < 1900


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", "x86_64"), ("x86", "x86_64"), ("aarch64", "aarch64")])
def test_a_machine_runs_its_own_programs(architecture: str, machine: str) -> None:
    assert emulator_for(architecture, machine, "/nonexistent") == ""


def test_a_missing_emulator_is_told_with_its_package() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        emulator_for("aarch64", "x86_64", "/nonexistent")
    assert caught.value.reason == "no-emulator" and "qemu-user-static" in caught.value.hint
