"""Programs of other architectures inside a sandbox: an emulator registered for its user namespace alone (spec package.md §9.3).

Kernels from 6.7 on give each user namespace its own table of binary formats; the machine's stays as it is.
"""

from __future__ import annotations

import shutil
import struct

from apkiln.core.errors import EnvironmentFault
from apkiln.core.named_tuple import NamedTuple


class _Machine(NamedTuple):
    """How ELF files of an architecture begin."""

    emulator: str
    """The part of qemu's name."""
    number: int
    """`e_machine`."""
    bits: int = 64
    order: str = "<"


_MACHINES = {
    "aarch64": _Machine("aarch64", 0xB7),
    "armhf": _Machine("arm", 0x28, 32),
    "armv7": _Machine("arm", 0x28, 32),
    "loongarch64": _Machine("loongarch64", 0x102),
    "ppc64le": _Machine("ppc64le", 0x15),
    "riscv64": _Machine("riscv64", 0xF3),
    "s390x": _Machine("s390x", 0x16, 64, ">"),
    "x86": _Machine("i386", 0x03, 32),
    "x86_64": _Machine("x86_64", 0x3E),
}
_RUNS_TOO = {"x86_64": ("x86",), "aarch64": ()}
"""Machine → architectures whose programs it runs by itself."""


def emulator_for(architecture: str, machine: str, search_path: str) -> str:
    """The line that registers an emulator for an apk architecture on a machine (`uname -m`); empty when none is needed.

    Raises EnvironmentFault `no-emulator`.
    """
    if architecture in (machine, *_RUNS_TOO.get(machine, ())):
        return ""
    wanted = _MACHINES.get(architecture)
    program = shutil.which(f"qemu-{wanted.emulator}-static", path=search_path) if wanted is not None else None
    if wanted is None or program is None:
        message = f"programs for {architecture} need an emulator on this {machine} machine, and there is none"
        raise EnvironmentFault(message, reason="no-emulator", hint="install the package `qemu-user-static`")
    return registration(architecture, program)


def registration(architecture: str, program: str) -> str:
    """A line for `binfmt_misc/register`.  Bytes are written as escapes: a raw NUL would end the pattern, which then fits
    every ELF file (platform.md §4).  Flags: the emulator is opened now, outside of the root (F), and programs keep the name they
    were called by (P), by which busybox tells its applets apart."""
    machine = _MACHINES[architecture]
    begin = b"\x7fELF" + bytes((1 if machine.bits == 32 else 2, 1 if machine.order == "<" else 2, 1, 0)) + bytes(8)
    pattern = begin + struct.pack(f"{machine.order}HH", 2, machine.number)
    # The system byte may be any; executables (2) and shared ones (3) differ in one bit.
    mask = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + struct.pack(f"{machine.order}HH", 0xFFFE, 0xFFFF)
    return f":apkiln-{architecture}:M::{_escaped(pattern)}:{_escaped(mask)}:{program}:FP"


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)
