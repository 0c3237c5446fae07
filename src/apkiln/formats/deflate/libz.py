"""The few functions of libz that Python's `zlib` module does not offer, through ctypes.

The library is the one the interpreter's own `zlib` module is linked with, found through that module's file, so nothing is
searched for and no second copy is loaded.
"""

from __future__ import annotations

import ctypes
import zlib
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLOCK = 5
"""Z_BLOCK: stop at the next block border."""
_OK, _STREAM_END = 0, 1
_RAW = -15
_ROOM = 1 << 17
"""Bytes that are inflated before they are compared: they stay in the processor's cache."""


class _Stream(ctypes.Structure):
    """`z_stream` of zlib.h."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


@lru_cache(maxsize=1)
def library() -> Any | None:
    """The loaded libz, or None where its functions cannot be reached (static builds without exported symbols)."""
    try:
        found = ctypes.CDLL(getattr(zlib, "__file__", None))
        for name, arguments in (
            ("inflateInit2_", (ctypes.POINTER(_Stream), ctypes.c_int, ctypes.c_char_p, ctypes.c_int)),
            ("inflate", (ctypes.POINTER(_Stream), ctypes.c_int)),
            ("inflateEnd", (ctypes.POINTER(_Stream),)),
        ):
            function = getattr(found, name)
            function.argtypes = arguments
            function.restype = ctypes.c_int
    except (OSError, AttributeError):
        return None
    return found


class Inflation:
    """One raw stream being inflated block by block and compared with what it should hold; a context manager that frees what libz
    allocated.  Memory: `_ROOM`."""

    __slots__ = ("_content", "_input", "_length", "_library", "_output", "_stream", "is_right")

    def __init__(self, stream: bytes, content: bytes | memoryview) -> None:
        assert len(stream) < 2**31 and len(content) < 2**31, "slices are small"
        self.is_right = True
        """Everything that was inflated so far is what `content` begins with."""
        self._library = library()
        self._content = memoryview(content)
        self._input = ctypes.c_char_p(stream)
        self._length = max(1, len(stream))  # of nothing libz takes the zero byte that ends every `bytes`
        self._output = bytearray(_ROOM)
        self._stream = _Stream()

    def __enter__(self) -> Inflation:
        stream = self._stream
        stream.next_in, stream.avail_in = ctypes.cast(self._input, ctypes.c_void_p).value, self._length
        self._make_room()
        assert self._library is not None, "libz was not looked for"
        code = self._library.inflateInit2_(ctypes.byref(stream), _RAW, zlib.ZLIB_RUNTIME_VERSION.encode(), ctypes.sizeof(_Stream))
        if code != _OK:
            raise MemoryError("libz could not begin to inflate")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._library is not None
        self._library.inflateEnd(ctypes.byref(self._stream))

    def to_next_block(self) -> tuple[bool, bool, int]:
        """Go on to the end of the current block: (a block ended here, it was the last one, position in bits).  No block ends
        where the stream is damaged or holds more than it should."""
        assert self._library is not None
        while True:
            code = self._library.inflate(ctypes.byref(self._stream), _BLOCK)
            state = self._stream.data_type
            border = code == _OK and bool(state & 128)
            self._compare()
            if border or code != _OK or not self.is_right:
                return border, bool(state & 64), self._stream.total_in * 8 - (state & 7)

    def is_whole(self) -> bool:
        """All of `content` was inflated, and nothing else."""
        return self.is_right and self._stream.total_out == len(self._content)

    def _compare(self) -> None:
        made, end = _ROOM - self._stream.avail_out, self._stream.total_out
        # Views would be compared byte by byte, `startswith` compares memory.
        expected = self._content[end - made : end]
        self.is_right = self.is_right and len(expected) == made and self._output.startswith(expected)
        self._make_room()

    def _make_room(self) -> None:
        output = (ctypes.c_char * _ROOM).from_buffer(self._output)
        self._stream.next_out, self._stream.avail_out = ctypes.addressof(output), _ROOM
