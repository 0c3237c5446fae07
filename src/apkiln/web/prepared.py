"""Answers made once and sent many times: what a path has, until the ledger grows.

Only what has no further condition comes from here: no credentials, no range, no date, and no tag but the current one.  Every
other request is answered the long way, which is also how an answer gets here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

Header = tuple[bytes, bytes]
LIMIT = 4096
"""Paths; when they are more, all are forgotten."""
_CONDITIONS = frozenset((b"authorization", b"range", b"if-range", b"if-modified-since"))


class Prepared(NamedTuple):
    """One representation."""

    moment: Callable[[], int]
    """The number of the ledger's last row now."""
    made_at: int
    """The same when this was made."""
    headers: tuple[Header, ...]
    """Of 200, `Content-Length` last; a 304 has all but that one."""
    etag: bytes
    blob: str
    """Hex digest of the body; "" when the body is here."""
    body: bytes = b""


class Reply(NamedTuple):
    """What goes out."""

    status: int
    headers: tuple[Header, ...]
    blob: str
    body: bytes


class PreparedAnswers:
    """By path as it came, without the query; shared by threads."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: dict[bytes, Prepared] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def put(self, path: bytes, answer: Prepared) -> None:
        """Keep it.  It must be public, and what the state says at `made_at`."""
        with self._lock:
            if len(self._known) >= self._limit:
                self._known.clear()
            self._known[path] = answer

    def reply(self, method: str, path: bytes, headers: Iterable[Header]) -> Reply | None:
        """The answer, when there is one that is still true and the request asks for nothing special."""
        found = self._known.get(path)
        if found is None or found.made_at != found.moment() or method not in ("GET", "HEAD"):
            return None
        status = 200
        for name, value in headers:
            if name in _CONDITIONS:
                return None
            if name == b"if-none-match":
                if value != found.etag or not value:
                    return None
                status = 304
        if status == 304:
            return Reply(304, found.headers[:-1], "", b"")
        return Reply(200, found.headers, "" if method == "HEAD" else found.blob, b"" if method == "HEAD" else found.body)
