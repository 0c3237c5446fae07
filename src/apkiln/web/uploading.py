"""Bodies of uploads, pulled in by the thread that wants them: bounded in size by what was declared, in time by a pace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import anyio
import anyio.from_thread

from apkiln.core.errors import FormatError, UnavailableError


class Pace(NamedTuple):
    """How slow an upload may be."""

    idle: float = 30.0
    """Seconds of silence."""
    grace: float = 60.0
    """Seconds before it is measured."""
    slowest: int = 1024
    """Bytes a second from then on."""


DEFAULT_PACE = Pace()


def parsed_range(text: str) -> tuple[int, int, int]:
    """(start, end exclusive, total) of a `Content-Range`.  FormatError `bad-range`."""
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    if unit != "bytes" or not all(item.isascii() and item.isdigit() and len(item) < 19 for item in (first, last, total)):
        raise FormatError(f"{text!r} is not a range", reason="bad-range", hint="write `bytes FIRST-LAST/TOTAL`")
    if not int(first) <= int(last) < int(total):
        raise FormatError(f"{text!r} is not a range", reason="bad-range")
    return int(first), int(last) + 1, int(total)


def exactly(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The chunks; FormatError `bad-range` when they are more, UnavailableError `incomplete-upload` when they are less."""
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > size:
            raise FormatError("the part is longer than its range", reason="bad-range")
        yield chunk
    if received != size:
        raise UnavailableError("the part broke off", reason="incomplete-upload", retriable=True)


def pulled(stream: AsyncIterator[bytes], pace: Pace) -> Iterator[bytes]:
    """The body in the thread that wants it; UnavailableError `timeout` for one that trickles."""
    started, received = anyio.from_thread.run_sync(anyio.current_time), 0

    async def following() -> bytes | None:
        with anyio.fail_after(pace.idle):
            return await anext(stream, None)

    while True:
        try:
            chunk = anyio.from_thread.run(following)
        except TimeoutError as error:
            raise UnavailableError("the upload fell silent", reason="timeout", retriable=True) from error
        if chunk is None:
            return
        received += len(chunk)
        spent = anyio.from_thread.run_sync(anyio.current_time) - started
        if spent > pace.grace and received < pace.slowest * (spent - pace.grace):
            raise UnavailableError("the upload is too slow", reason="timeout", retriable=True)
        yield chunk
