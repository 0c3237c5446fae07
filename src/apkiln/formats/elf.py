"""What a dynamic ELF file says of itself: needed libraries, own name, interpreter (spec performance.md §3.8).

Works on program headers only, so stripped files are read too.  Every offset is checked against the file's size and every
table has a limit; a file that breaks the format is no ELF for our purposes (None), because packages do ship broken ones
as test data.
"""

from __future__ import annotations

from struct import Struct, error, unpack_from
from typing import NamedTuple

MAXIMUM_HEADERS = 512
"""Program headers looked at."""
MAXIMUM_DYNAMIC = 4096
"""Entries of the dynamic table looked at."""
MAXIMUM_STRING = 4096

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29


class ElfFacts(NamedTuple):
    """Dynamic linking data of one file."""

    machine: int
    """`e_machine`, for example 62 = x86-64, 183 = AArch64."""
    bits: int
    """32 or 64."""
    interpreter: str = ""
    """PT_INTERP path; empty for libraries and static programs."""
    soname: str = ""
    needed: tuple[str, ...] = ()
    """In file order."""
    runpath: tuple[str, ...] = ()
    """Items of DT_RUNPATH, else of DT_RPATH."""


class _Header(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


def read_elf(data: bytes | memoryview) -> ElfFacts | None:
    """Facts of an ELF file given whole; None when it is none or is damaged.  15-30 µs."""
    if len(data) < 52 or bytes(data[:4]) != b"\x7fELF" or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    try:
        return _Reader(data).facts()
    except (error, _DamagedError):
        return None


class _DamagedError(Exception):
    pass


class _Reader:
    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self._order = "<" if data[5] == 1 else ">"
        self._wide = data[4] == 2

    def facts(self) -> ElfFacts:
        (machine,) = unpack_from(self._order + "H", self._data, 18)
        headers = self._program_headers()
        interpreter = next((self._interpreter(item) for item in headers if item.kind == _PT_INTERP), "")
        dynamic = next((self._dynamic(item) for item in headers if item.kind == _PT_DYNAMIC), [])
        table = next((value for tag, value in dynamic if tag == _DT_STRTAB), None)
        base = None if table is None else self._file_offset(headers, table)
        texts = [] if base is None else [(tag, self._string(base + value)) for tag, value in dynamic if tag in _TEXT_TAGS]
        runpath = _first(texts, _DT_RUNPATH) or _first(texts, _DT_RPATH)
        return ElfFacts(
            machine,
            64 if self._wide else 32,
            interpreter,
            _first(texts, _DT_SONAME),
            tuple(text for tag, text in texts if tag == _DT_NEEDED),
            tuple(item for item in runpath.split(":") if item),
        )

    def _program_headers(self) -> list[_Header]:
        if self._wide:
            (table,) = unpack_from(self._order + "Q", self._data, 32)
            size, count = unpack_from(self._order + "HH", self._data, 54)
            layout = Struct(self._order + "IIQQQQ")
        else:
            (table,) = unpack_from(self._order + "I", self._data, 28)
            size, count = unpack_from(self._order + "HH", self._data, 42)
            layout = Struct(self._order + "IIIII")
        if count > MAXIMUM_HEADERS or (count and size < layout.size):
            raise _DamagedError
        headers: list[_Header] = []
        for number in range(count):
            row = self._row(layout, table + number * size)
            # 64-bit: type flags offset vaddr paddr filesz; 32-bit: type offset vaddr paddr filesz.
            headers.append(_Header(row[0], row[2], row[3], row[5]) if self._wide else _Header(row[0], row[1], row[2], row[4]))
        return headers

    def _dynamic(self, header: _Header) -> list[tuple[int, int]]:
        layout = Struct(self._order + ("QQ" if self._wide else "II"))
        rows: list[tuple[int, int]] = []
        for number in range(min(header.size // layout.size, MAXIMUM_DYNAMIC)):
            tag, value = self._row(layout, header.offset + number * layout.size)
            if tag == 0:
                break
            rows.append((tag, value))
        return rows

    def _row(self, layout: Struct, offset: int) -> tuple[int, ...]:
        """Offsets come from the file: one outside it is damage, also where it is too large for an index."""
        if offset > len(self._data) - layout.size:
            raise _DamagedError
        return layout.unpack_from(self._data, offset)

    def _file_offset(self, headers: list[_Header], address: int) -> int | None:
        for item in headers:
            if item.kind == _PT_LOAD and item.address <= address < item.address + item.size:
                return item.offset + address - item.address
        return None

    def _interpreter(self, header: _Header) -> str:
        return self._string(header.offset)

    def _string(self, offset: int) -> str:
        if not 0 <= offset < len(self._data):
            raise _DamagedError
        window = bytes(self._data[offset : offset + MAXIMUM_STRING])
        text, end, _ = window.partition(b"\0")
        if not end:
            raise _DamagedError
        return text.decode("utf-8", "replace")


_TEXT_TAGS = frozenset({_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH})


def _first(texts: list[tuple[int, str]], wanted: int) -> str:
    return next((text for tag, text in texts if tag == wanted), "")
