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
    """One raw stream being inflated block by block; a context manager that frees what libz allocated."""

    __slots__ = ("_input", "_length", "_library", "_output", "_stream")

    def __init__(self, stream: bytes, expected_length: int) -> None:
        assert len(stream) < 2**31 and expected_length < 2**31, "slices are small"
        self._library = library()
        self._input = ctypes.c_char_p(stream)
        self._length = max(1, len(stream))  # of nothing libz takes the zero byte that ends every `bytes`
        # One byte more than expected: a longer result shows itself by filling it, and no call meets a full buffer.
        self._output = bytearray(expected_length + 1)
        self._stream = _Stream()

    def __enter__(self) -> Inflation:
        stream = self._stream
        stream.next_in, stream.avail_in = ctypes.cast(self._input, ctypes.c_void_p).value, self._length
        output = (ctypes.c_char * len(self._output)).from_buffer(self._output)
        stream.next_out, stream.avail_out = ctypes.addressof(output), len(self._output)
        assert self._library is not None, "libz was not looked for"
        code = self._library.inflateInit2_(ctypes.byref(stream), _RAW, zlib.ZLIB_RUNTIME_VERSION.encode(), ctypes.sizeof(_Stream))
        if code != _OK:
            raise MemoryError("libz could not begin to inflate")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._library is not None
        self._library.inflateEnd(ctypes.byref(self._stream))

    def to_next_block(self) -> tuple[bool, bool, int]:
        """Go on to the end of the current block: (a block ended here, it was the last one, position in bits)."""
        assert self._library is not None
        code = self._library.inflate(ctypes.byref(self._stream), _BLOCK)
        state = self._stream.data_type
        return code == _OK and bool(state & 128), bool(state & 64), self._stream.total_in * 8 - (state & 7)

    def gave(self, content: bytes | memoryview) -> bool:
        """Whether `content` is what was inflated so far.  (Comparing views takes them apart byte by byte, 40 times as long.)"""
        return self._stream.total_out == len(content) and self._output.startswith(content)
