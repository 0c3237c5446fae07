"""All pages as an ASGI application (GET and HEAD, no cookies, no scripts, nothing from other hosts).

A page is a function of the ledger's head, the incidents and its address: its ETag is the digest of those, so an unchanged page
is answered without being made.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio.to_thread

from apkiln import __version__
from apkiln.repository.service import RepositoryService
from apkiln.web.conditional import Requested, part_of
from apkiln.web.pages import addresses, history_views, package_views, state_views
from apkiln.web.pages.questions import Question, question_of
from apkiln.web.pages.rendering import ASSETS, asset, asset_version, look, render
from apkiln.web.pages.visit import Page, Shelf, Visit, missing

if TYPE_CHECKING:
    from apkiln.web.application import Hosted
    from apkiln.web.serving import Scope, Send

View = Callable[..., Page]
Headers = list[tuple[bytes, bytes]]
ROUTES: tuple[tuple[tuple[str, ...], View], ...] = (
    ((), state_views.overview),
    (("packages",), package_views.packages),
    (("packages", "*"), package_views.package),
    (("packages", "*", "*", "*"), package_views.version),
    (("packages", "*", "*", "*", "files"), package_views.files),
    (("generations",), history_views.generations),
    (("generations", "*"), history_views.generation),
    (("differences",), history_views.differences),
    (("transactions",), history_views.transactions),
    (("transactions", "*"), history_views.transaction),
    (("incidents",), state_views.incidents),
    (("withdrawn",), state_views.withdrawals),
    (("keys",), state_views.keys),
)
"""`*` is any part, and becomes an argument."""
SECURITY: Headers = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
FOR_EVER = b"public, max-age=31536000, immutable"
_THREADS = 4


class Response(NamedTuple):
    """Everything but the sending."""

    status: int
    body: bytes
    etag: str
    content_type: bytes = b"text/html; charset=utf-8"
    cache: bytes = b"no-cache"


def view_of(parts: Sequence[str]) -> tuple[View, tuple[str, ...]] | None:
    """The function that makes a page, and its arguments; None for an address that no page has."""
    for pattern, view in ROUTES:
        if len(pattern) == len(parts) and all(wanted in ("*", part) for wanted, part in zip(pattern, parts, strict=True)):
            return view, tuple(part for wanted, part in zip(pattern, parts, strict=True) if wanted == "*")
    return None


class Site:
    """See the module."""

    def __init__(self, services: Mapping[str, RepositoryService]) -> None:
        self.shelves = {name: Shelf(service) for name, service in services.items()}
        self._limiter: anyio.CapacityLimiter | None = None
        self._making = threading.Lock()

    def warm(self) -> None:
        """Make what the first visitor would wait for."""
        look()
        for shelf in self.shelves.values():
            with shelf.reading():
                pass

    async def repository(self, scope: Scope, send: Send, hosted: Hosted, path: str) -> None:
        """A page of one repository; `path` is what comes after its name, as it came."""
        name = hosted.service.name
        question = question_of(scope.get("query_string", b""))
        parts = addresses.parts(path)
        incidents = tuple(hosted.incidents.open)
        images = str(hash(self.shelves[name].images))
        etag = _etag(name, scope["path"], scope.get("query_string", b""), hosted.service.state.head.hash, repr(incidents), images)
        await self._respond(scope, send, etag, lambda: self._made(name, incidents, parts, question), is_private=hosted.private)

    async def home(self, scope: Scope, send: Send, hosted: Iterable[Hosted]) -> None:
        """The list of repositories that the visitor may read."""
        shown = sorted((item.service.name, item) for item in hosted)
        counts = [(name, len(item.incidents.open)) for name, item in shown]
        heads = [item.service.state.head.hash for _, item in shown]
        etag = _etag("", scope["path"], b"", *heads, repr(counts))

        def make() -> tuple[int, bytes]:
            page = state_views.repositories([(self.shelves[name], count) for name, count in counts])
            return page.status, render(page.template, repository="", **page.values)

        await self._respond(scope, send, etag, make, is_private=any(item.private for _, item in shown))

    async def asset(self, scope: Scope, send: Send, name: str) -> None:
        """Style and icon; kept for ever under an address with their version."""
        if name not in ASSETS:
            await self.missing(scope, send)
            return
        versioned = asset_version(name).encode() in scope.get("query_string", b"")
        cache = FOR_EVER if versioned else b"public, max-age=300"
        response = Response(200, asset(name), f'"{asset_version(name)}"', ASSETS[name].encode(), cache)
        await _send(scope, send, response)

    async def missing(self, scope: Scope, send: Send) -> None:
        """There is nothing here."""
        page = missing("nothing at this address")
        body = render(page.template, repository="", **page.values)
        await _send(scope, send, Response(404, body, ""))

    def _made(
        self, name: str, incidents: Sequence[Any], parts: tuple[str, ...] | None, question: Question | None
    ) -> tuple[int, bytes]:
        found = view_of(parts) if parts is not None else None
        if found is None or question is None:
            page = missing("nothing at this address")
        else:
            view, arguments = found
            page = view(Visit(self.shelves[name], incidents, question), *arguments)
        return page.status, render(page.template, repository=name, **page.values)

    async def _respond(
        self, scope: Scope, send: Send, etag: str, make: Callable[[], tuple[int, bytes]], *, is_private: bool
    ) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await _send(scope, send, Response(405, b"only GET and HEAD\n", "", b"text/plain"), [(b"allow", b"GET, HEAD")])
            return
        cache = b"private, no-cache" if is_private else b"no-cache"
        if _is_known(scope, etag):
            await _send(scope, send, Response(304, b"", etag, cache=cache))
            return
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        status, body = await anyio.to_thread.run_sync(make, limiter=self._limiter)
        await _send(scope, send, Response(status, body, etag if status == 200 else "", cache=cache))


def _etag(*parts: str | bytes) -> str:
    """Weak: two bodies under it say the same."""
    state = hashlib.sha256(f"{__version__}\0{look()}".encode())
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        state.update(b"\0%d\0" % len(data) + data)
    return f'W/"{state.hexdigest()[:32]}"'


def _is_known(scope: Scope, etag: str) -> bool:
    known = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
    return bool(etag and known) and part_of(Requested(", ".join(known)), 0, etag.removeprefix("W/"), 0).status == 304


async def _send(scope: Scope, send: Send, response: Response, extra: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers: Headers = [(b"content-type", response.content_type), (b"cache-control", response.cache), *SECURITY, *extra]
    if response.etag:
        headers.append((b"etag", response.etag.encode()))
        if response.status == 200 and _is_known(scope, response.etag):
            response = response._replace(status=304, body=b"")
    if response.status != 304:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
