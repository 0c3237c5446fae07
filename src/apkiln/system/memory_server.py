"""An HTTP server in memory: the twin of the sockets, with every misbehaviour a test asks for."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from apkiln.core.errors import UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.system.clock import ManualClock
from apkiln.system.credentials import NO_CREDENTIALS, Credentials
from apkiln.system.http import DEFAULT_POLICY, HttpPolicy, HttpTransfer, Response

_CHUNK = 1000


class Resource(NamedTuple):
    """What stands under one URL."""

    data: bytes
    etag: str = ""
    last_modified: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers, names in lower case."""


class Misbehaviour(NamedTuple):
    """What goes wrong with one request."""

    status: int = 0
    """Answer with this status and no body; 0 = as usual."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of that answer, or that replace the usual ones."""
    cut: int = -1
    """Break the connection after so many bytes of the body; -1 = never."""
    refuse: bool = False
    """Do not even accept the connection."""
    shift: int = 0
    """Send a range that begins so many bytes too late."""
    ignore_range: bool = False
    """Answer 200 with everything to a range request."""
    silent_end: bool = False
    """With `cut`: end as if all had been sent."""


@dataclass(slots=True)
class Asked:
    """One request as it came."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)


class MemoryServer:
    """See `Exchange`; every host there is.  Requests are kept in `asked` in order."""

    def __init__(self, resources: Mapping[str, bytes | Resource] | None = None) -> None:
        self._resources: dict[str, Resource] = {}
        self._faults: dict[str, list[Misbehaviour]] = {}
        self._lock = threading.Lock()
        self.asked: list[Asked] = []
        for url, resource in (resources or {}).items():
            self.put(url, resource)

    def put(self, url: str, resource: bytes | Resource) -> None:
        """Place or replace something."""
        self._resources[url] = resource if isinstance(resource, Resource) else Resource(resource)

    def misbehave(self, url: str, *faults: Misbehaviour) -> None:
        """The next requests for `url` go wrong, one fault each."""
        self._faults.setdefault(url, []).extend(faults)

    @contextmanager
    def get(self, url: str, headers: tuple[tuple[str, str], ...]) -> Iterator[Response]:
        asked = Asked(url, {name.lower(): value for name, value in headers})
        with self._lock:
            self.asked.append(asked)
            faults = self._faults.get(url, [])
            fault = faults.pop(0) if faults else Misbehaviour()
        yield self._answer(url, asked.headers, fault)

    def _answer(self, url: str, asked: dict[str, str], fault: Misbehaviour) -> Response:
        if fault.refuse:
            raise _lost(url, "connection-failed")
        if fault.status:
            return Response(fault.status, dict(fault.headers), iter(()))
        resource = self._resources.get(url)
        if resource is None:
            return Response(404, {}, iter(()))
        headers = _headers(resource)
        if _is_current(resource, asked):
            return Response(304, headers, iter(()))
        start = 0 if fault.ignore_range else _range_start(resource, asked)
        if start >= len(resource.data) and start:
            return Response(416, {}, iter(()))
        if start:
            start += fault.shift
            headers["content-range"] = f"bytes {start}-{len(resource.data) - 1}/{len(resource.data)}"
        body = resource.data[start:]
        headers |= {"content-length": str(len(body))} | dict(fault.headers)
        return Response(206 if start else 200, headers, _pieces(url, body, fault))


def memory_transfer(
    server: MemoryServer,
    clock: ManualClock | None = None,
    credentials: Credentials = NO_CREDENTIALS,
    policy: HttpPolicy = DEFAULT_POLICY,
) -> HttpTransfer:
    """The whole client over a server in memory; waits take no time and the jitter is seeded."""
    return HttpTransfer(server, clock or ManualClock(), random.Random(0).random, credentials, policy)


def _headers(resource: Resource) -> dict[str, str]:
    named = {"etag": resource.etag, "last-modified": resource.last_modified}
    return {name: value for name, value in named.items() if value} | dict(resource.headers)


def _is_current(resource: Resource, asked: dict[str, str]) -> bool:
    if "if-none-match" in asked:
        return bool(resource.etag) and asked["if-none-match"] == resource.etag
    return bool(resource.last_modified) and asked.get("if-modified-since") == resource.last_modified


def _range_start(resource: Resource, asked: dict[str, str]) -> int:
    match = re.fullmatch(r"bytes=(\d+)-", asked.get("range", ""))
    wanted = asked.get("if-range", "")
    return int(match[1]) if match and wanted in {"", resource.etag, resource.last_modified} else 0


def _pieces(url: str, body: bytes, fault: Misbehaviour) -> Iterator[bytes]:
    end = len(body) if fault.cut < 0 else min(fault.cut, len(body))
    for position in range(0, end, _CHUNK):
        yield body[position : min(position + _CHUNK, end)]
    if end < len(body) and not fault.silent_end:
        raise _lost(url, "connection-lost")


def _lost(url: str, reason: str) -> UnavailableError:
    return UnavailableError(f"no connection to `{url}`", reason=reason, origin=Origin(source=url), retriable=True)
