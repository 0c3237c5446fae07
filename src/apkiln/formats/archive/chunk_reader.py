"""Exact lengths taken from chunks of any length."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import FormatError


class ChunkReader:
    """The forward-only base of a reader of archives: it holds one chunk, and a subclass says what a missing byte means.

    Subclasses read `_data` from `_at` on for speed; `_at` never passes its end.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self._base = 0

    @property
    def offset(self) -> int:
        """Bytes consumed."""
        return self._base + self._at

    def truncated(self) -> FormatError:
        """The error for an end in the middle of something."""
        raise NotImplementedError

    def _refill(self) -> None:
        """Load the next chunk; the present one must be used up."""
        if not self._more():
            raise self.truncated()

    def _more(self) -> bool:
        """The same; False at the end."""
        self._base += len(self._data)
        self._at = 0
        self._data = next(self._chunks, b"")
        return bool(self._data)

    def _take(self, length: int) -> bytes:
        """Exactly `length` bytes."""
        end = self._at + length
        taken = self._data[self._at : end]
        if len(taken) == length:
            self._at = end
            return taken
        parts = [taken]
        while missing := length - sum(map(len, parts)):
            self._at = len(self._data)
            self._refill()
            parts.append(self._data[:missing])
            self._at = len(parts[-1])
        return b"".join(parts)

    def _skip(self, length: int) -> None:
        """Pass over `length` bytes."""
        while length > len(self._data) - self._at:
            length -= len(self._data) - self._at
            self._at = len(self._data)
            self._refill()
        self._at += length
