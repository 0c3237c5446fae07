"""An index as one block of bytes that answers by name without being parsed (spec performance.md §3.5).

Layout, little-endian: header (magic, counts) · offsets of the records · hash slots (CRC-32 of the name, linear probing, at
most half full) · one entry per name · lists of record numbers · the names · the records.  A record is its fields joined
by line feeds, which no field can hold, and is read when it is asked for.  The bytes are derived data: whoever keeps them
verifies them by digest and makes them anew from the signed index when in doubt.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from struct import Struct
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.formats.apk.records import IndexRecord

VERSION = "2"
"""Stands in every key under which a table is kept; changes with the layout."""
_MAGIC = b"apkilnI1"
_HEADER = Struct("<8s5I")
_ENTRY = Struct("<6I")
"""Offset and length of the name, then begin and length of its providers and of those whose install_if mentions it."""


class _Header(NamedTuple):
    magic: bytes
    records: int
    slots: int
    """A power of two."""
    names: int
    numbers: int
    """Items of all lists together."""
    name_bytes: int


def write_table(
    records: Sequence[IndexRecord], providers: Mapping[str, Sequence[int]], install_if: Mapping[str, Sequence[int]]
) -> bytes:
    """The table of `records`, of which it keeps the fields that an index has.

    `providers`: name → numbers of the records that are called so or provide it; `install_if`: name → numbers of the
    records whose install_if mentions it; both ascending.  Equal arguments give equal bytes.
    """
    names = sorted({*providers, *install_if})
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    slots = 1 << max(1, 2 * len(names) - 1).bit_length()
    numbers: list[int] = []
    entries: list[int] = []
    position = 0
    for name, text in zip(names, encoded, strict=True):
        own, mentioning = providers.get(name, ()), install_if.get(name, ())
        begin, length = len(numbers), len(text)
        entries += (position, length, begin, len(own), begin + len(own), len(mentioning))
        numbers += own
        numbers += mentioning
        position += length
    blocks = [_encode(record) for record in records]
    offsets = array("I", accumulate(map(len, blocks), initial=0))
    header = _HEADER.pack(_MAGIC, len(records), slots, len(names), len(numbers), position)
    tables = (offsets, _hash_slots(encoded, slots), array("I", entries), array("I", numbers))
    return b"".join((header, *map(_bytes, tables), *encoded, *blocks))


class IndexTable:
    """The records of an index in index order, found by number and by name (the solver's `PackageSource`).

    Equal when the bytes are.  Records are kept once read; a table may be shared by threads.
    """

    def __init__(self, data: bytes) -> None:
        """FormatError `index-table` when `data` is not a complete table."""
        header = _Header._make(_HEADER.unpack_from(data)) if len(data) >= _HEADER.size else None
        if header is None or header.magic != _MAGIC:
            raise FormatError("not a table of an index", reason="index-table")
        self.data = data
        """The table itself."""
        self._slots_mask = header.slots - 1
        position = _HEADER.size
        self._offsets, position = _array(data, position, header.records + 1)
        self._slots, position = _array(data, position, header.slots)
        self._entries = position
        self._numbers, self._names = _array(data, position + header.names * _ENTRY.size, header.numbers)
        self._texts = self._names + header.name_bytes
        if len(data) != self._texts + self._offsets[-1]:
            raise FormatError("a table of an index is incomplete", reason="index-table")
        self._records: dict[int, IndexRecord] = {}

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __iter__(self) -> Iterator[IndexRecord]:
        return map(self.record, range(len(self)))

    def __getitem__(self, number: int) -> IndexRecord:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.record(number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexTable) and other.data == self.data

    def __hash__(self) -> int:
        return hash(self.data)

    def record(self, number: int) -> IndexRecord:
        """The record at a position; read at the first call."""
        record = self._records.get(number)
        if record is None:
            begin, end = self._offsets[number], self._offsets[number + 1]
            record = self._records[number] = _decode(self.data[self._texts + begin : self._texts + end])
        return record

    def providers(self, name: str) -> Sequence[int]:
        """Records named `name` or providing it, ascending, each once."""
        found = self._find(name)
        return () if found is None else self._numbers[found[2] : found[2] + found[3]]

    def reverse_install_if(self, name: str) -> Sequence[int]:
        """Records whose install_if mentions `name`, ascending, each once."""
        found = self._find(name)
        return () if found is None else self._numbers[found[4] : found[4] + found[5]]

    def _find(self, name: str) -> tuple[int, ...] | None:
        text = name.encode("utf-8", "surrogateescape")
        slot = zlib.crc32(text) & self._slots_mask
        while number := self._slots[slot]:
            entry = _ENTRY.unpack_from(self.data, self._entries + (number - 1) * _ENTRY.size)
            begin = self._names + entry[0]
            if self.data[begin : begin + entry[1]] == text:
                return entry
            slot = (slot + 1) & self._slots_mask
        return None


def _hash_slots(names: Sequence[bytes], slots: int) -> array[int]:
    """Number of the entry + 1 in each slot, 0 = empty."""
    table, mask = array("I", bytes(4 * slots)), slots - 1
    for number, checksum in enumerate(map(zlib.crc32, names), start=1):
        slot = checksum & mask
        while table[slot]:
            slot = (slot + 1) & mask
        table[slot] = number
    return table


def _encode(record: IndexRecord) -> bytes:
    (name, version, arch, identity, size, installed, description, url, licence, origin, maintainer, date, commit, priority,
     depends, provides, install_if, *_) = record  # fmt: skip
    return (
        f"{identity.hex()}\n{name}\n{version}\n{arch}\n{size}\n{installed}\n{description}\n{url}\n{licence}\n{origin}\n"
        f"{maintainer}\n{date}\n{commit}\n{priority}\n{depends}\n{provides}\n{install_if}"
    ).encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> IndexRecord:
    (identity, name, version, arch, size, installed, description, url, licence, origin, maintainer, date, commit, priority,
     depends, provides, install_if) = data.decode("utf-8", "surrogateescape").split("\n")  # fmt: skip
    return IndexRecord(
        name, version, arch, bytes.fromhex(identity), int(size), int(installed), description, url, licence, origin, maintainer,
        int(date), commit, int(priority), depends, provides, install_if,
    )  # fmt: skip


def _bytes(numbers: array[int]) -> bytes:
    """Little-endian on every machine."""
    if _SWAP:
        numbers = array("I", numbers)
        numbers.byteswap()
    return numbers.tobytes()


def _array(data: bytes, position: int, count: int) -> tuple[array[int], int]:
    end = position + 4 * count
    if end > len(data):
        raise FormatError("a table of an index is incomplete", reason="index-table")
    numbers = array("I", data[position:end])
    if _SWAP:
        numbers.byteswap()
    return numbers, end


_SWAP = array("I", [1]).tobytes()[0] != 1
