"""The order in which apk walks its table of names: the order of its reverse lists, and so of what it does by them.

Found by asking apk to purge packages that need one and the same package: it takes them by bucket, MurmurHash3 (x86, 32 bits,
seed 5381) of the name modulo 20,000.  Names of one bucket come in reverse order of their creation there, which an index does
not tell for certain; they are taken by name, last first, as they come where an index is sorted by name.
"""

from __future__ import annotations

from functools import lru_cache

BUCKETS = 20_000
_SEED = 5381
_MASK = 0xFFFFFFFF
_FIRST, _SECOND = 0xCC9E2D51, 0x1B873593


@lru_cache(maxsize=1 << 16)
def place(name: str) -> tuple[int, bytes]:
    """Sort key of a name.  Memoised; cost: one hash of the name."""
    text = name.encode("utf-8", "surrogateescape")
    return murmur3(text, _SEED) % BUCKETS, bytes([255 - byte for byte in text]) + b"\xff"


def murmur3(text: bytes, seed: int) -> int:
    """MurmurHash3, x86 variant, 32 bits (published by Austin Appleby, in the public domain)."""
    value, whole = seed, len(text) & ~3
    for position in range(0, whole, 4):
        value ^= _mixed(int.from_bytes(text[position : position + 4], "little"))
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    if whole < len(text):
        value ^= _mixed(int.from_bytes(text[whole:], "little"))
    value ^= len(text)
    value = ((value ^ value >> 16) * 0x85EBCA6B) & _MASK
    value = ((value ^ value >> 13) * 0xC2B2AE35) & _MASK
    return value ^ value >> 16


def _mixed(block: int) -> int:
    block = block * _FIRST & _MASK
    return ((block << 15 | block >> 17) & _MASK) * _SECOND & _MASK
