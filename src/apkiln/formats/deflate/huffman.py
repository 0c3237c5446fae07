"""A plain reader of DEFLATE block structure (RFC 1951 §3.2): it follows the codes and keeps no output.

It exists as the oracle and the stand-in of the libz pass in `blocks`.
"""

from __future__ import annotations

_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_LENGTHS = tuple(
    (base, extra)
    for base, extra in zip(
        (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258),
        (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,),
        strict=True,
    )
)
"""Base length and number of extra bits of the length symbols 257 … 285."""
_DISTANCE_EXTRA = (0, 0, *(bits for bits in range(14) for _ in range(2)))
_TRUNCATED = "the stream ends inside a block"

Code = tuple[int, list[tuple[int, int]]]
"""Number of bits to look at, and by their value (symbol, bits used); bits used 0 = no such code."""


class _Bits:
    """Bits of a byte string, lowest first."""

    __slots__ = ("count", "data", "hold", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        """Next byte to load."""
        self.hold = 0
        self.count = 0

    def need(self, count: int) -> None:
        while self.count < count:
            chunk = self.data[self.position : self.position + 8]
            if not chunk:
                raise ValueError(_TRUNCATED)
            self.hold |= int.from_bytes(chunk, "little") << self.count
            self.count += 8 * len(chunk)
            self.position += len(chunk)

    def take(self, count: int) -> int:
        self.need(count)
        value = self.hold & ((1 << count) - 1)
        self.hold >>= count
        self.count -= count
        return value

    def symbol(self, code: Code) -> int:
        width, table = code
        if self.count < width and self.position < len(self.data):
            self.need(min(width, self.count + 8 * (len(self.data) - self.position)))
        symbol, used = table[self.hold & ((1 << width) - 1)]
        if not used:
            raise ValueError("a bit sequence that is no code")
        if used > self.count:
            raise ValueError(_TRUNCATED)
        self.hold >>= used
        self.count -= used
        return symbol

    def tell(self) -> int:
        return self.position * 8 - self.count

    def seek_byte(self, position: int) -> None:
        self.position, self.hold, self.count = position, 0, 0


def walk(stream: bytes) -> tuple[int, int, int]:
    """(position of the last block's final bit, position after its end, number of uncompressed bytes), positions in bits.

    Raises ValueError on anything that is not a complete DEFLATE stream.  Distances are not checked: nothing is copied.
    """
    bits, length = _Bits(stream), 0
    while True:
        header = bits.tell()
        final = bits.take(1)
        kind = bits.take(2)
        if kind == 0:
            length += _skip_stored(bits)
        elif kind == 1:
            length += _skip_compressed(bits, _FIXED_LITERALS, _FIXED_DISTANCES)
        elif kind == 2:
            length += _skip_compressed(bits, *_read_codes(bits))
        else:
            raise ValueError("a block of the reserved type")
        if final:
            return header, bits.tell(), length


def _skip_stored(bits: _Bits) -> int:
    start = (bits.tell() + 7) // 8
    length = int.from_bytes(bits.data[start : start + 2], "little")
    complement = int.from_bytes(bits.data[start + 2 : start + 4], "little")
    if start + 4 + length > len(bits.data) or length ^ complement != 0xFFFF:
        raise ValueError("a stored block with a wrong length")
    bits.seek_byte(start + 4 + length)
    return length


def _skip_compressed(bits: _Bits, literals: Code, distances: Code) -> int:
    length = 0
    while (symbol := bits.symbol(literals)) != 256:
        if symbol < 256:
            length += 1
            continue
        if symbol > 285:
            raise ValueError("a length symbol that does not exist")
        base, extra = _LENGTHS[symbol - 257]
        length += base + (bits.take(extra) if extra else 0)
        distance = bits.symbol(distances)
        if distance > 29:
            raise ValueError("a distance symbol that does not exist")
        if _DISTANCE_EXTRA[distance]:
            bits.take(_DISTANCE_EXTRA[distance])
    return length


def _read_codes(bits: _Bits) -> tuple[Code, Code]:
    literal_count, distance_count, length_count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    lengths = [0] * 19
    for index in range(length_count):
        lengths[_ORDER[index]] = bits.take(3)
    code = _code(lengths)
    found: list[int] = []
    while len(found) < literal_count + distance_count:
        symbol = bits.symbol(code)
        if symbol < 16:
            found.append(symbol)
        elif symbol == 16 and found:
            found += [found[-1]] * (3 + bits.take(2))
        elif symbol == 17:
            found += [0] * (3 + bits.take(3))
        elif symbol == 18:
            found += [0] * (11 + bits.take(7))
        else:
            raise ValueError("a repeat code without a length before it")
    if len(found) > literal_count + distance_count or not found[256]:
        raise ValueError("a bad set of code lengths")
    return _code(found[:literal_count]), _code(found[literal_count:])


def _code(lengths: list[int]) -> Code:
    """The look-up table of a canonical Huffman code (RFC 1951 §3.2.2); entries no code reaches stay (0, 0)."""
    width = max(lengths, default=0) or 1
    table = [(0, 0)] * (1 << width)
    code = 0
    for size in range(1, width + 1):
        code <<= 1
        for symbol, length in enumerate(lengths):
            if length != size:
                continue
            if code >> size:
                raise ValueError("an over-subscribed code")
            reverse = int(format(code, f"0{size}b")[::-1], 2)
            table[reverse :: 1 << size] = [(symbol, size)] * (1 << (width - size))
            code += 1
    return width, table


_FIXED_LITERALS = _code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
_FIXED_DISTANCES = _code([5] * 32)
