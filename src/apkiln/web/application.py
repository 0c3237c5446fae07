"""The whole service as one ASGI application: public paths, interface, pages, health, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import msgspec

from apkiln.core.errors import ApkilnError
from apkiln.repository.filtering import FilteredView
from apkiln.repository.reconciling import Incidents
from apkiln.repository.service import RepositoryService
from apkiln.system.partial_uploads import PartialUploads
from apkiln.web.api import make_api
from apkiln.web.describing import allowed_methods
from apkiln.web.errors import ErrorDocument, ErrorValue, body_of, status_of
from apkiln.web.metrics import metrics_text
from apkiln.web.oidc import Verifier
from apkiln.web.pages.addresses import MARK
from apkiln.web.pages.site import Site
from apkiln.web.serving import Front, Receive, Scope, Send, split_path
from apkiln.web.tokens import Token, authenticated, check_repository, check_verb, secret_of
from apkiln.web.uploading import DEFAULT_PACE, Pace
from apkiln.web.webhooks import Delivery

_API = "api/v1"
ANYBODY = Token("anybody", "", ("read",))
"""Who asks what everybody may know."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """One repository and what the application keeps of it."""

    service: RepositoryService
    private: bool = False
    """Reading needs a token that may read."""
    incidents: Incidents = field(default_factory=Incidents)


class Application:
    """ASGI; `ready` says whether the work of the background has begun."""

    def __init__(
        self,
        hosted: Mapping[str, Hosted],
        tokens: Sequence[Token],
        uploads: PartialUploads,
        now: Callable[[], float],
        verifier: Verifier | None = None,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self.hosted = dict(hosted)
        self.ready = False
        self.views: dict[str, FilteredView] = {}
        """Filtered ones, by the name they are served under."""
        self.deliveries: tuple[Delivery, ...] = ()
        """Webhooks."""
        self._tokens = tuple(tokens)
        self._uploads = uploads
        self._now = now
        self._verifier = verifier
        self._pace = pace
        private = [name for name, item in hosted.items() if item.private]
        self._front = Front({name: item.service for name, item in hosted.items()}, now, private)
        self._api: Any = make_api()
        self.site = Site({name: item.service for name, item in hosted.items()})

    def sweep_uploads(self) -> None:
        """Forget parts of files that no open transaction of any repository declares any more."""
        wanted: set[str] = set()
        for item in self.hosted.values():
            with item.service.reading() as state:
                wanted.update(file.sha256 for number in state.unfinished for file in state.transactions[number].manifest.files)
        self._uploads.keep_only(wanted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._api(scope, receive, send)
            return
        if scope["type"] != "http" or await self._front.at_once(scope, send):
            return
        await self._recognise(scope)
        name, rest = split_path(scope["path"], {**self.hosted, **self.views})
        if name in self.views:
            await self._view(self.views[name], scope, send)
            return
        if not name:
            await self._own(scope, send)
            return
        is_page = rest in ("", MARK) or rest.startswith(f"{MARK}/")
        try:
            if rest == _API or rest.startswith(f"{_API}/"):
                await self._interface(name, rest, scope, receive, send)
                return
            if self.hosted[name].private:
                check_verb(self._token(scope), name, "read")
        except ApkilnError as error:
            await self._refuse(send, error, name)
            return
        if is_page:
            raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
            await self.site.repository(scope, send, self.hosted[name], split_path(raw, self.hosted)[1])
            return
        await self._front(scope, receive, send)

    async def _interface(self, name: str, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = rest.removeprefix(_API) or "/"
        hosted, token = self.hosted[name], None
        if scope["method"] == "OPTIONS" and (methods := allowed_methods(self._api, path)):
            await _respond(send, 204, b"", b"text/plain", [(b"allow", ", ".join(methods).encode())])
            return
        if _is_public(scope["method"], path) and not hosted.private and not _authorization(scope):
            token = ANYBODY
        elif not path.startswith("/schema"):
            token = self._token(scope)
            check_repository(token, name)
        inner = dict(scope)
        is_head = scope["method"] == "HEAD"
        inner |= {
            "method": "GET" if is_head else scope["method"],
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "apkiln.service": hosted.service,
            "apkiln.shelf": self.site.shelves[name],
            "apkiln.incidents": hosted.incidents,
            "apkiln.uploads": self._uploads,
            "apkiln.token": token,
            "apkiln.pace": self._pace,
        }
        await self._api(inner, receive, _without_body(send) if is_head else send)

    async def _view(self, view: FilteredView, scope: Scope, send: Send) -> None:
        hosted = self.hosted[view.service.name]
        try:
            if hosted.private:
                check_verb(self._token(scope), hosted.service.name, "read")
        except ApkilnError as error:
            await self._refuse(send, error, view.name)
            return
        raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        await self._front.view(scope, send, view, split_path(raw, self.views)[1], private=hosted.private)

    async def _recognise(self, scope: Scope) -> None:
        """Tokens of an issuer need its keys, perhaps over the network: verify them once, aside of everybody else's requests."""
        header = _authorization(scope)
        if self._verifier is None or not self._verifier.looks_like_one(secret_of(header)):
            return

        def verify() -> Token | ApkilnError:
            try:
                return authenticated(self._tokens, header, int(self._now()), self._verifier)
            except ApkilnError as error:
                return error

        scope["apkiln.recognised"] = await anyio.to_thread.run_sync(verify)

    def _token(self, scope: Scope) -> Token:
        recognised: Token | ApkilnError | None = scope.get("apkiln.recognised")
        if isinstance(recognised, ApkilnError):
            raise recognised
        return recognised or authenticated(self._tokens, _authorization(scope), int(self._now()))

    async def _own(self, scope: Scope, send: Send) -> None:
        match scope["path"]:
            case "/healthz":
                await _respond(send, 200, b"ok\n", b"text/plain")
            case "/readyz":
                await _respond(send, 200 if self.ready else 503, b"ready\n" if self.ready else b"starting\n", b"text/plain")
            case "/metrics":
                text = metrics_text(self.hosted, self._front.counts, int(self._now() * 1000), self.deliveries)
                await _respond(send, 200, text.encode(), b"text/plain; version=0.0.4")
            case "/":
                await self.site.home(scope, send, filter(lambda item: self._may_read(scope, item), self.hosted.values()))
            case path if path.startswith(f"/{MARK}/"):
                await self.site.asset(scope, send, path.removeprefix(f"/{MARK}/"))
            case _ if _wants_a_page(scope):
                await self.site.missing(scope, send)
            case _:
                error = ErrorDocument(ErrorValue("NOT_FOUND", "there is nothing at this path", False))
                await _respond(send, 404, msgspec.json.encode(error), b"application/json")

    def _may_read(self, scope: Scope, hosted: Hosted) -> bool:
        try:
            if hosted.private:
                check_verb(self._token(scope), hosted.service.name, "read")
        except ApkilnError:
            return False
        return True

    async def _refuse(self, send: Send, error: ApkilnError, name: str) -> None:
        status = status_of(error)
        challenge = [(b"www-authenticate", f'Basic realm="{name}"'.encode())] if status == 401 else []
        await _respond(send, status, msgspec.json.encode(body_of(error)), b"application/json", challenge)


def _is_public(method: str, path: str) -> bool:
    """Versions of packages and differences of generations: programs that look for news need no token, as clients need none."""
    return method in ("GET", "HEAD") and (path.startswith("/packages/") or path == "/diff")


def _without_body(send: Send) -> Send:
    """The answer to HEAD: the headers of GET."""

    async def passed(message: MutableMapping[str, Any]) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return passed


def _wants_a_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _authorization(scope: Scope) -> str:
    found = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return str(found.decode("latin-1"))


async def _respond(send: Send, status: int, body: bytes, content_type: bytes, extra: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
