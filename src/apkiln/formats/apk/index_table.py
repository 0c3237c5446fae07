"""An index as one block of bytes that answers by name without being parsed (spec performance.md §3.5).

Layout, little-endian: header (magic, counts) · where each record begins in the text · names that records provide, then names
that their install_if mentions: keys (30 bits of the name's CRC-32) ascending, and the record's number beside each · the text
of the index as it was signed.  A record is read from the text when it is asked for, and whether it has a name is asked of the
record itself, so names of one key do no harm.  The bytes are derived data: whoever keeps them verifies them by digest and
makes them anew from the signed index when in doubt.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from zlib import crc32

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.index_names import Postings, mentioned_name, provided_names
from apkiln.formats.apk.index_record import record_of_fields
from apkiln.formats.apk.records import IndexRecord

VERSION = "3"
"""Stands in every key under which a table is kept; changes with the layout."""
_MAGIC = b"apkilnI2"
_HEADER = Struct("<8s4I")


class _Header(NamedTuple):
    magic: bytes
    records: int
    provided: int
    mentioned: int
    text_bytes: int


def write_table(text: bytes, begins: Sequence[int], provided: Postings, mentioned: Postings) -> bytes:
    """The table of the records that begin at `begins` in `text`, each ended by an empty line or the end of the text.

    The lines must be good (`index_text.scan_index_text`).  `provided`: the names of each record and of its provides;
    `mentioned`: those in its install_if.  Equal arguments give equal bytes.  Cost: some 1 µs a record and 0.5 µs a name.
    """
    header = _HEADER.pack(_MAGIC, len(begins), len(provided.names), len(mentioned.names), len(text))
    tables = (array("I", begins), *_sorted_postings(provided), *_sorted_postings(mentioned))
    return b"".join((header, *map(_bytes, tables), text))


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
        self._text = _HEADER.size + 4 * (header.records + 2 * (header.provided + header.mentioned))
        if len(data) != self._text + header.text_bytes:
            raise FormatError("a table of an index is incomplete", reason="index-table")
        self._begins, position = _array(data, _HEADER.size, header.records)
        self._provided_keys, position = _array(data, position, header.provided)
        self._provided, position = _array(data, position, header.provided)
        self._mentioned_keys, position = _array(data, position, header.mentioned)
        self._mentioned, position = _array(data, position, header.mentioned)
        self._records: dict[int, IndexRecord] = {}
        self._names: dict[int, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._begins)

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
            begin = self._text + self._begins[number]
            end = self.data.find(b"\n\n", begin)
            block = self.data[begin : end if end >= 0 else None]
            lines = block.decode("utf-8", "surrogateescape").strip("\n").split("\n")
            record = record_of_fields(dict([line.split(":", 1) for line in lines]))
            self._records[number] = record
        return record

    def providers(self, name: str) -> Sequence[int]:
        """Records named `name` or providing it, ascending, each once."""
        return self._having(name, self._provided_keys, self._provided, self._provides)

    def reverse_install_if(self, name: str) -> Sequence[int]:
        """Records whose install_if mentions `name`, ascending, each once."""
        return self._having(name, self._mentioned_keys, self._mentioned, self._mentions)

    def _having(self, name: str, keys: Sequence[int], numbers: Sequence[int], has: Callable[[int, str], bool]) -> Sequence[int]:
        key = _key(name.encode("utf-8", "surrogateescape"))
        begin = bisect_left(keys, key)
        if begin == len(keys) or keys[begin] != key:
            return ()
        found = numbers[begin : bisect_right(keys, key, begin)]
        return [number for number in dict.fromkeys(found) if has(number, name)]

    def _provides(self, number: int, name: str) -> bool:
        record = self.record(number)
        if record.name == name:
            return True
        names = self._names.get(number)
        if names is None:
            names = self._names[number] = frozenset(provided_names(record))
        return name in names

    def _mentions(self, number: int, name: str) -> bool:
        return any(mentioned_name(item) == name for item in self.record(number).install_if.split())


def _key(name: bytes) -> int:
    """30 bits, which sort faster than 32."""
    return crc32(name) >> 2


def _sorted_postings(postings: Postings) -> tuple[array[int], array[int]]:
    """Keys in ascending order, and the number beside each; numbers of one key ascend.

    A key and a number side by side are sorted as one double: positive ones order like their bits, and 30 bits of key leave
    out everything that is not a number.  Sorting integers of 60 bits takes three times as long.
    """
    pairs = array("I", bytes(8 * len(postings.names)))
    pairs[_HIGH::2] = array("I", [_key(name) for name in postings.names])
    pairs[1 - _HIGH :: 2] = array("I", postings.numbers)
    pairs = array("I", array("d", sorted(array("d", pairs.tobytes()))).tobytes())
    return pairs[_HIGH::2], pairs[1 - _HIGH :: 2]


def _bytes(numbers: array[int]) -> bytes:
    """Little-endian on every machine."""
    if _SWAP:
        numbers = array("I", numbers)
        numbers.byteswap()
    return numbers.tobytes()


def _array(data: bytes, position: int, count: int) -> tuple[Sequence[int], int]:
    end = position + 4 * count
    view = memoryview(data)[position:end]
    if not _SWAP:
        return view.cast("I"), end
    numbers = array("I", view.tobytes())
    numbers.byteswap()
    return numbers, end


_SWAP = array("I", [1]).tobytes()[0] != 1
_HIGH = 0 if _SWAP else 1
"""Which half of eight bytes weighs more."""
