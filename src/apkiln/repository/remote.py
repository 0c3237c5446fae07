"""A repository service somewhere else, published to over its interface (spec repository.md §10.2, §10.3).

One publication is one transaction.  Its idempotency key follows from what is published, so whoever repeats a publication that
broke off goes on with the transaction that it opened, and uploads what is not there yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, TypeVar

import msgspec

from apkiln.core.errors import ApkilnError, ConflictError, UnavailableError, UsageError, VerificationError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.core.secret import Secret
from apkiln.repository.addition import CheckedPackage
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.actions import Build, DeclaredPackage, Finding, Manifest
from apkiln.system.clock import Clock
from apkiln.system.http import USER_AGENT, RequestExchange
from apkiln.system.registry_authentication import read_limited

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]
PART = 8 * MIB
"""Larger files go in parts of this size, so that no more than one is sent again."""
ATTEMPTS = 6
_ANSWER = 64 * MIB
_WAIT = 30
"""Seconds that the service may take for one answer to a commit."""
_REFUSALS = 1000


class Progress(msgspec.Struct, frozen=True):
    """How a transaction stands, as the service says it."""

    tx: int
    state: str
    """`live` alone means published."""
    missing: tuple[str, ...] = ()
    held: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()
    receipt: dict[str, Any] | None = None


def manifest_of(packages: Sequence[CheckedPackage], complete: Sequence[str] = ()) -> Manifest:
    """All packages in one transaction; with `complete`, every build must have each of its packages for these architectures."""
    files = [
        DeclaredPackage(info.arch, info.name, info.version, package.digest.hex, package.contents.size)
        for package in packages
        for info in (package.contents.info,)
    ]
    builds: dict[tuple[str, str], set[str]] = {}
    for package in packages if complete else ():
        info = package.contents.info
        builds.setdefault((info.origin or info.name, info.version), set()).add(info.name)
    return Manifest(
        files=tuple(sorted(files, key=lambda file: (file.arch, file.name, file.version))),
        builds=tuple(
            Build(origin, version, tuple(sorted(names)), tuple(sorted(set(complete) - {NOARCH})))
            for (origin, version), names in sorted(builds.items())
        ),
    )


class RemoteRepository:
    """See the module.  `address`: what clients read it by, for example `https://packages.example.com/os/musl`."""

    def __init__(self, address: str, authorization: Secret, exchange: RequestExchange, clock: Clock, part: int = PART) -> None:
        self._part_size = part
        self._api = f"{address.rstrip('/')}/api/v1"
        self._authorization = authorization
        self._exchange = exchange
        self._clock = clock

    def open(self, manifest: Manifest, reason: str) -> Progress:
        """The transaction for this manifest: the one that is under way or live, or a new one where others were refused.

        Raises as `ask` does.
        """
        body = msgspec.json.encode({"manifest": manifest, "reason": reason})
        key = hashlib.sha256(msgspec.json.encode(manifest)).hexdigest()[:40]
        for refusals in range(_REFUSALS):
            found = self._progress("POST", "/tx", body, (("Idempotency-Key", f"add-{key}-{refusals}"),))
            if found.state not in ("rejected", "aborted"):
                return found
        raise UnavailableError("it was refused too often", reason="too-many-refusals", origin=Origin(source=self._api))

    def upload(self, digest: str, size: int, content: Callable[[], BinaryIO]) -> None:
        """Send a file, or what the service has not of it yet.  Raises as `ask` does."""
        place = f"/blobs/{digest}"
        if size <= self._part_size:
            self._patiently(lambda: self.ask("PUT", place, lambda: _piece(content, 0, size), size))
        else:
            self._patiently(lambda: self._parts(place, size, content))

    def _parts(self, place: str, size: int, content: Callable[[], BinaryIO]) -> None:
        start = int(self.ask("GET", place).get("received", 0))
        while start < size:
            end = min(start + self._part_size, size)
            self._part(place, start, end, size, content)
            start = end

    def _part(self, place: str, start: int, end: int, size: int, content: Callable[[], BinaryIO]) -> None:
        headers = (("Content-Range", f"bytes {start}-{end - 1}/{size}"),)
        self.ask("PUT", place, lambda: _piece(content, start, end - start), end - start, headers)

    def commit(self, number: int, patience: float) -> Progress:
        """Publish it; as it stands once it has ended or waits for a second person, or after `patience` seconds."""
        end = self._clock.monotonic() + patience
        while True:
            found = self._progress("POST", f"/tx/{number}/commit?wait={_WAIT}", b"")
            waits = found.state == "verified" and bool(found.held)
            if found.state in ("live", "rejected", "aborted") or waits or self._clock.monotonic() >= end:
                return found
            self._clock.sleep(1)

    def ask(
        self, method: str, path: str, body: Callable[[], Iterator[bytes]] | None = None, size: int = 0, headers: Headers = ()
    ) -> dict[str, Any]:
        """The answer to one request.

        Raises what the transport raises, and by the status: UsageError 400 to 404, ConflictError 409, VerificationError 422,
        UnavailableError (retriable) 408, 429 and from 500 on; `reason` is the code that the service gives.
        """
        url = self._api + path
        sent: Headers = (("User-Agent", USER_AGENT), ("Accept", "application/json"), *headers)
        if self._authorization.reveal():
            sent += (("Authorization", self._authorization.reveal()),)
        if method != "GET":
            sent += (("Content-Length", str(size)), ("Content-Type", "application/json"))
        with self._exchange.request(method, url, sent, body() if body and size else ()) as response:
            status, content = response.status, read_limited(response.body, _ANSWER, url)
        try:
            found = msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.DecodeError:
            found = {}
        if status >= 400 and "tx" not in found:
            raise _refusal(url, status, found.get("error"))
        return found

    def _progress(self, method: str, path: str, body: bytes, headers: Headers = ()) -> Progress:
        found = self._patiently(lambda: self.ask(method, path, lambda: iter((body,)), len(body), headers))
        try:
            return msgspec.convert(found, Progress)
        except msgspec.ValidationError as error:
            raise _refusal(self._api, 200, None) from error

    def _patiently(self, call: Callable[[], T]) -> T:
        """Again, with growing pauses, as long as that may help: every request can be repeated."""
        for attempt in range(1, ATTEMPTS):
            try:
                return call()
            except ApkilnError as error:
                if not error.retriable and error.reason != "upload-offset":
                    raise
            self._clock.sleep(min(30.0, 0.5 * 2**attempt))
        return call()


def _piece(content: Callable[[], BinaryIO], start: int, length: int) -> Iterator[bytes]:
    with content() as stream:
        stream.seek(start)
        while length and (chunk := stream.read(min(length, MIB))):
            length -= len(chunk)
            yield chunk


def _refusal(url: str, status: int, said: object) -> ApkilnError:
    """The error of the service as one of ours."""
    error = said if isinstance(said, dict) else {}
    origin = Origin(source=url)
    reason = str(error.get("code", "bad-answer")).lower().replace("_", "-")
    message = str(error.get("message") or f"it answers HTTP {status}, and not as a repository service does")
    hint, details = str(error.get("hint", "")), [str(fault.get("message")) for fault in error.get("faults", ())[1:]]
    if status == 401 or (status == 403 and not hint):
        hint = "give a token that may publish here: `--token-file`, `APKILN_TOKEN`, HTTP_AUTH or netrc"
    if status in (408, 429) or status >= 500:
        return UnavailableError(message, reason=reason, origin=origin, hint=hint, details=details, retriable=True)
    kind = {409: ConflictError, 422: VerificationError}.get(status, UsageError if error else UnavailableError)
    return kind(message, reason=reason, origin=origin, hint=hint, details=details)
