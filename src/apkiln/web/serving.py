"""What clients fetch: GET and HEAD of everything public, as a plain ASGI application (spec repository.md §10.1).

Bodies are blobs, never changed and never encoded.  Small ones and indexes stay in memory, the rest streams.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, MutableMapping
from typing import Any

import anyio.to_thread

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.core.limits import MIB
from apkiln.repository.filtering import FilteredView
from apkiln.repository.front import CANDIDATE, Answer, found, refusal
from apkiln.repository.service import RepositoryService
from apkiln.web.conditional import Part, Requested, http_date, part_of
from apkiln.web.prepared import Prepared, PreparedAnswers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_KEPT_BLOB = 64 * MIB
_KEPT = 256 * MIB
_LISTS = ("withdrawn.json", "names.json")
"""Documents that are made of the whole state, which nobody may change meanwhile."""
Headers = list[tuple[bytes, bytes]]


class RecentBlobs:
    """Blobs in memory, the ones used last; shared by threads."""

    def __init__(self, limit: int = _KEPT) -> None:
        self._limit = limit
        self._size = 0
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> bytes | None:
        """The blob, if it is here."""
        with self._lock:
            if digest in self._blobs:
                self._blobs.move_to_end(digest)
            return self._blobs.get(digest)

    def put(self, digest: str, data: bytes) -> None:
        """Keep it, and drop others if they are too many."""
        with self._lock:
            if len(data) > self._limit or digest in self._blobs:
                return
            self._blobs[digest] = data
            self._size += len(data)
            while self._size > self._limit:
                self._size -= len(self._blobs.popitem(last=False)[1])


class Front:
    """ASGI: the public paths of several repositories."""

    def __init__(
        self, services: Mapping[str, RepositoryService], now: Callable[[], float], private: Collection[str] = ()
    ) -> None:
        """`private`: names of repositories whose answers no shared cache may keep."""
        self._services = services
        self._now = now
        self._private = frozenset(private)
        self._recent = RecentBlobs()
        self._prepared = PreparedAnswers()
        self._limiter: anyio.CapacityLimiter | None = None
        self.counts: dict[int, int] = {}
        """Responses by status."""

    async def at_once(self, scope: Scope, send: Send) -> bool:
        """Answer what was answered before and is still true; whether it was."""
        reply = self._prepared.reply(scope["method"], _raw_path(scope), scope["headers"])
        if reply is None:
            return False
        body: bytes | None = reply.body
        if reply.blob and (body := self._recent.get(reply.blob)) is None:
            return False
        await self._begin(send, reply.status, list(reply.headers))
        await send({"type": "http.response.body", "body": body})
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            await self._send_small(send, refusal(405, "method", "only GET and HEAD"), [(b"allow", b"GET, HEAD")], head=False)
            return
        name, rest = split_path(_raw_path(scope).decode("latin-1"), self._services)
        if name != split_path(scope["path"], self._services)[0]:
            name = ""  # whoever let this pass looked at another repository's name
        service = self._services.get(name)
        moment = service.state.head.number if service is not None else 0
        answer = await self._answer(service, rest)
        if name in self._private:
            answer = answer._replace(cache=answer.cache.replace("public", "private"))
        if answer.status != 200 or service is None:
            extra = [(b"location", answer.location.encode())] if answer.location else []
            await self._send_small(send, answer, extra, head=method == "HEAD")
            return
        size = await self._send_representation(scope, send, service, answer, head=method == "HEAD")
        if size is not None and name not in self._private and not rest.startswith(CANDIDATE):
            self._prepare(_raw_path(scope), service, moment, answer, size)

    def _prepare(self, path: bytes, service: RepositoryService, moment: int, answer: Answer, size: int) -> None:
        """Keep an answer.  `moment` is from before it was made, and a row counts once it is folded into the state: what was
        made while one came is old as soon as it is there."""
        etag = _etag(answer)
        headers = tuple(_headers(answer, etag, Part(200, 0, size), size))
        made = Prepared(lambda: service.state.head.number, moment, headers, etag.encode(), answer.blob, answer.body)
        self._prepared.put(path, made)

    async def view(self, scope: Scope, send: Send, view: FilteredView, path: str, *, private: bool) -> None:
        """What a filtered view has at a path (as it came)."""
        head = scope["method"] == "HEAD"
        if scope["method"] not in ("GET", "HEAD"):
            await self._send_small(send, refusal(405, "method", "only GET and HEAD"), [(b"allow", b"GET, HEAD")], head=False)
            return
        answer = await anyio.to_thread.run_sync(view.answer, path, int(self._now()), limiter=self._threads())
        if private:
            answer = answer._replace(cache=answer.cache.replace("public", "private"))
        if answer.status == 200:
            await self._send_representation(scope, send, view.service, answer, head=head)
        else:
            await self._send_small(send, answer, [], head=head)

    async def _answer(self, service: RepositoryService | None, rest: str) -> Answer:
        if service is None or not rest:
            return refusal(404, "not-found", "there is nothing at this path")
        if rest.startswith((CANDIDATE, "keys/")) or rest in _LISTS:
            return await anyio.to_thread.run_sync(self._careful, service, rest, limiter=self._threads())
        return found(service.state, rest, int(self._now()))

    def _careful(self, service: RepositoryService, rest: str) -> Answer:
        """Documents are made of the whole state; a candidate may be another process's."""
        with service.reading():
            answer = found(service.state, rest, int(self._now()))
        if answer.status == 404 and rest.startswith(CANDIDATE):
            service.refresh()
            with service.reading():
                answer = found(service.state, rest, int(self._now()))
        return answer

    def _threads(self) -> anyio.CapacityLimiter:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(16)
        return self._limiter

    async def _send_representation(
        self, scope: Scope, send: Send, service: RepositoryService, answer: Answer, *, head: bool
    ) -> int | None:
        """Bytes of the whole representation; None when there is none after all."""
        data = answer.body if not answer.blob else self._recent.get(answer.blob)
        size: int | None = len(data) if data is not None else None
        if size is None:
            try:
                size, data = await anyio.to_thread.run_sync(self._load, service, answer.blob, limiter=self._threads())
            except ApkilnError as error:
                await self._send_small(send, refusal(503, error.reason, error.message), [], head=head)
                return None
        if size is None:
            await self._send_small(send, refusal(500, "blob-missing", "a listed file is not in the store"), [], head=head)
            return None
        etag = _etag(answer)
        part = part_of(_requested(scope), size, etag or '""', answer.modified)
        headers = _headers(answer, etag, part, size)
        await self._begin(send, part.status, headers)
        if head or part.status in (304, 416):
            await send({"type": "http.response.body", "body": b""})
        elif data is not None:
            await send({"type": "http.response.body", "body": data[part.start : part.end]})
        else:
            await self._stream(send, service, answer.blob, part)
        return size

    def _load(self, service: RepositoryService, blob: str) -> tuple[int | None, bytes | None]:
        digest = Digest.sha256(bytes.fromhex(blob))
        size = service.equipment.blobs.size(digest)
        if size is None or size > _KEPT_BLOB:
            return size, None
        chunks = service.equipment.blobs.read(digest)
        if chunks is None:
            return None, None
        data = b"".join(chunks)
        self._recent.put(blob, data)
        return size, data

    async def _stream(self, send: Send, service: RepositoryService, blob: str, part: Part) -> None:
        digest = Digest.sha256(bytes.fromhex(blob))
        chunks: Iterator[bytes] = service.equipment.blobs.read(digest, part.start, part.end - part.start) or iter(())
        while (chunk := await anyio.to_thread.run_sync(next, chunks, None, limiter=self._threads())) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _send_small(self, send: Send, answer: Answer, extra: Headers, *, head: bool) -> None:
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", answer.cache.encode()),
            *extra,
        ]
        await self._begin(send, answer.status, headers)
        await send({"type": "http.response.body", "body": b"" if head else answer.body})

    async def _begin(self, send: Send, status: int, headers: Headers) -> None:
        self.counts[status] = self.counts.get(status, 0) + 1
        await send({"type": "http.response.start", "status": status, "headers": headers})


def split_path(path: str, names: Mapping[str, object]) -> tuple[str, str]:
    """(repository, rest): the longest known name that the path begins with; the rest begins with `@` for a view.

    `/os/musl@5/x86_64/f` → (`os/musl`, `@5/x86_64/f`).  ("", "") when there is none.
    """
    path = path.removeprefix("/")
    position = len(path)
    while position > 0:
        begin = path[:position]
        if begin in names:
            rest = path[position:]
            if rest[:1] in ("/", "@"):
                return begin, rest.removeprefix("/")
            if not rest:
                return begin, ""
        position = max(path.rfind("/", 0, position), path.rfind("@", 0, position))
    return "", ""


def _raw_path(scope: Scope) -> bytes:
    """As it came, without the query."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0]


def _etag(answer: Answer) -> str:
    digest = answer.blob or answer.digest
    return f'"sha256:{digest}"' if digest else ""


def _requested(scope: Scope) -> Requested:
    wanted = {b"if-none-match": "", b"if-modified-since": "", b"range": "", b"if-range": ""}
    for name, value in scope["headers"]:
        if name in wanted:
            wanted[name] = value.decode("latin-1")
    return Requested(*wanted.values())


def _headers(answer: Answer, etag: str, part: Part, size: int) -> Headers:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"cache-control", answer.cache.encode()),
        (b"accept-ranges", b"bytes"),
    ]
    if etag:
        digest = b64encode(bytes.fromhex(answer.blob or answer.digest))
        headers += [(b"etag", etag.encode()), (b"repr-digest", b"sha-256=:" + digest + b":")]
    if answer.modified:
        headers.append((b"last-modified", http_date(answer.modified).encode()))
    if answer.generation:
        headers.append((b"x-repository-generation", str(answer.generation).encode()))
    if part.status == 416:
        return [*headers, (b"content-range", f"bytes */{size}".encode()), (b"content-length", b"0")]
    if part.status == 206:
        headers.append((b"content-range", f"bytes {part.start}-{part.end - 1}/{size}".encode()))
    if part.status != 304:
        headers.append((b"content-length", str(part.end - part.start).encode()))
    return headers
