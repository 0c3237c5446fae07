"""CRC-32 of a concatenation from the CRC-32 of its parts (spec performance.md §3.3, step 3).

A CRC-32 is a remainder of polynomials over GF(2) modulo the reflected polynomial 0xEDB88320, so
`crc(A·B) = x^(8·len B) · crc(A)  xor  crc(B)`; the powers `x^(2^k)` are squared up once.
"""

from __future__ import annotations

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320
_ONE = 0x80000000
"""The polynomial 1 in reflected form: its coefficient of x^0 is the highest bit."""


def crc32(data: bytes | memoryview, before: int = 0) -> int:
    """CRC-32 of what `before` is of, and `data`; several times as fast as the standard library's.

    libdeflate's.  isal's is no slower, but leaves the upper halves of the processor's vector registers in use, after which
    every SHA-256 of the thread takes a third longer.
    """
    from deflate import crc32 as fast

    return fast(data, before)


def combine(first: int, second: int, second_length: int) -> int:
    """CRC-32 of A·B from `first` = crc(A), `second` = crc(B) and the length of B in bytes (any size).  About 40 µs."""
    return _multiply(_power(second_length), first) ^ second


@lru_cache(maxsize=4096)
def _power(length: int) -> int:
    """x^(8·length) modulo the polynomial."""
    result, exponent, index = _ONE, length * 8, 0
    while exponent:
        if exponent & 1:
            result = _multiply(_square_power(index), result)
        exponent >>= 1
        index += 1
    return result


@lru_cache(maxsize=128)
def _square_power(index: int) -> int:
    """x^(2^index) modulo the polynomial."""
    if index == 0:
        return _ONE >> 1
    previous = _square_power(index - 1)
    return _multiply(previous, previous)


def _multiply(left: int, right: int) -> int:
    """Product of two reflected polynomials modulo the CRC polynomial."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFF
        right = (right >> 1) ^ (_POLYNOMIAL if right & 1 else 0)
    return product
