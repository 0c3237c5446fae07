"""A bounded number of requests over kept connections, for at most so long: what HTTP servers are measured with.

It asks loopback only.  Without a rate every connection asks again once it is answered; with one, requests have times of their
own, and a late answer counts from the time at which its request should have gone out.  Run as a process
(`python -m benchmarks.http_load`, a `Load` as JSON on standard input, a `Result` on standard output) it has an interpreter of
its own.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Ask(NamedTuple):
    """One kind of request."""

    method: str
    path: str
    headers: str = ""
    """Lines with line ends."""


class Load(NamedTuple):
    """What is asked for; the kinds take turns."""

    port: int
    asks: tuple[Ask, ...]
    requests: int
    seconds: float
    """No request goes out later than that."""
    connections: int = 32
    rate: int = 0
    """Requests a second; 0 = as fast as they are answered."""


class Result(NamedTuple):
    """What came of it."""

    answered: int
    seconds: float
    statuses: dict[str, int]
    received: int
    """Bytes."""
    p50: float
    """Milliseconds, as all that follow."""
    p99: float
    longest: float
    slow: int
    """Answers that took more than 50 ms."""


class _Connection:
    """One socket; at most one request is under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.is_last = False
        """The server ends the connection with this answer."""
        self.begun = 0.0
        self.is_head = False
        self.left = -1
        """Bytes of the body that are still to come; -1 = still in the head."""
        self.start = b""

    def ask(self, data: bytes, is_head: bool, begun: float) -> None:
        self.begun, self.is_head, self.left, self.start = begun, is_head, -1, b""
        self.socket.sendall(data)

    def take(self, chunk: bytes) -> str | None:
        """The status, once the whole answer is there."""
        if self.left >= 0:
            self.left -= len(chunk)
        else:
            self.start += chunk
            end = self.start.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self.start[:end].lower()
            self.is_last = b"\r\nconnection: close" in head
            at = head.find(b"\r\ncontent-length: ")
            has_body = not self.is_head and self.start[9:12] != b"304" and at >= 0
            length = int(head[at + 18 :].split(b"\r", 1)[0]) if has_body else 0
            self.left, self.start = length - (len(self.start) - end - 4), self.start[:16]
        if self.left < 0:
            raise ValueError("more bytes than were announced")
        return self.start[9:12].decode() if not self.left else None


def run(load: Load) -> Result:
    """Ask, and wait for what is under way."""
    requests = [
        (f"{ask.method} {ask.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n{ask.headers}\r\n".encode(), ask.method == "HEAD")
        for ask in load.asks
    ]
    selector = selectors.DefaultSelector()

    def connected() -> _Connection:
        made = _Connection(load.port)
        selector.register(made.socket, selectors.EVENT_READ, made)
        return made

    idle = deque(connected() for _ in range(load.connections))
    statuses: Counter[str] = Counter()
    taken: list[float] = []
    sent = received = 0
    begin = time.perf_counter()
    while True:
        now = time.perf_counter()
        while idle and sent < load.requests and now - begin < load.seconds:
            due = begin + sent / load.rate if load.rate else now
            if due > now:
                break
            idle.popleft().ask(*requests[sent % len(requests)], due)
            sent += 1
        is_over = sent == load.requests or now - begin >= load.seconds
        if is_over and len(taken) == sent:
            break
        wait = begin + sent / load.rate - now if load.rate and idle and not is_over else 10
        events = selector.select(max(0.0, wait))
        if not events and wait == 10:
            raise TimeoutError("no answer for ten seconds")
        for key, _ in events:
            chunk = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
            if not chunk:
                raise ConnectionError("the server hung up")
            received += len(chunk)
            status = key.data.take(chunk)
            if status is not None:
                taken.append((time.perf_counter() - key.data.begun) * 1000)
                statuses[status] += 1
                if key.data.is_last:
                    selector.unregister(key.data.socket)
                    key.data.socket.close()
                idle.append(connected() if key.data.is_last else key.data)
    spent = time.perf_counter() - begin
    for key in tuple(selector.get_map().values()):
        key.data.socket.close()
    ordered = sorted(taken)
    slow = sum(1 for item in ordered if item > 50)
    return Result(
        len(ordered),
        spent,
        dict(statuses),
        received,
        ordered[len(ordered) // 2],
        ordered[int(len(ordered) * 0.99)],
        ordered[-1],
        slow,
    )


def in_process(load: Load) -> Result:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        input=json.dumps(load),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return Result(*json.loads(done.stdout))


def _load(values: list[object]) -> Load:
    port, asks, *rest = values
    return Load(port, tuple(Ask(*ask) for ask in asks), *rest)  # type: ignore[arg-type,attr-defined]


if __name__ == "__main__":
    json.dump(run(_load(json.load(sys.stdin))), sys.stdout)
