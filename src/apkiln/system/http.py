"""Fetching over HTTP: retries, resumed downloads, conditional requests, redirects, credentials.

All of it stands on `Exchange`, one request and its answer, so that it runs the same over sockets (`system.http_sockets`)
and in memory (`system.memory_server`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

from apkiln.core.errors import UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.protocol import Protocol
from apkiln.core.secret import redact_url
from apkiln.core.value import value
from apkiln.system.clock import Clock
from apkiln.system.credentials import NO_CREDENTIALS, Credentials, basic
from apkiln.system.transfer import NO_VALIDATORS, Fetched, Validators, Write, too_large
from apkiln.system.urls import encode, endpoint_of, is_http, redirected, split_user

USER_AGENT = "apkiln"
_REDIRECTS = {301, 302, 303, 307, 308}
RETRIED_STATUS = frozenset({408, 425, 429})
_CONTENT_RANGE = pattern(r"bytes (\d+)-(\d+)/(\d+|\*)")
_LONGEST_WAIT = 60.0


class Response(NamedTuple):
    """An answer while its body is still to come."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Iterator[bytes]
    """Raises UnavailableError `connection-lost` or `timeout` (retriable) when it ends early."""


class Exchange(Protocol):
    """One request, no redirect followed, no retry, body bytes as sent."""

    def get(self, url: str, headers: tuple[tuple[str, str], ...]) -> AbstractContextManager[Response]:
        """Raises UnavailableError `connection-failed`, `timeout` (both retriable) or `tls-failed`."""


class RequestExchange(Protocol):
    """One request of any method, no redirect followed, no retry."""

    def request(
        self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: Iterable[bytes] = ()
    ) -> AbstractContextManager[Response]:
        """`headers` hold the `Content-Length` of a body.  Raises as `Exchange.get`, and what iterating the body raises."""


@value
class HttpPolicy:
    """How hard to try, and whom to follow."""

    retries: int = 4
    """Further attempts after the first; attempts that brought new bytes do not count."""
    first_wait: float = 0.5
    """Seconds before the first retry; doubled each time, varied by a factor of 0.5 to 1.5, never over a minute."""
    total_time: float = 3600.0
    """Seconds for one fetch, waits included."""
    redirects: int = 5
    redirect_hosts: frozenset[str] = frozenset()
    """Other hosts that a repository may redirect to; `*` = any (apk.md §12.3: a different host needs an opt-in)."""


DEFAULT_POLICY = HttpPolicy()


class HttpTransfer:
    """See `Transfer`; for http and https only.  `jitter` returns a number from 0 to 1."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        jitter: Callable[[], float],
        credentials: Credentials = NO_CREDENTIALS,
        policy: HttpPolicy = DEFAULT_POLICY,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._jitter = jitter
        self._credentials = credentials
        self._policy = policy

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        download = _Download(location, write, limit, known, self._clock.monotonic() + self._policy.total_time)
        failures = 0
        while True:
            before = download.delivered
            try:
                return self._attempt(download)
            except UnavailableError as fault:
                failures = failures + 1 if download.delivered == before else 1
                if not fault.retriable or failures > self._policy.retries:
                    raise
                self._wait(fault, failures, download)

    def _wait(self, fault: UnavailableError, failures: int, download: _Download) -> None:
        pause = retry_pause(self._policy, fault, failures, self._jitter())
        if self._clock.monotonic() + pause > download.deadline:
            raise fault
        self._clock.sleep(pause)

    def _attempt(self, download: _Download) -> Fetched:
        url, user = split_user(download.location)
        origin, home = endpoint_of(url), url
        for _ in range(self._policy.redirects + 1):
            endpoint = endpoint_of(url)
            authorization = basic(user) if user and endpoint == origin else self._credentials.header_for(endpoint)
            with self._exchange.get(encode(url), download.request_headers(authorization)) as response:
                if response.status not in _REDIRECTS:
                    return self._receive(download, response)
                target = redirected(url, response.headers.get("location", ""))
            self._check_redirect(home, url, target)
            url = target
        raise _unavailable(home, f"`{redact_url(home)}` redirects more than {self._policy.redirects} times", "too-many-redirects")

    def _check_redirect(self, home: str, url: str, target: str) -> None:
        if not is_http(target) or (endpoint_of(url).scheme == "https" and endpoint_of(target).scheme != "https"):
            message = f"`{redact_url(url)}` redirects to `{target.partition('?')[0]}`, which is not https"
            raise _unavailable(home, message, "insecure-redirect")
        host = endpoint_of(target).host
        if host != endpoint_of(home).host and not {"*", host} & self._policy.redirect_hosts:
            hint = f"if that is right, allow it: APKILN_REDIRECT_HOSTS={host}"
            raise _unavailable(home, f"`{redact_url(url)}` redirects to another host, `{host}`", "foreign-redirect", hint)

    def _receive(self, download: _Download, response: Response) -> Fetched:
        status = response.status
        if status == 304 and download.delivered == 0 and download.known.known:
            return Fetched(True, 0, download.known)
        if status == 206 and download.resuming:
            download.check_range(response.headers)
            return self._drain(download, response)
        if status == 200:
            download.begin_again(response.headers)
            return self._drain(download, response)
        if status == 416 and download.resuming:
            raise download.give_up_ranges("the server refuses to continue")
        raise _refusal(download.location, status, response.headers, self._clock.now())

    def _drain(self, download: _Download, response: Response) -> Fetched:
        for chunk in response.body:
            if self._clock.monotonic() > download.deadline:
                message = f"`{redact_url(download.location)}` took longer than {self._policy.total_time:g} s"
                raise _unavailable(download.location, message, "timeout")
            download.accept(chunk)
        download.check_end()
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Fetched(False, download.delivered, download.validators, content_type)


class _Download:
    """One fetch over all its attempts: what was delivered, and what the server said it is."""

    def __init__(self, location: str, write: Write, limit: int, known: Validators, deadline: float) -> None:
        self.location = location
        self.write = write
        self.limit = limit
        self.known = known
        self.deadline = deadline
        self.delivered = 0
        self.total = -1
        """Announced bytes of the whole; -1 = not announced."""
        self.validators = NO_VALIDATORS
        self.ranges = True
        self.resuming = False
        self._skip = 0
        """Bytes of a repeated body that were delivered before."""
        self._prefix = hashlib.sha256()
        self._repeated = hashlib.sha256()

    def request_headers(self, authorization: str) -> tuple[tuple[str, str], ...]:
        """Headers of the next request: conditional at first, a range once something was delivered."""
        headers = [("User-Agent", USER_AGENT), ("Accept-Encoding", "identity")]
        if authorization:
            headers.append(("Authorization", authorization))
        self.resuming = self.delivered > 0 and self.ranges
        if self.resuming:
            headers.append(("Range", f"bytes={self.delivered}-"))
            strong = self.validators.etag if not self.validators.etag.startswith("W/") else ""
            if strong or self.validators.last_modified:
                headers.append(("If-Range", strong or self.validators.last_modified))
        elif self.delivered == 0:
            if self.known.etag:
                headers.append(("If-None-Match", self.known.etag))
            if self.known.last_modified:
                headers.append(("If-Modified-Since", self.known.last_modified))
        return tuple(headers)

    def check_range(self, headers: Mapping[str, str]) -> None:
        """A 206 must continue where we stand, in the same version."""
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        total = -1 if match is None or match[3] == "*" else int(match[3])
        if match is None or int(match[1]) != self.delivered or self.total not in {-1, total}:
            raise self.give_up_ranges("the server sent another range than was asked for")
        if headers.get("etag", self.validators.etag) != self.validators.etag:
            raise self.give_up_ranges("the file changed on the server")
        self.total = total
        self._skip = 0

    def begin_again(self, headers: Mapping[str, str]) -> None:
        """A 200 has the whole body: what was delivered is compared and skipped."""
        length = headers.get("content-length", "")
        self.total = int(length) if length.isascii() and length.isdigit() else -1
        if self.total > self.limit:
            raise too_large(self.location, self.limit)
        self.validators = Validators(headers.get("etag", ""), headers.get("last-modified", ""))
        self._skip = self.delivered
        self._repeated = hashlib.sha256()

    def accept(self, chunk: bytes) -> None:
        """Deliver what is new of a piece of the body."""
        if self._skip:
            repeated, chunk = chunk[: self._skip], chunk[self._skip :]
            self._repeated.update(repeated)
            self._skip -= len(repeated)
            if self._skip == 0 and self._repeated.digest() != self._prefix.digest():
                message = f"`{redact_url(self.location)}` changed while it was fetched"
                raise _unavailable(self.location, message, "content-changed", "run again")
        if not chunk:
            return
        if self.delivered + len(chunk) > self.limit:
            raise too_large(self.location, self.limit)
        self._prefix.update(chunk)
        self.delivered += len(chunk)
        self.write(chunk)

    def check_end(self) -> None:
        """All announced bytes must have come."""
        if self._skip or self.total not in {-1, self.delivered}:
            message = f"`{redact_url(self.location)}` ended after {self.delivered} of {self.total} bytes"
            raise _unavailable(self.location, message, "connection-lost", retriable=True)

    def give_up_ranges(self, why: str) -> UnavailableError:
        """From now on ask for the whole; the beginning is compared."""
        self.ranges = False
        return _unavailable(self.location, f"`{redact_url(self.location)}`: {why}", "bad-range", retriable=True)


class Busy(UnavailableError):
    """The server asks to come back later."""

    wait = 0.0
    """Seconds that it asked for."""


def retry_pause(policy: HttpPolicy, fault: UnavailableError, failures: int, jitter: float) -> float:
    """Seconds to wait after the failure number `failures`; `jitter` is from 0 to 1."""
    asked = fault.wait if isinstance(fault, Busy) else 0.0
    pause = policy.first_wait * 2.0 ** (failures - 1) * (0.5 + jitter)
    return min(max(pause, asked), _LONGEST_WAIT)


def _refusal(location: str, status: int, headers: Mapping[str, str], now: float) -> UnavailableError:
    shown = redact_url(location)
    if status in {404, 410}:
        return _unavailable(location, f"`{shown}` does not exist (HTTP {status})", "not-found")
    if status in {401, 403}:
        hint = "give credentials for this host in HTTP_AUTH or netrc"
        return _unavailable(location, f"`{shown}` needs other credentials (HTTP {status})", "unauthorized", hint)
    if status >= 500 or status in RETRIED_STATUS:
        busy = Busy(
            f"`{shown}` cannot be served now (HTTP {status})",
            reason="server-error",
            origin=Origin(source=shown),
            retriable=True,
        )
        busy.wait = retry_after(headers.get("retry-after", ""), now)
        return busy
    return _unavailable(location, f"`{shown}` answered HTTP {status}", "http-status")


def retry_after(text: str, now: float) -> float:
    """Seconds that a `Retry-After` header asks to wait; 0 when it is absent or not understood."""
    if text.isascii() and text.isdigit():
        return float(text)
    if not text:
        return 0.0
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return 0.0


def _unavailable(location: str, message: str, reason: str, hint: str = "", *, retriable: bool = False) -> UnavailableError:
    return UnavailableError(message, reason=reason, origin=Origin(source=redact_url(location)), hint=hint, retriable=retriable)
