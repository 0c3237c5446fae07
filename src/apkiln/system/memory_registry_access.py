"""Who may do what in the registry in memory: everybody, basic credentials, or tokens with scopes that end."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs

from apkiln.system.clock import Clock, ManualClock

if TYPE_CHECKING:
    from apkiln.system.memory_registry import Reply

Users = tuple[tuple[str, str], ...]
"""Names with their passwords."""


class Gate:
    """Lets everything pass."""

    def answer(self, method: str, url: SplitResult, headers: dict[str, str], body: bytes) -> Reply | None:
        """The refusal, or the gate's own page; None: go on."""
        return None


class BasicGate(Gate):
    """One of the users, for everything."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def answer(self, method: str, url: SplitResult, headers: dict[str, str], body: bytes) -> Reply | None:
        if basic_user(headers.get("authorization", "")) in self._users:
            return None
        return refuse(401, "UNAUTHORIZED", 'Basic realm="the registry, with \\"quotes\\""')


class TokenGate(Gate):
    """Tokens from `/token`; reading may be free, pushing needs a user.

    `realm` is the URL under which this registry itself is reached, and where `/token` is.  `identity_tokens` are taken for
    `grant_type=refresh_token`.  Tokens end after `life` seconds of `clock`.
    """

    def __init__(
        self,
        realm: str,
        users: Users = (),
        *,
        anonymous_pull: bool = True,
        identity_tokens: tuple[str, ...] = (),
        life: int = 300,
        clock: Clock | None = None,
    ) -> None:
        self._realm = realm
        self._users = users
        self._anonymous_pull = anonymous_pull
        self._identity_tokens = identity_tokens
        self._life = life
        self._clock = clock or ManualClock()
        self._tokens: dict[str, tuple[float, frozenset[str]]] = {}
        self.issued = 0

    def answer(self, method: str, url: SplitResult, headers: dict[str, str], body: bytes) -> Reply | None:
        if url.path == "/token":
            return self._issue(method, url, headers, body)
        needed = _needed(method, url)
        kind, _, token = headers.get("authorization", "").partition(" ")
        end, granted = self._tokens.get(token, (0.0, frozenset()))
        if kind == "Bearer" and end > self._clock.monotonic() and needed <= granted:
            return None
        scope = " ".join(sorted(needed))
        return refuse(401, "UNAUTHORIZED", f'Bearer realm="{self._realm}/token",service="test, registry",scope="{scope}"')

    def _issue(self, method: str, url: SplitResult, headers: dict[str, str], body: bytes) -> Reply:
        from apkiln.system.memory_registry import Reply

        form = parse_qs(body.decode() if method == "POST" else url.query)
        known = basic_user(headers.get("authorization", "")) in self._users
        if method == "POST":
            known = form.get("refresh_token", [""])[0] in self._identity_tokens
        elif "authorization" in headers and not known:
            return refuse(401, "UNAUTHORIZED")
        if form.get("service") != ["test, registry"] or (method == "POST" and not known):
            return refuse(401, "UNAUTHORIZED")
        self.issued += 1
        token = f"token-{self.issued}"
        granted = {need for text in form.get("scope", []) for scope in text.split() for need in self._granted(scope, known)}
        self._tokens[token] = (self._clock.monotonic() + self._life, frozenset(granted | {"ping"}))
        name = "access_token" if method == "POST" else "token"
        return Reply(200, (("content-type", "application/json"),), json.dumps({name: token, "expires_in": self._life}).encode())

    def _granted(self, scope: str, known: bool) -> list[str]:
        prefix, _, actions = scope.rpartition(":")
        allowed = {"pull", "push"} if known else {"pull"} if self._anonymous_pull else set()
        return [f"{prefix}:{action}" for action in actions.split(",") if action in allowed]


def basic_user(authorization: str) -> tuple[str, str]:
    """Name and password of a basic header; two empty texts for anything else."""
    kind, _, value = authorization.partition(" ")
    name, _, password = base64.b64decode(value).decode().partition(":") if kind == "Basic" else ("", "", "")
    return name, password


def refuse(status: int, code: str, challenge: str = "") -> Reply:
    """A refusal, with what is asked for instead."""
    from apkiln.system.memory_registry import Reply

    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    asked = (("www-authenticate", challenge),) if challenge else ()
    return Reply(status, (("content-type", "application/json"), ("content-length", str(len(body))), *asked), body)


def _needed(method: str, url: SplitResult) -> frozenset[str]:
    parts = url.path.strip("/").split("/")
    if len(parts) < 3:
        return frozenset({"ping"})
    kinds = [position for position, part in enumerate(parts) if part in {"blobs", "manifests", "tags", "referrers"}]
    name = "/".join(parts[1 : kinds[-1]]) if kinds else "/".join(parts[1:])
    action = "pull" if method in {"GET", "HEAD"} and "uploads" not in parts else "push"
    needed = {f"repository:{name}:{action}"}
    origin = parse_qs(url.query).get("from", [""])[0]
    return frozenset(needed | ({f"repository:{origin}:pull"} if origin else set()))
