"""What a command in a sandbox writes: gathered within limits, told as it comes."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable

from apkiln.system.sandbox import Listener, SandboxSpec, Stop, Streams


def collect(
    process: subprocess.Popen[bytes], spec: SandboxSpec, started: float, listener: Listener | None
) -> tuple[Stop, bytes, bytes]:
    """Read the outputs of a process to their end, or until a limit of the spec; why it stopped, and what came.

    The process is left as it is.  `started`: on `time.monotonic`.
    """
    deadline = started + spec.limits.seconds if spec.limits.seconds else None
    gathered = (bytearray(), bytearray())
    with selectors.DefaultSelector() as selector:
        for stream, buffer in zip((process.stdout, process.stderr), gathered, strict=True):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, buffer)
        take = _Tail(spec.limits.output, listener) if spec.streams is Streams.LINES else _bounded_take(spec.limits.output)
        stop = _drain(selector, take, deadline)
    if stop is Stop.EXITED:
        try:
            process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            stop = Stop.TIMED_OUT
    kept = -spec.limits.output if spec.streams is Streams.LINES and spec.limits.output else 0
    return stop, bytes(gathered[0][kept:]), bytes(gathered[1])


Take = Callable[[bytearray, bytes], bool]
"""Adds a piece of output to what was gathered; False = it is too much."""


class _Tail:
    """Keeps the last bytes and passes all on."""

    def __init__(self, limit: int, listener: Listener | None) -> None:
        self._limit = limit
        self._listener = listener

    def __call__(self, gathered: bytearray, piece: bytes) -> bool:
        gathered.extend(piece)
        if self._limit and len(gathered) > 2 * self._limit:
            del gathered[: -self._limit]
        if self._listener is not None and piece:
            self._listener(piece)
        return True


def _bounded_take(limit: int) -> Take:
    def take(gathered: bytearray, piece: bytes) -> bool:
        gathered.extend(piece)
        if limit and len(gathered) > limit:
            del gathered[limit:]
            return False
        return True

    return take


def _drain(selector: selectors.DefaultSelector, take: Take, deadline: float | None) -> Stop:
    """Read the streams until they end, `take` refuses a piece (the rest is dropped), or time is over."""
    while selector.get_map():
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            return Stop.TIMED_OUT
        for key, _events in selector.select(remaining):
            chunk = os.read(key.fd, 65536)
            if not chunk:
                selector.unregister(key.fileobj)
            if not take(key.data, chunk):
                return Stop.OUTPUT_LIMIT
    return Stop.EXITED
