"""Requests to one registry: addresses, authorization, redirects of reads, retries."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.system.clock import Clock
from apkiln.system.http import DEFAULT_POLICY, USER_AGENT, HttpPolicy, RequestExchange, retry_pause
from apkiln.system.registry_addresses import GuardedExchange, scheme_for, shown
from apkiln.system.registry_authentication import Authentication, Scopes, read_limited
from apkiln.system.registry_errors import ERROR_LIMIT, Answer, refusal
from apkiln.system.registry_logins import Logins
from apkiln.system.registry_names import RepositoryName
from apkiln.system.urls import Endpoint, endpoint_of, redirected

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Headers = tuple[tuple[str, str], ...]


@value
class RegistryPolicy:
    """How registries are spoken to."""

    http: HttpPolicy = DEFAULT_POLICY
    """Retries, waits, redirects; its `redirect_hosts` do not count here: see `registry_addresses`."""
    chunk: int = 1 << 30
    """Bytes of one piece of a chunked upload; a registry may ask for more.  Pieces are streamed: they cost no memory, and
    registries take few large ones faster than many small ones."""
    small_chunk: int = 8 << 20
    """The same once something on the way refused a larger piece for its size."""
    whole: int = 4 << 20
    """Blobs of at most so many bytes go up in one request."""
    plain_http: frozenset[str] = frozenset()
    """Registries, with or without port, that are spoken to without TLS; the loopback device always is."""


class Body(NamedTuple):
    """What is sent, as often as it must be."""

    length: int
    chunks: Callable[[], Iterable[bytes]]

    @classmethod
    def of(cls, content: bytes) -> Body:
        return cls(len(content), lambda: (content,) if content else ())


NO_BODY = Body.of(b"")


class Request(NamedTuple):
    """One request; sent again as it stands when a retry is right."""

    method: str
    url: str
    repository: RepositoryName
    scopes: Scopes
    headers: Headers = ()
    body: Body = NO_BODY
    limit: int = ERROR_LIMIT
    """Bytes of a good answer."""


class Attempts:
    """Counts failures of one piece of work and waits between them; progress sets the count back."""

    def __init__(self, clock: Clock, jitter: Callable[[], float], policy: HttpPolicy) -> None:
        self._clock = clock
        self._jitter = jitter
        self._policy = policy
        self._deadline = clock.monotonic() + policy.total_time
        self._failures = 0

    def progressed(self) -> None:
        """Something new was reached."""
        self._failures = 0

    def failed(self, fault: ApkilnError) -> None:
        """Wait for the next attempt; raises `fault` when it cannot help or there were enough."""
        self._failures += 1
        if not isinstance(fault, UnavailableError) or not fault.retriable or self._failures > self._policy.retries:
            raise fault
        pause = retry_pause(self._policy, fault, self._failures, self._jitter())
        if self._clock.monotonic() + pause > self._deadline:
            raise fault
        self._clock.sleep(pause)


class RegistrySession:
    """All requests to one registry; for several threads."""

    def __init__(
        self,
        host: str,
        api_host: str,
        exchange: RequestExchange,
        clock: Clock,
        jitter: Callable[[], float],
        logins: Logins,
        policy: RegistryPolicy,
    ) -> None:
        self.host = host
        self.base = f"{scheme_for(api_host, policy.plain_http)}://{api_host}"
        self.endpoint: Endpoint = endpoint_of(self.base)
        self.exchange = GuardedExchange(exchange, self.endpoint)
        self.policy = policy
        self.clock = clock
        self._jitter = jitter
        self._authentication = Authentication(host, self.exchange, clock, logins.login_for)

    def attempts(self) -> Attempts:
        return Attempts(self.clock, self._jitter, self.policy.http)

    def address(self, repository: RepositoryName, rest: str) -> str:
        """`rest` of a repository's API, for example `blobs/sha256:…`."""
        return f"{self.base}/v2/{repository.path}/{rest}"

    def own_address(self, base: str, location: str) -> str:
        """Where a `Location` or `Link` of the registry points, which must be the registry itself.

        Raises UnavailableError `bad-answer` when there is none, `foreign-address` when it is somewhere else.
        """
        target = redirected(base, location) if location else ""
        if not target:
            raise UnavailableError(
                f"registry `{self.host}` does not say where to go on", reason="bad-answer", origin=Origin(source=self.host)
            )
        if endpoint_of(target) != self.endpoint:
            message = f"registry `{self.host}` sends us to `{shown(target)}` to go on"
            raise UnavailableError(message, reason="foreign-address", origin=Origin(source=self.host))
        return target

    def send(self, request: Request, what: str, expected: frozenset[int]) -> Answer:
        """The answer, after retries; an answer whose status is not expected is raised (see `registry_errors.refusal`)."""
        attempts = self.attempts()
        while True:
            try:
                return self.send_once(request, what, expected)
            except UnavailableError as fault:
                attempts.failed(fault)

    def send_once(self, request: Request, what: str, expected: frozenset[int]) -> Answer:
        """As `send` without retries, except for one with other credentials after a 401."""
        authorization = self._authentication.header(request.scopes)
        answer = self._follow(request, authorization)
        if answer.status == 401:
            renewed = self._authentication.renew(
                request.repository, request.scopes, answer.get("www-authenticate"), authorization
            )
            if renewed:
                authorization = renewed
                answer = self._follow(request, authorization)
        if answer.status not in expected:
            secret = authorization.partition(" ")[2]
            raise refusal(answer, what, self.host, self.clock.now(), (secret,))
        return answer

    def authorization(self, scopes: Scopes) -> str:
        """What the next request for these scopes would be sent with."""
        return self._authentication.header(scopes)

    def _follow(self, request: Request, authorization: str) -> Answer:
        """The answer; reads follow redirects, without credentials once they leave the registry."""
        url = request.url
        for _ in range(self.policy.http.redirects + 1):
            answer = self._ask(request, url, authorization if endpoint_of(url) == self.endpoint else "")
            location = answer.get("location")
            if answer.status not in _REDIRECTS or not location or request.method not in {"GET", "HEAD"}:
                return answer
            url = redirected(url, location)
        message = f"`{shown(request.url)}` redirects more than {self.policy.http.redirects} times"
        raise UnavailableError(message, reason="too-many-redirects", origin=Origin(source=self.host))

    def _ask(self, request: Request, url: str, authorization: str) -> Answer:
        headers = [("User-Agent", USER_AGENT), ("Accept-Encoding", "identity"), *request.headers]
        if authorization:
            headers.append(("Authorization", authorization))
        body: Iterable[bytes] = ()
        if request.method not in {"GET", "HEAD"}:
            headers.append(("Content-Length", str(request.body.length)))
            body = request.body.chunks()
        with self.exchange.request(request.method, url, tuple(headers), body) as response:
            limit = request.limit if response.status < 300 else ERROR_LIMIT
            content = b"" if request.method == "HEAD" else read_limited(response.body, limit, url)
            return Answer(response.status, response.headers, content)
