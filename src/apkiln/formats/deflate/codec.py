"""The codecs whose bytes may get a digest: equal on every machine, named, and tested against a recorded vector before use
(spec codec.md, recommendations a and c).

A codec cuts content at fixed multiples of 4 MiB and turns each piece into one open-ended raw DEFLATE slice, so the slices
of any contents concatenate inside one gzip member (`member`); or, for zstd, into one complete frame, and frames concatenate
as they are.  Its name stands in every cache key and in the lock: it
names a class of bytes, not a library version.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from functools import lru_cache
from itertools import repeat
from struct import Struct

from apkiln.core.errors import EnvironmentFault
from apkiln.core.limits import MIB
from apkiln.core.value import value
from apkiln.formats.deflate import blocks

PIECE = 4 * MIB
"""Uncompressed bytes of one slice; the last slice of a content may be shorter."""


@value
class Codec:
    """One way to compress, with the proof of its bytes."""

    name: str
    """Contains only `[a-z0-9-]`."""
    compress_piece: Callable[[bytes], bytes]
    """At most `PIECE` bytes → one open-ended slice.  Pure and safe in several threads."""
    vector_sha256: str
    """Hex SHA-256 of the slices of `self_test_vector()`."""


def canonical_codec() -> Codec:
    """The codec to use on this machine: `libdeflate-6-4m-v1` where its self-test holds, else `zlib-6-4m-v1`.

    Fails closed: a codec that gives other bytes than recorded is never used under its name.  Raises EnvironmentFault
    (`no-canonical-codec`) when neither holds.  The first call of a process costs about 5 ms.
    """
    for codec in (LIBDEFLATE_6, ZLIB_6):
        if holds(codec):
            return codec
    raise EnvironmentFault(
        "no installed compression library gives the recorded bytes",
        reason="no-canonical-codec",
        hint="install the package `deflate` 0.9 or a Python linked with plain zlib",
    )


def local_codec() -> Codec:
    """Several times as fast, for what never leaves this machine: its bytes differ between processors (spec codec.md), so its
    name is none of those that a lock may hold.  The canonical codec where the library for it is missing."""
    try:
        from isal import isal_zlib  # noqa: F401
    except ImportError:
        return canonical_codec()
    return ISAL_1


def codec_named(name: str) -> Codec:
    """The codec a lock or a key names.  Raises EnvironmentFault (`unknown-codec`, `codec-self-test`)."""
    for codec in _NAMED:
        if codec.name == name:
            if holds(codec):
                return codec
            raise EnvironmentFault(f"codec `{name}` does not give its recorded bytes on this machine", reason="codec-self-test")
    known = "known: " + ", ".join(codec.name for codec in _NAMED)
    raise EnvironmentFault(f"codec `{name}` is not known", reason="unknown-codec", hint=known)


@lru_cache(maxsize=8)
def holds(codec: Codec) -> bool:
    """Whether the codec gives the recorded bytes on this machine."""
    digest = hashlib.sha256()
    try:
        for piece in self_test_vector():
            digest.update(codec.compress_piece(piece))
    except (ImportError, blocks.BadStreamError):
        return False
    return digest.hexdigest() == codec.vector_sha256


@lru_cache(maxsize=1)
def self_test_vector() -> tuple[bytes, ...]:
    """Some 200 kB of zeros, text, tables, noise and near repeats of odd lengths.  Never change it: digests are recorded."""
    noise = b"".join(hashlib.sha256(b"apkiln %d" % number).digest() for number in range(512))
    text = b"".join(b"%d: the quick brown fox jumps over %d lazy dogs\n" % (number, number * number) for number in range(900))
    table = b"".join(map(Struct("<IH").pack, [number * 2654435761 & 0xFFFFFFFF for number in range(8000)], repeat(0x0F00)))
    far = noise[:301] + bytes(32768 - 301) + noise[:301] + text[:32769] + noise[:97]
    return b"", b"a", bytes(65537), text, table, noise, far


def _libdeflate_6(piece: bytes) -> bytes:
    import deflate  # type: ignore[import-untyped, unused-ignore]

    return blocks.open_end(bytes(deflate.deflate_compress(piece, 6)), piece)


def _zlib_6(piece: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY)
    return compressor.compress(piece) + compressor.flush(zlib.Z_FULL_FLUSH)


def _isal_1(piece: bytes) -> bytes:
    """Through a compressor object: one-shot calls give other bytes from one process to the next."""
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    return bytes(compressor.compress(piece)) + bytes(compressor.flush(isal_zlib.Z_FULL_FLUSH))


def _zstd_3(piece: bytes) -> bytes:
    """One frame by one call: content size stated, no checksum, no worker threads (streaming gives other bytes)."""
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from backports import zstd  # type: ignore[no-redef, unused-ignore]

    return bytes(zstd.compress(piece, 3))


LIBDEFLATE_6 = Codec("libdeflate-6-4m-v1", _libdeflate_6, "f65faa7e629a62c58a4e920d28b0813e9f2f38308b978fe1b665e4070bef0df0")
"""The canonical codec."""
ZLIB_6 = Codec("zlib-6-4m-v1", _zlib_6, "27a5c6f13ac3e7a8560bc81b10e720568d5e9766c1d81e839aefaf5b59500c7e")
"""The fallback, under its own name: 1.4 % larger, a third of the speed."""
ZSTD_3 = Codec("zstd-1-5-7-3-4m-v1", _zstd_3, "45161ec277a04ec10e14c2b889e0963d64ffa77abf205bddcef92f0a775a5901")
"""Frames of zstd 1.5.7, level 3, for layers only: what it makes stands in no gzip member."""
ISAL_1 = Codec("isal-1-4m-local", _isal_1, "")
"""See `local_codec`; it has no vector because its bytes are not the same everywhere."""
_NAMED = (LIBDEFLATE_6, ZLIB_6, ZSTD_3)
