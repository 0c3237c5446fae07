"""One blob on its way up: whole, or in pieces that go on where a broken connection left off (supply-chain.md §7.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.oci.documents import Descriptor
from apkiln.system.registry import BlobSource
from apkiln.system.registry_authentication import Scopes
from apkiln.system.registry_errors import Answer
from apkiln.system.registry_names import RepositoryName
from apkiln.system.registry_session import NO_BODY, Body, RegistrySession, Request

_RANGE = pattern(r"(?:bytes=)?0-(\d+)")
_OCTETS = (("Content-Type", "application/octet-stream"),)
_READ = 1 << 20


class Upload:
    """Sends one blob into a repository.  Used once, by one thread; memory is some MiB."""

    def __init__(
        self, session: RegistrySession, repository: RepositoryName, scopes: Scopes, blob: Descriptor, source: BlobSource
    ) -> None:
        self._session = session
        self._repository = repository
        self._scopes = scopes
        self._blob = blob
        self._content = _Content(source, blob)
        self._what = f"blob {blob.digest}"
        self._attempts = session.attempts()
        self._location = ""
        self._chunk = session.policy.chunk
        self._chunked = True
        """False once the registry refused a piece: then the blob is sent as one stream."""
        self._furthest = 0
        """Bytes that the registry had at most, in any attempt."""
        self._broken = False
        """The registry once got other bytes than were sent."""

    def run(self, begun: Answer | None) -> None:
        """Send everything and see it accepted.  `begun`: the 202 that an attempt to mount ended with.

        Raises what `RegistryWriter.push_blob` names; the registry is then told to forget the upload.
        """
        try:
            while not self._attempt(begun):
                begun = None
        except ApkilnError:
            self._cancel()
            raise

    def _attempt(self, begun: Answer | None) -> bool:
        """One upload; False when it must begin anew."""
        try:
            self._location = ""
            self._enter(begun or self._begin())
            self._send_all()
            return True
        except _Lost as lost:
            self._attempts.failed(lost.fault)
            return False

    def _begin(self) -> Answer:
        url = self._session.address(self._repository, "blobs/uploads/")
        return self._session.send(self._request("POST", url), self._what, frozenset({202}))

    def _enter(self, answer: Answer) -> None:
        base = self._location or self._session.address(self._repository, "blobs/uploads/")
        self._location = self._session.own_address(base, answer.get("location"))
        least = answer.get("oci-chunk-min-length")
        if least.isascii() and least.isdigit():
            self._chunk = max(self._chunk, int(least))

    def _send_all(self) -> None:
        if self._blob.size <= self._session.policy.whole:
            content = b"".join(self._content.pieces(0, self._blob.size))
            self._content.check()
            self._finish(Body.of(content))
        elif self._chunked:
            self._send_chunks()
            self._content.check()
            self._finish(NO_BODY)
        else:
            self._finish(Body(self._blob.size, self._content.stream))

    def _send_chunks(self) -> None:
        offset = 0
        while offset < self._blob.size:
            end = min(offset + self._chunk, self._blob.size)
            try:
                reached = self._send_piece(offset, end)
            except UnavailableError as fault:
                self._attempts.failed(fault)
                reached = self._ask_position(fault, end)
            if reached > self._furthest:
                self._furthest = reached
                self._attempts.progressed()
            offset = reached

    def _send_piece(self, offset: int, end: int) -> int:
        """Offset from which the registry wants more.  Raises a retriable error when the piece may not have arrived."""
        headers = (*_OCTETS, ("Content-Range", f"{offset}-{end - 1}"))
        request = self._request("PATCH", self._location, headers, Body(end - offset, lambda: self._content.pieces(offset, end)))
        may_shrink = {413} if end - offset > self._session.policy.small_chunk else set()
        expected = frozenset({200, 201, 202, 204, 400, 404, 405, 416, 501} | may_shrink)
        answer = self._session.send_once(request, self._what, expected)
        if answer.status in {200, 201, 202, 204}:
            self._enter(answer)
            reached = self._position(answer, end, otherwise=end)
            if reached <= offset:
                raise self._fault("took nothing of what was sent")
            return reached
        if answer.status == 413:
            self._chunk = self._session.policy.small_chunk
            raise self._fault("does not take pieces of this size")
        if offset == 0 and answer.status in {400, 405, 416, 501}:
            self._chunked = False
            raise _Lost(self._fault("does not take it in pieces"))
        if answer.status == 416:
            raise self._fault("wants another piece than was sent")
        raise _Lost(self._fault(f"lost the upload (HTTP {answer.status})"))

    def _ask_position(self, fault: UnavailableError, end: int) -> int:
        """How far the registry got, after something went wrong; `_Lost` when it forgot the upload."""
        request = self._request("GET", self._location)
        answer = self._session.send(request, self._what, frozenset({200, 202, 204, 400, 404, 405}))
        if answer.status in {400, 404, 405}:
            raise _Lost(fault) from fault
        if answer.get("location"):
            self._enter(answer)
        return self._position(answer, end, otherwise=-1)

    def _position(self, answer: Answer, end: int, *, otherwise: int) -> int:
        """The offset that `Range: 0-N` tells; `end`: what was sent so far.

        Some registries say `0-0` of an empty upload: one byte alone is never sent, so that means none.
        """
        match = _RANGE.fullmatch(answer.get("range").strip())
        if match is None and otherwise >= 0:
            return otherwise
        reached = int(match[1]) + 1 if match else -1
        reached = 0 if reached == 1 else reached
        if not 0 <= reached <= end:
            raise _Lost(self._fault("tells no position in the upload that can be right"))
        return reached

    def _finish(self, body: Body) -> None:
        """Close the upload with the blob's digest; an answer that got lost is asked for by looking for the blob."""
        separator = "&" if "?" in self._location else "?"
        url = f"{self._location}{separator}digest={self._blob.digest.algorithm}%3A{self._blob.digest.hex}"
        request = self._request("PUT", url, _OCTETS, body)
        try:
            answer = self._session.send_once(request, self._what, frozenset({200, 201, 204, 404, 416}))
        except UnavailableError as fault:
            if not fault.retriable:
                raise
            if self._is_there():
                return
            raise _Lost(fault) from fault
        except VerificationError as error:
            if error.reason != "digest-refused" or self._broken:
                raise
            # What was read here was right, so it broke on the way: once more from the beginning.
            self._broken = True
            raise _Lost(self._fault("got other bytes than were sent")) from error
        if answer.status in {404, 416}:
            raise _Lost(self._fault(f"lost the upload (HTTP {answer.status})"))
        named = answer.get("docker-content-digest")
        if named and named != str(self._blob.digest):
            message = f"registry `{self._session.host}` stored {named} where {self._blob.digest} was sent"
            raise VerificationError(message, reason="digest-mismatch", origin=self._origin())

    def _is_there(self) -> bool:
        url = self._session.address(self._repository, f"blobs/{self._blob.digest}")
        return self._session.send(self._request("HEAD", url), self._what, frozenset({200, 404})).status == 200

    def _cancel(self) -> None:
        """Let the registry forget what was sent; it need not listen."""
        if self._location:
            try:
                self._session.send_once(self._request("DELETE", self._location), self._what, frozenset(range(200, 500)))
            except ApkilnError:
                return

    def _request(self, method: str, url: str, headers: tuple[tuple[str, str], ...] = (), body: Body = NO_BODY) -> Request:
        return Request(method, url, self._repository, self._scopes, headers, body)

    def _fault(self, what: str) -> UnavailableError:
        message = f"registry `{self._session.host}` {what}"
        return UnavailableError(message, reason="upload-lost", origin=self._origin(), retriable=True)

    def _origin(self) -> Origin:
        return Origin(source=str(self._repository), digest=str(self._blob.digest))


class _Lost(Exception):
    """The upload must begin anew, because of `fault`."""

    def __init__(self, fault: UnavailableError) -> None:
        super().__init__(fault)
        self.fault = fault


class _Content:
    """The bytes of a source by position, hashed once as they pass for the first time."""

    def __init__(self, source: BlobSource, blob: Descriptor) -> None:
        self._source = source
        self._blob = blob
        self._chunks: Iterator[bytes] = iter(())
        self._waiting = b""
        self._position = blob.size + 1
        self._state = hashlib.new(blob.digest.algorithm)
        self._hashed = 0

    def pieces(self, offset: int, end: int) -> Iterator[bytes]:
        """The bytes from `offset` to `end`; VerificationError `source-mismatch` when the source ends before."""
        if offset < self._position:
            self._chunks, self._waiting, self._position = iter(self._source.chunks()), b"", 0
        while self._position < offset:
            self._take(min(_READ, offset - self._position))
        while self._position < end:
            yield self._take(min(_READ, end - self._position))

    def stream(self) -> Iterator[bytes]:
        """Everything, checked before its last piece is let go."""
        for piece in self.pieces(0, self._blob.size):
            if self._position == self._blob.size:
                self.check()
            yield piece

    def check(self) -> None:
        """All was read: it must be the blob.  VerificationError `source-mismatch`."""
        more = next((chunk for chunk in self._chunks if chunk), b"") or self._waiting
        if more or self._hashed != self._blob.size or self._state.digest() != self._blob.digest.value:
            raise self._mismatch()

    def _take(self, length: int) -> bytes:
        parts = []
        while length:
            if not self._waiting:
                self._waiting = next((chunk for chunk in self._chunks if chunk), b"")
                if not self._waiting:
                    raise self._mismatch()
            part, self._waiting = self._waiting[:length], self._waiting[length:]
            if self._position + len(part) > self._hashed:
                self._state.update(part[max(0, self._hashed - self._position) :])
                self._hashed = self._position + len(part)
            self._position += len(part)
            length -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _mismatch(self) -> VerificationError:
        message = "what was to be sent has other bytes than its digest says"
        return VerificationError(message, reason="source-mismatch", origin=Origin(digest=str(self._blob.digest)))
