"""Versions that kernel images and kernel modules say of themselves (spec package.md §13.2, 9)."""

from __future__ import annotations

import zlib
from io import BytesIO

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, MIB
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.deb.compression import Window, decompressed

_VERSION = pattern(rb"[0-9.\-_A-Za-z]*")
_BANNER, _MAGIC = b"Linux version ", b"vermagic="
_GZIP = b"\x1f\x8b\x08"
_PACKED = {b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
_LARGEST = 256 * MIB
"""Unpacked bytes looked at."""
_SET_UP = 514
_TEXT_POINTER = 526
_SECTION = 40


def image_version(data: bytes) -> str:
    """Version of a kernel image; empty for anything else.

    Understood are: packed as a whole with gzip; a PE file with a `.linux` section; the header of x86 images; a gzip stream
    inside; the banner as it stands.
    """
    if data.startswith(_GZIP):
        data = _inflated(data)
    data = _linux_section(data)
    if data[_SET_UP : _SET_UP + 4] == b"HdrS":
        place = int.from_bytes(data[_TEXT_POINTER : _TEXT_POINTER + 2], "little") + 0x200
        text = data[place : place + 256].partition(b"\0")[0]
        found = _version_at(text, 0)
        if found:
            return found
    packed = data.find(_GZIP)
    inside = _after(_inflated(data[packed:]), _BANNER) if packed >= 0 else ""
    return inside or _after(data, _BANNER)


def module_version(data: bytes) -> str:
    """The version a kernel module is for; empty for anything else.  Packed ones (gzip, xz, zstd) are unpacked."""
    return _after(_unpacked(data), _MAGIC)


def _after(data: bytes, mark: bytes) -> str:
    place = data.find(mark)
    while place >= 0:
        found = _version_at(data, place + len(mark))
        if found:
            return found
        place = data.find(mark, place + 1)
    return ""


def _version_at(data: bytes, place: int) -> str:
    match = _VERSION.match(data, place)
    return match[0].decode() if match else ""


def _unpacked(data: bytes) -> bytes:
    if data.startswith(_GZIP):
        return _inflated(data)
    suffix = next((suffix for magic, suffix in _PACKED.items() if data.startswith(magic)), "")
    if not suffix:
        return data
    try:
        return b"".join(decompressed(Window(BytesIO(data), 0, len(data)), suffix, _LARGEST, DEFAULT_LIMITS, Origin()))
    except FormatError:
        return b""


def _inflated(data: bytes) -> bytes:
    """What can be inflated of a gzip member, with anything behind it left alone."""
    try:
        return zlib.decompressobj(31).decompress(data, _LARGEST)
    except zlib.error:
        return b""


def _linux_section(data: bytes) -> bytes:
    """The kernel inside a unified image; other data as it is."""
    if data[:2] != b"MZ":
        return data
    start = int.from_bytes(data[0x3C:0x40], "little")
    if data[start : start + 4] != b"PE\0\0":
        return data
    count = int.from_bytes(data[start + 6 : start + 8], "little")
    table = start + 24 + int.from_bytes(data[start + 20 : start + 22], "little")
    for number in range(count):
        row = data[table + number * _SECTION : table + (number + 1) * _SECTION]
        if row[:8].rstrip(b"\0") == b".linux" and len(row) == _SECTION:
            size, offset = (int.from_bytes(row[place : place + 4], "little") for place in (16, 20))
            return data[offset : offset + size]
    return data
