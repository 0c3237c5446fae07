"""The filter as the kernel would run it: every refused call by number and arguments, everything else through."""

from __future__ import annotations

import struct

import pytest

from apkiln.system.system_call_filter import system_call_filter

ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028


def verdict(program: bytes, architecture: int, number: int, first: int = 0, second: int = 0) -> int:
    """Run the program on one call, as the kernel does."""
    data = struct.pack("<IIQQQQQQQ", number, architecture, 0, first, second, 0, 0, 0, 0)
    instructions = [struct.unpack_from("<HBBI", program, offset) for offset in range(0, len(program), 8)]
    position, accumulator = 0, 0
    while True:
        code, true, false, value = instructions[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            tests = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}
            position += true if tests[code] else false


@pytest.mark.parametrize(("machine", "architecture", "mount"), [("x86_64", X86_64, 165), ("aarch64", AARCH64, 40)])
def test_mounting_is_refused_and_reading_is_not(machine: str, architecture: int, mount: int) -> None:
    program = system_call_filter(machine)
    assert verdict(program, architecture, mount) == EPERM
    assert verdict(program, architecture, 1) == ALLOW or architecture == AARCH64
    assert verdict(program, architecture, 63) == ALLOW  # uname on x86-64, read on aarch64


@pytest.mark.parametrize("number", [246, 248, 250, 272 + 36, 298, 321, 155, 175, 428, 442])
def test_reaching_out_of_a_build_is_refused(number: int) -> None:
    assert verdict(system_call_filter("x86_64"), X86_64, number) == EPERM


@pytest.mark.parametrize("number", [425, 435, 0x40000000 + 1])
def test_calls_that_cannot_be_looked_into_do_not_exist(number: int) -> None:
    assert verdict(system_call_filter("x86_64"), X86_64, number) == ENOSYS


@pytest.mark.parametrize("number", [56, 272])
@pytest.mark.parametrize(("flags", "expected"), [(0x10000000, EPERM), (0x10020000, EPERM), (0x00020000, ALLOW), (17, ALLOW)])
def test_only_user_namespaces_are_refused_to_clone_and_unshare(number: int, flags: int, expected: int) -> None:
    assert verdict(system_call_filter("x86_64"), X86_64, number, flags) == expected


@pytest.mark.parametrize(("request_", "expected"), [(0x5412, EPERM), (0x5413, ALLOW)])
def test_pushing_input_back_is_the_only_refused_ioctl(request_: int, expected: int) -> None:
    assert verdict(system_call_filter("x86_64"), X86_64, 16, 3, request_) == expected


def test_a_second_architecture_of_the_machine_has_its_own_numbers() -> None:
    program = system_call_filter("x86_64")
    assert verdict(program, I386, 21) == EPERM  # mount
    assert verdict(program, I386, 165) == ALLOW  # not mount there
    assert verdict(program, ARM, 1) == EPERM  # nothing of a foreign one


def test_jumps_stay_inside_the_program() -> None:
    for machine in ("x86_64", "aarch64"):
        program = system_call_filter(machine)
        count = len(program) // 8
        for offset in range(count):
            code, true, false, _ = struct.unpack_from("<HBBI", program, offset * 8)
            assert code in (0x20, 0x06) or offset + 1 + max(true, false) < count


def test_an_unknown_machine_has_no_filter() -> None:
    assert system_call_filter("riscv64") == b""
