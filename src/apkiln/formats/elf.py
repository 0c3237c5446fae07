"""What a dynamic ELF file says of itself: needed libraries, own name, interpreter (spec performance.md §3.8).

Works on program headers only, so stripped files are read too.  Every offset is checked against the file's size and every
table has a limit; a file that breaks the format is no ELF for our purposes (None), because packages do ship broken ones
as test data.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, error, unpack_from

from apkiln.core.named_tuple import NamedTuple

MAXIMUM_HEADERS = 512
"""Program headers looked at."""
MAXIMUM_DYNAMIC = 4096
"""Entries of the dynamic table looked at."""
MAXIMUM_STRING = 4096
_SHORT_STRING = 64

MAXIMUM_NAMES = 4 << 20
"""Bytes of the table of section names looked at."""

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_GNU_STACK, _PT_GNU_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_BIND_NOW, _DT_RUNPATH = 1, 5, 10, 14, 15, 24, 29
_DT_FLAGS, _DT_FLAGS_1 = 30, 0x6FFFFFFB
_DF_BIND_NOW, _DF_1_NOW = 8, 1
_EXECUTABLE = 1
_LAYOUTS = {
    order + form: Struct(order + form) for order in "<>" for form in ("IIQQQQ16x", "IIIIIII4x", "QQ", "II", "24xQQ", "16xII")
}


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


class ElfObject(NamedTuple):
    """What a file says of how it was made and is protected, beside its dynamic linking data."""

    facts: ElfFacts
    type: int
    """`e_type`: 1 relocatable, 2 program at a fixed address, 3 shared object or position-independent program, 4 core."""
    debug: bool
    """There are sections of DWARF data."""
    relro: bool
    """Relocated data becomes read-only."""
    bind_now: bool
    """All symbols are bound at the start."""
    executable_stack: bool
    stack_protector: bool
    """It calls the handler of smashed stacks."""
    go: bool = False
    """There is a section of the Go linker's build information."""


class _Header(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int
    flags: int


def read_elf(data: bytes | memoryview) -> ElfFacts | None:
    """Facts of an ELF file given whole; None when it is none or is damaged.  15-30 µs."""
    if not _is_elf(data):
        return None
    try:
        return _Reader(data).facts()
    except (error, _DamagedError):
        return None


def read_object(data: bytes | memoryview) -> ElfObject | None:
    """As `read_elf`, with what else the headers say.  25-40 µs."""
    if not _is_elf(data):
        return None
    try:
        return _Reader(data).object()
    except (error, _DamagedError):
        return None


def _is_elf(data: bytes | memoryview) -> bool:
    return len(data) >= 52 and bytes(data[:4]) == b"\x7fELF" and data[4] in (1, 2) and data[5] in (1, 2)


class _DamagedError(Exception):
    pass


class _Reader:
    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self._order = "<" if data[5] == 1 else ">"
        self._wide = data[4] == 2

    def facts(self) -> ElfFacts:
        headers = self._program_headers()
        return self._facts(headers, self._dynamic_rows(headers))

    def object(self) -> ElfObject:
        headers = self._program_headers()
        dynamic = self._dynamic_rows(headers)
        flags = {tag: value for tag, value in dynamic if tag in (_DT_FLAGS, _DT_FLAGS_1, _DT_BIND_NOW)}
        stack = next((item.flags for item in headers if item.kind == _PT_GNU_STACK), _EXECUTABLE)
        (kind,) = unpack_from(self._order + "H", self._data, 16)
        names = self._section_names()
        return ElfObject(
            facts=self._facts(headers, dynamic),
            type=kind,
            debug=self._holds(b"debug_info\0", names),
            relro=any(item.kind == _PT_GNU_RELRO for item in headers),
            bind_now=_DT_BIND_NOW in flags
            or bool(flags.get(_DT_FLAGS, 0) & _DF_BIND_NOW or flags.get(_DT_FLAGS_1, 0) & _DF_1_NOW),
            executable_stack=bool(headers) and bool(stack & _EXECUTABLE),
            stack_protector=self._holds(b"__stack_chk_fail\0", self._dynamic_texts(headers, dynamic)),
            go=self._holds(b".go.buildinfo\0", names),
        )

    def _facts(self, headers: list[_Header], dynamic: list[tuple[int, int]]) -> ElfFacts:
        (machine,) = unpack_from(self._order + "H", self._data, 18)
        interpreter = next((self._interpreter(item) for item in headers if item.kind == _PT_INTERP), "")
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

    def _dynamic_rows(self, headers: list[_Header]) -> list[tuple[int, int]]:
        return next((self._dynamic(item) for item in headers if item.kind == _PT_DYNAMIC), [])

    def _holds(self, wanted: bytes, place: tuple[int, int]) -> bool:
        """Whether the bytes at (offset, length) hold `wanted`; of more than `MAXIMUM_NAMES` only the beginning counts."""
        start, end = place[0], place[0] + min(place[1], MAXIMUM_NAMES)
        if isinstance(self._data, bytes):
            return self._data.find(wanted, start, end) >= 0
        return wanted in bytes(self._data[start:end])

    def _dynamic_texts(self, headers: list[_Header], dynamic: list[tuple[int, int]]) -> tuple[int, int]:
        """Place of the texts of the dynamic table, (0, 0) when there are none."""
        places = {tag: value for tag, value in dynamic if tag in (_DT_STRTAB, _DT_STRSZ)}
        base = self._file_offset(headers, places.get(_DT_STRTAB, -1))
        return (0, 0) if base is None else (base, places.get(_DT_STRSZ, 0))

    def _section_names(self) -> tuple[int, int]:
        """Place of the names of sections, (0, 0) when there are none."""
        if self._wide:
            (table,) = unpack_from(self._order + "Q", self._data, 40)
            size, count, names = unpack_from(self._order + "HHH", self._data, 58)
            layout = _LAYOUTS[self._order + "24xQQ"]
        else:
            (table,) = unpack_from(self._order + "I", self._data, 32)
            size, count, names = unpack_from(self._order + "HHH", self._data, 46)
            layout = _LAYOUTS[self._order + "16xII"]
        place = table + names * size
        if not table or names >= count or place > len(self._data) - layout.size:
            return (0, 0)
        offset, length = layout.unpack_from(self._data, place)
        return (offset, length)

    def _program_headers(self) -> list[_Header]:
        if self._wide:
            (table,) = unpack_from(self._order + "Q", self._data, 32)
            size, count = unpack_from(self._order + "HH", self._data, 54)
            layout = _LAYOUTS[self._order + "IIQQQQ16x"]
        else:
            (table,) = unpack_from(self._order + "I", self._data, 28)
            size, count = unpack_from(self._order + "HH", self._data, 42)
            layout = _LAYOUTS[self._order + "IIIIIII4x"]
        if count > MAXIMUM_HEADERS or (count and size < layout.size):
            raise _DamagedError
        rows = self._rows(layout, table, size, count)
        if self._wide:  # type flags offset vaddr paddr filesz
            return [_Header(kind, offset, address, length, flags) for kind, flags, offset, address, _, length in rows]
        return [_Header(kind, offset, address, length, flags) for kind, offset, address, _, length, _, flags in rows]

    def _dynamic(self, header: _Header) -> list[tuple[int, int]]:
        layout = _LAYOUTS[self._order + ("QQ" if self._wide else "II")]
        # What is cut short may still hold the end before the cut.
        room = max(0, len(self._data) - header.offset) // layout.size
        count = min(header.size // layout.size, MAXIMUM_DYNAMIC)
        rows: list[tuple[int, int]] = []
        for row in self._rows(layout, header.offset, layout.size, min(count, room)):
            if row[0] == 0:
                return rows
            rows.append(row)  # type: ignore[arg-type]
        if count > room:
            raise _DamagedError
        return rows

    def _rows(self, layout: Struct, offset: int, size: int, count: int) -> Iterator[tuple[int, ...]]:
        """`count` rows of `size` bytes.  Offsets come from the file: a row outside it is damage."""
        if count and offset + (count - 1) * size + layout.size > len(self._data):
            raise _DamagedError
        if size == layout.size:
            return layout.iter_unpack(self._data[offset : offset + count * size])
        return (layout.unpack_from(self._data, offset + number * size) for number in range(count))

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
        # Most texts are short: a small window is looked at first.
        for length in (_SHORT_STRING, MAXIMUM_STRING):
            text, end, _ = bytes(self._data[offset : offset + length]).partition(b"\0")
            if end:
                return text.decode("utf-8", "replace")
        raise _DamagedError


_TEXT_TAGS = frozenset({_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH})


def _first(texts: list[tuple[int, str]], wanted: int) -> str:
    return next((text for tag, text in texts if tag == wanted), "")
