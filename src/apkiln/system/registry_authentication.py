"""The `Authorization` of each request to one registry: basic, or bearer tokens got from the realm that it names.

A login goes to the registry itself and to its token service, which the registry names in its challenge, and to nobody
else: never along a redirect (supply-chain.md §7.1).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit, urlunsplit

from apkiln.core.errors import UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import Secret
from apkiln.system.clock import Clock
from apkiln.system.credentials import basic
from apkiln.system.http import USER_AGENT, RequestExchange
from apkiln.system.registry_addresses import shown
from apkiln.system.registry_challenges import Challenge, Scope, choose_challenge
from apkiln.system.registry_errors import ERROR_LIMIT, Answer, refusal
from apkiln.system.registry_logins import Login
from apkiln.system.registry_names import RepositoryName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOKEN_LIMIT = 1 << 20
_DEFAULT_LIFE = 60
_EARLY = 5.0
"""Seconds before its end from which a token is not used any more."""

Scopes = tuple[Scope, ...]


class _Held(NamedTuple):
    authorization: Secret
    until: float
    """On the monotonic clock."""


class Authentication:
    """What one registry wants to see from us, learnt from its refusals; for several threads.

    `login`: the login for a repository (may run a credential helper).  `exchange` must be guarded.
    """

    def __init__(self, host: str, exchange: RequestExchange, clock: Clock, login: Callable[[RepositoryName], Login]) -> None:
        self._host = host
        self._exchange = exchange
        self._clock = clock
        self._login = login
        self._lock = threading.Lock()
        self._held: dict[Scopes, _Held] = {}

    def header(self, scopes: Scopes) -> str:
        """The `Authorization` for these scopes as far as known; empty before the registry asked for one."""
        held = self._held.get(scopes)
        return held.authorization.reveal() if held and held.until > self._clock.monotonic() else ""

    def renew(self, repository: RepositoryName, scopes: Scopes, challenge: str, rejected: str) -> str:
        """Answer a 401: another `Authorization` than `rejected`, or empty when there is none to be had.

        Raises UnavailableError: what the token service refuses, and `bad-answer` when its answer is not understood.
        """
        with self._lock:
            present = self.header(scopes)
            if present and present != rejected:
                return present
            wanted = choose_challenge(challenge)
            if wanted is None:
                return ""
            held = self._answer(wanted, self._login(repository), scopes)
            if held.authorization.reveal() in {"", rejected}:
                return ""
            self._held[scopes] = held
            return held.authorization.reveal()

    def _answer(self, challenge: Challenge, login: Login, scopes: Scopes) -> _Held:
        if challenge.scheme == "basic":
            return _Held(Secret(basic(login.user) if login.user else ""), float("inf"))
        if login.registry_token is not None:
            return _Held(Secret(f"Bearer {login.registry_token.reveal()}"), float("inf"))
        token, life = self._token(challenge, login, scopes)
        return _Held(Secret(f"Bearer {token}"), self._clock.monotonic() + max(life - _EARLY, 1.0))

    def _token(self, challenge: Challenge, login: Login, scopes: Scopes) -> tuple[str, float]:
        """A token and its life in seconds."""
        query = [("service", challenge.get("service"))] if challenge.get("service") else []
        wanted = [str(scope) for scope in scopes]
        realm = challenge.get("realm")
        if login.identity_token is not None:
            form = [("grant_type", "refresh_token"), *query, ("client_id", USER_AGENT), ("scope", " ".join(wanted))]
            body = urlencode([*form, ("refresh_token", login.identity_token.reveal())]).encode()
            headers = (("Content-Type", "application/x-www-form-urlencoded"),)
            answer = self._ask("POST", realm, headers, body)
        else:
            parts = urlsplit(realm)
            asked = urlencode([*query, *(("scope", scope) for scope in wanted)])
            url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, asked))), fragment=""))
            authorization = (("Authorization", basic(login.user)),) if login.user else ()
            answer = self._ask("GET", url, authorization, b"")
        if answer.status != 200:
            raise refusal(answer, "a token", self._host, self._clock.now(), _secrets(login))
        return _read_token(answer.content, realm)

    def _ask(self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Answer:
        always = (("User-Agent", USER_AGENT), ("Accept", "application/json"))
        length = (("Content-Length", str(len(body))),) if method == "POST" else ()
        with self._exchange.request(method, url, (*always, *headers, *length), (body,) if body else ()) as response:
            limit = TOKEN_LIMIT if response.status == 200 else ERROR_LIMIT
            return Answer(response.status, response.headers, read_limited(response.body, limit, url))


def read_limited(body: Iterator[bytes], limit: int, url: str) -> bytes:
    """All of a body; UnavailableError `bad-answer` beyond `limit` bytes."""
    content = bytearray()
    for chunk in body:
        content += chunk
        if len(content) > limit:
            message = f"`{shown(url)}` answers with more than {limit} bytes"
            raise UnavailableError(message, reason="bad-answer", origin=Origin(source=shown(url)))
    return bytes(content)


def _read_token(content: bytes, realm: str) -> tuple[str, float]:
    try:
        value: Any = json.loads(content)
        token = value.get("token") or value.get("access_token")
        life = float(value.get("expires_in") or _DEFAULT_LIFE)
    except (ValueError, TypeError, AttributeError, RecursionError):
        token, life = None, 0.0
    # A token is sent in a header: nothing that could end the line.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        message = f"the token service `{shown(realm)}` gives no token"
        raise UnavailableError(message, reason="bad-answer", origin=Origin(source=shown(realm)))
    return token, life


def _secrets(login: Login) -> tuple[str, ...]:
    own = [login.user.password.reveal(), basic(login.user).partition(" ")[2]] if login.user else []
    return tuple(own + [item.reveal() for item in (login.identity_token, login.registry_token) if item is not None])
