"""What steps write, line by line as it comes, with the name of the step; the end of it is remembered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

TellLine = Callable[[str], None]
_LONGEST = 64 * 1024
"""Bytes after which a line is broken."""


class OutputLog:
    """Takes the bytes of one step; whole lines go to `tell`."""

    def __init__(self, tell: TellLine, kept: int = 20) -> None:
        self._tell = tell
        self._pending = b""
        self._last: deque[str] = deque(maxlen=kept)

    def take(self, piece: bytes) -> None:
        """The next piece of output."""
        *lines, self._pending = (self._pending + piece).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._pending) > _LONGEST:
            self.close()

    def close(self) -> None:
        """What came after the last line end."""
        if self._pending:
            self._line(self._pending)
            self._pending = b""

    @property
    def last(self) -> tuple[str, ...]:
        """The last lines, oldest first."""
        return tuple(self._last)

    def _line(self, line: bytes) -> None:
        text = printable(line.decode("utf-8", "replace").rstrip("\r"))
        self._last.append(text)
        self._tell(text)


def printable(text: str) -> str:
    """Without control characters but tabs: output of a build may not steer the terminal.  Sequences that colour are dropped."""
    if text.isprintable():
        return text
    return "".join(char for char in _without_sequences(text) if char == "\t" or char.isprintable())


def _without_sequences(text: str) -> str:
    if "\x1b" not in text:
        return text
    import re

    return re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])", "", text)
