"""glibc's library cache, `/etc/ld.so.cache`, in its current form (spec image.md §5.1 step 16).

    "glibc-ld.so.cache" "1.1" · count · size of texts · flags, extension offset, reserved · rows · texts · tail

A row is flags, offset of the name, offset of the path, two unused numbers; offsets count from the start of the file.  Rows
stand in falling order of glibc's own comparison, because the loader searches them by halving.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER_SIZE = 48
_ROW_SIZE = 24
_TAIL = bytes(12)
_LIBC6 = 0x0003
_FLAGS = {
    "x86": 0x0000,
    "x86_64": 0x0300,
    "aarch64": 0x0A00,
    "armhf": 0x0900,
    "armv7": 0x0900,
    "ppc64le": 0x0500,
    "s390x": 0x0400,
    "riscv64": 0x1000,
    "loongarch64": 0x1200,
}
"""What glibc marks libraries of an architecture (apk name) with."""
_RUN = re.compile(r"[0-9]+|[^0-9]")


class Library(NamedTuple):
    """One row: the name programs ask for, and where it is."""

    name: str
    path: str
    """Absolute."""


def write_cache(libraries: Iterable[Library], arch: str) -> bytes:
    """The file for libraries of one architecture; of equal names the first is kept."""
    first: dict[str, str] = {}
    for library in libraries:
        first.setdefault(library.name, library.path)
    names = sorted(first, key=comparison_key, reverse=True)
    order = ">" if arch == "s390x" else "<"
    flags = _FLAGS.get(arch, 0) | _LIBC6
    texts = bytearray()
    rows = bytearray()
    base = _HEADER_SIZE + _ROW_SIZE * len(names)
    for name in names:
        path = first[name].encode("utf-8", "surrogateescape")
        key, value = _place(texts, name.encode("utf-8", "surrogateescape"), path)
        rows += struct.pack(order + "IIIIQ", flags, base + key, base + value, 0, 0)
    header = _MAGIC + struct.pack(order + "IIB3xI12x", len(names), len(texts), 0, 0)
    return header + bytes(rows) + bytes(texts) + bytes(-(base + len(texts)) % 4) + _TAIL


def read_cache(data: bytes, arch: str) -> tuple[Library, ...]:
    """Rows in file order.  Raises FormatError (`library-cache-format`)."""
    order = ">" if arch == "s390x" else "<"
    if not data.startswith(_MAGIC) or len(data) < _HEADER_SIZE:
        raise FormatError("the file is not glibc's library cache", reason="library-cache-format")
    (count,) = struct.unpack_from(order + "I", data, 20)
    if _HEADER_SIZE + count * _ROW_SIZE > len(data):
        raise FormatError("the library cache is cut off", reason="library-cache-format")
    rows = (struct.unpack_from(order + "IIIIQ", data, _HEADER_SIZE + number * _ROW_SIZE) for number in range(count))
    return tuple(Library(_text_at(data, key), _text_at(data, value)) for _, key, value, _, _ in rows)


def comparison_key(name: str) -> tuple[tuple[int, int], ...]:
    """Orders names as the loader compares them: runs of digits as numbers, and a number above every other character."""
    runs = _RUN.findall(name)
    return tuple((1, int(run)) if run[0].isdigit() else (0, ord(run)) for run in runs)


def _place(texts: bytearray, name: bytes, path: bytes) -> tuple[int, int]:
    """Append the path, and the name only where it is not the path's own end; their offsets."""
    value = len(texts)
    texts += path + b"\0"
    if path.endswith(name):
        return value + len(path) - len(name), value
    key = len(texts)
    texts += name + b"\0"
    return key, value


def _text_at(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    if offset >= len(data) or end < 0:
        raise FormatError("a text of the library cache is cut off", reason="library-cache-format")
    return data[offset:end].decode("utf-8", "surrogateescape")
