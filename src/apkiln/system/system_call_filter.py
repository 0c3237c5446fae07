"""The system calls that a build does not get, as a classic BPF program for the kernel's seccomp filter (spec package.md §9.3).

Refused with EPERM: mounting, keys, kernel modules, kexec, BPF, performance events, clocks, swap, and making user namespaces.
`clone3` and io_uring answer ENOSYS, on which libraries fall back to what can be looked into.  Everything else is allowed.
"""

from __future__ import annotations

import struct

from apkiln.core.named_tuple import NamedTuple

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`; the low half of an argument, on little-endian machines."""
_ALLOW = 0x7FFF0000
_EPERM = 0x00050000 | 1
_ENOSYS = 0x00050000 | 38
_NEW_USER_NAMESPACE = 0x10000000
_PUSH_BACK_INPUT = 0x5412
"""TIOCSTI."""
_X32 = 0x40000000

_EVERYWHERE = (428, 429, 430, 431, 432, 433, 442)
"""open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr."""
_UNKNOWN_EVERYWHERE = (425, 435)
"""io_uring_setup, clone3."""


class _Calls(NamedTuple):
    """Numbers of one architecture."""

    architecture: int
    """AUDIT_ARCH_*."""
    refused: tuple[int, ...]
    clone: int
    unshare: int
    ioctl: int
    x32: bool = False


# mount umount2 pivot_root swapon swapoff reboot init_module delete_module finit_module quotactl acct settimeofday
# clock_settime add_key request_key keyctl perf_event_open open_by_handle_at setns kexec_load kexec_file_load bpf userfaultfd
_X86_64 = _Calls(
    0xC000003E,
    (165, 166, 155, 167, 168, 169, 175, 176, 313, 179, 163, 164, 227, 248, 249, 250, 298, 304, 308, 246, 320, 321, 323),
    clone=56,
    unshare=272,
    ioctl=16,
    x32=True,
)
_I386 = _Calls(
    0x40000003,
    (21, 52, 217, 87, 115, 88, 128, 129, 350, 131, 51, 79, 264, 286, 287, 288, 336, 342, 346, 283, 357, 374, 22),
    clone=120,
    unshare=310,
    ioctl=54,
)
_AARCH64 = _Calls(
    0xC00000B7,
    (40, 39, 41, 224, 225, 142, 105, 106, 273, 60, 89, 170, 112, 217, 218, 219, 241, 265, 268, 104, 294, 280, 282),
    clone=220,
    unshare=97,
    ioctl=29,
)
_BY_MACHINE = {"x86_64": (_X86_64, _I386), "aarch64": (_AARCH64,)}


def system_call_filter(machine: str) -> bytes:
    """The program for a machine as `uname` names it; empty where the numbers are not known: then nothing is filtered.

    Calls of an architecture that is not the machine's (on x86_64: but i386) are all refused.
    """
    calls = _BY_MACHINE.get(machine)
    if calls is None:
        return b""
    program = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for one in calls:
        block = _block(one)
        program += [(_EQUAL, 0, len(block), one.architecture), *block]
    program.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _block(calls: _Calls) -> list[tuple[int, int, int, int]]:
    """What is decided once the architecture is known."""
    block = [(_LOAD, 0, 0, _NUMBER)]
    if calls.x32:
        block += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ENOSYS)]
    for number in (*calls.refused, *_EVERYWHERE):
        block += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    for number in _UNKNOWN_EVERYWHERE:
        block += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ENOSYS)]
    for number in (calls.clone, calls.unshare):
        test = (_HAS_BITS, 0, 1, _NEW_USER_NAMESPACE)
        block += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, _FIRST_ARGUMENT), test, (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    test = (_EQUAL, 0, 1, _PUSH_BACK_INPUT)
    block += [(_EQUAL, 0, 3, calls.ioctl), (_LOAD, 0, 0, _SECOND_ARGUMENT), test, (_RETURN, 0, 0, _EPERM)]
    return [*block, (_RETURN, 0, 0, _ALLOW)]
