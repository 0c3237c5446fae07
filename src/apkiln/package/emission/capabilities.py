"""Capabilities of files as the extended attribute that the kernel reads (spec package.md §3.6)."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.package.definition.forms import KERNEL_CAPABILITIES
from apkiln.package.definition.model import Setcap

ATTRIBUTE = "security.capability"
HARMLESS = frozenset({"net_bind_service", "net_admin", "net_raw", "ipc_lock", "sys_admin"})
"""Capabilities that every definition may give."""
_REVISION = 0x03000000
_LOW = 0xFFFFFFFF


def with_capabilities(
    entries: Iterable[Entry], setcap: Iterable[Setcap], allow_all: bool, faults: FaultCollector
) -> tuple[Entry, ...]:
    """Entries whose files got the capabilities of a definition; several items for one file count together.

    What is no file of the package is left out (linter `setcap-missing-file`).  Fault ConfigurationError `setcap-not-allowed`
    for capabilities that need permission.
    """
    listed = list(entries)
    positions = {entry.path: number for number, entry in enumerate(listed)}
    wanted: dict[str, list[Setcap]] = {}
    for item in setcap:
        if not allow_all:
            _check(item, faults)
        position = positions.get(item.path.strip("/"))
        entry = listed[position] if position is not None else None
        if entry is not None and entry.type in (EntryType.FILE, EntryType.HARDLINK):
            wanted.setdefault(entry.target or entry.path, []).append(item)
    for path, items in wanted.items():
        entry = listed[positions[path]]
        others = [pair for pair in entry.xattrs if pair[0] != ATTRIBUTE]
        listed[positions[path]] = entry._replace(xattrs=tuple(sorted([*others, (ATTRIBUTE, encoded(items))])))
    return tuple(listed)


def encoded(items: Iterable[Setcap]) -> bytes:
    """The attribute's 24 bytes: version 3, little endian, of the initial user namespace."""
    effective = permitted = inheritable = 0
    for item in items:
        for names, flags in item.add:
            bits = sum({1 << _number(name) for name in _names(names)})
            permitted |= bits if "p" in flags else 0
            inheritable |= bits if "i" in flags else 0
            effective |= "e" in flags
    low = (permitted & _LOW, inheritable & _LOW)
    return pack("<6I", _REVISION | effective, *low, permitted >> 32, inheritable >> 32, 0)


def _check(item: Setcap, faults: FaultCollector) -> None:
    for names, _ in item.add:
        for name in _names(names):
            if name not in HARMLESS:
                message = f"`cap_{name}` on `{item.path}` needs permission"
                hint = "build with `--allow-setcap` if you trust this definition"
                faults.add(ConfigurationError(message, reason="setcap-not-allowed", origin=item.origin, hint=hint))


def _names(text: str) -> list[str]:
    return [name.strip().lower().removeprefix("cap_") for name in text.split(",") if name.strip()]


def _number(name: str) -> int:
    return KERNEL_CAPABILITIES.index(name)
