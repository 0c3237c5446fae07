"""The registry client: blobs and manifests of the OCI distribution protocol, every digest checked on the way in and out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from urllib.parse import quote, urlencode

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UnavailableError, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.secret import Secret
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index
from apkiln.formats.oci.parsing import parse_index
from apkiln.system.clock import Clock
from apkiln.system.credentials import Credential, Credentials
from apkiln.system.http import HttpPolicy, HttpTransfer, RequestExchange
from apkiln.system.registry import (
    MANIFEST_LIMIT,
    BlobOutcome,
    BlobSource,
    Document,
    WrittenManifest,
)
from apkiln.system.registry_authentication import Scopes
from apkiln.system.registry_challenges import Scope
from apkiln.system.registry_errors import Answer
from apkiln.system.registry_logins import Logins
from apkiln.system.registry_names import RepositoryName
from apkiln.system.registry_session import NO_BODY, Body, RegistryPolicy, RegistrySession, Request
from apkiln.system.registry_upload import Upload
from apkiln.system.transfer import Write

DEFAULT_POLICY = RegistryPolicy()
_ACCEPTED = ", ".join((media_types.INDEX, media_types.MANIFEST, media_types.DOCKER_INDEX, media_types.DOCKER_MANIFEST, "*/*"))
"""A registry answers 404 for an index that the client does not list (supply-chain.md §7.1)."""
_PAGES = 64


class HttpRegistry:
    """See `Registry`; for all registries and several threads.  Nothing is sent before the first call."""

    def __init__(
        self,
        exchange: RequestExchange,
        clock: Clock,
        jitter: Callable[[], float],
        logins: Logins,
        policy: RegistryPolicy = DEFAULT_POLICY,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._jitter = jitter
        self._logins = logins
        self._policy = policy
        self._sessions: dict[str, RegistrySession] = {}
        self._pushed: set[RepositoryName] = set()
        self._lock = threading.Lock()

    def log_in(self, repository: RepositoryName) -> None:
        session = self._session(repository)
        with self._lock:
            self._pushed.add(repository)
        request = Request("GET", f"{session.base}/v2/", repository, self._scopes(repository))
        session.send(request, "us", frozenset({200}))

    def resolve(self, repository: RepositoryName, reference: str) -> Descriptor | None:
        session = self._session(repository)
        answer = session.send(self._manifest("HEAD", repository, reference), f"manifest {reference}", frozenset({200, 404}))
        if answer.status == 404:
            return None
        named, length = answer.get("docker-content-digest"), answer.get("content-length")
        if not named or not length.isdigit():
            document = self.read_manifest(repository, reference)
            return Descriptor(document.media_type, document.digest, len(document.content))
        digest = _digest(named, repository)
        if ":" in reference and str(digest) != reference:
            raise _other_bytes(repository, f"manifest {reference}", named)
        return Descriptor(_media_type(answer), digest, int(length))

    def read_manifest(self, repository: RepositoryName, reference: str) -> Document:
        session = self._session(repository)
        request = self._manifest("GET", repository, reference)
        answer = session.send(request, f"manifest {reference}", frozenset({200}))
        wanted = reference if ":" in reference else answer.get("docker-content-digest")
        algorithm = _digest(wanted, repository).algorithm if wanted else "sha256"
        found = Digest(algorithm, hashlib.new(algorithm, answer.content).digest())
        if wanted and str(found) != wanted:
            raise _other_bytes(repository, f"manifest {reference}", str(found))
        return Document(answer.content, _media_type(answer), found)

    def read_blob(self, repository: RepositoryName, blob: Descriptor, write: Write) -> None:
        state = hashlib.new(blob.digest.algorithm)
        size = 0

        def checked(chunk: bytes) -> None:
            nonlocal size
            state.update(chunk)
            size += len(chunk)
            write(chunk)

        self._download(repository, blob, checked)
        if size != blob.size or state.digest() != blob.digest.value:
            raise _other_bytes(repository, f"blob {blob.digest}", f"{blob.digest.algorithm}:{state.hexdigest()}")

    def push_blob(self, repository: RepositoryName, blob: Descriptor, source: BlobSource, mount_from: str = "") -> BlobOutcome:
        session = self._for_push(repository)
        if self._has_blob(session, repository, blob):
            return BlobOutcome.PRESENT
        begun = self._mount(session, repository, blob, mount_from) if mount_from else None
        if begun is not None and begun.status == 201:
            return BlobOutcome.MOUNTED
        Upload(session, repository, self._scopes(repository), blob, source).run(begun)
        return BlobOutcome.UPLOADED

    def push_manifest(self, repository: RepositoryName, reference: str, document: Document) -> WrittenManifest:
        own = hashlib.new(document.digest.algorithm, document.content).digest()
        if own != document.digest.value or (":" in reference and reference != str(document.digest)):
            raise _other_bytes(repository, f"manifest {reference}", str(document.digest))
        session = self._for_push(repository)
        request = self._manifest("PUT", repository, reference)._replace(
            headers=(("Content-Type", document.media_type),), body=Body.of(document.content)
        )
        answer = session.send(request, f"manifest {reference}", frozenset({200, 201}))
        named = answer.get("docker-content-digest")
        if not named:
            stored = self.resolve(repository, reference)
            named = str(stored.digest) if stored else "nothing"
        if named != str(document.digest):
            raise _other_bytes(repository, f"manifest {reference}", named)
        return WrittenManifest(document.digest, answer.get("oci-subject") != "")

    def referrers(self, repository: RepositoryName, subject: Digest) -> tuple[Descriptor, ...] | None:
        session = self._session(repository)
        url, seen, found = session.address(repository, f"referrers/{subject}"), set[str](), list[Descriptor]()
        while url and url not in seen and len(seen) < _PAGES:
            seen.add(url)
            headers = (("Accept", media_types.INDEX),)
            request = Request("GET", url, repository, self._scopes(repository), headers, limit=MANIFEST_LIMIT)
            answer = session.send(request, f"referrers of {subject}", frozenset({200, 400, 404, 405, 501}))
            page = _index_of(answer, repository)
            if page is None:
                return None
            found += page.manifests
            following = _next_link(answer.get("link"))
            url = session.own_address(url, following) if following else ""
        return tuple(dict.fromkeys(found))

    def tags(self, repository: RepositoryName) -> tuple[str, ...]:
        """All tags, as the registry orders them.  FormatError `bad-tag-list`."""
        import json

        session = self._session(repository)
        url, seen, found = session.address(repository, "tags/list?n=1000"), set[str](), list[str]()
        while url and url not in seen and len(seen) < _PAGES:
            seen.add(url)
            request = Request("GET", url, repository, self._scopes(repository), limit=MANIFEST_LIMIT)
            answer = session.send(request, "the list of tags", frozenset({200}))
            try:
                page = json.loads(answer.content)["tags"] or []
                found += [str(tag) for tag in page]
            except (ValueError, KeyError, TypeError) as error:
                message = f"`{repository}` sent no list of tags"
                raise FormatError(message, reason="bad-tag-list", origin=Origin(str(repository))) from error
            following = _next_link(answer.get("link"))
            url = session.own_address(url, following) if following else ""
        return tuple(dict.fromkeys(found))

    def _session(self, repository: RepositoryName) -> RegistrySession:
        with self._lock:
            found = self._sessions.get(repository.host)
            if found is None:
                found = RegistrySession(
                    repository.host,
                    repository.api_host,
                    self._exchange,
                    self._clock,
                    self._jitter,
                    self._logins,
                    self._policy,
                )
                self._sessions[repository.host] = found
            return found

    def _for_push(self, repository: RepositoryName) -> RegistrySession:
        with self._lock:
            self._pushed.add(repository)
        return self._session(repository)

    def _scopes(self, repository: RepositoryName, origin: str = "") -> Scopes:
        """One token serves all that is done with a repository: it may push as soon as anything was pushed there."""
        with self._lock:
            own = Scope(repository.path, repository in self._pushed)
        return (own, Scope(origin, False)) if origin else (own,)

    def _manifest(self, method: str, repository: RepositoryName, reference: str) -> Request:
        url = self._session(repository).address(repository, f"manifests/{quote(reference, safe=':')}")
        return Request(method, url, repository, self._scopes(repository), (("Accept", _ACCEPTED),), NO_BODY, MANIFEST_LIMIT)

    def _has_blob(self, session: RegistrySession, repository: RepositoryName, blob: Descriptor) -> bool:
        url = session.address(repository, f"blobs/{blob.digest}")
        request = Request("HEAD", url, repository, self._scopes(repository))
        answer = session.send(request, f"blob {blob.digest}", frozenset({200, 404}))
        length = answer.get("content-length")
        if answer.status == 200 and length.isdigit() and int(length) != blob.size:
            raise _other_bytes(repository, f"blob {blob.digest}", f"{length} bytes, not {blob.size}")
        return answer.status == 200

    def _mount(self, session: RegistrySession, repository: RepositoryName, blob: Descriptor, origin: str) -> Answer | None:
        """201: the blob is mounted; 202: the registry began an upload instead; None: it does neither for us."""
        query = urlencode({"mount": str(blob.digest), "from": origin})
        url = session.address(repository, f"blobs/uploads/?{query}")
        request = Request("POST", url, repository, self._scopes(repository, origin))
        try:
            return session.send(request, f"blob {blob.digest}", frozenset({201, 202}))
        except UnavailableError as fault:  # whether we may push at all shows when we do
            if fault.retriable or fault.reason == "quota-exceeded":
                raise
            return None

    def _download(self, repository: RepositoryName, blob: Descriptor, write: Write) -> None:
        """The blob by `HttpTransfer`: retries, ranges, redirects; its credentials stay with the registry's endpoint."""
        session = self._session(repository)
        url = session.address(repository, f"blobs/{blob.digest}")
        delivered = 0

        def counted(chunk: bytes) -> None:
            nonlocal delivered
            delivered += len(chunk)
            write(chunk)

        for last in (False, True):
            # The request without a body gets us the token that is sent along with the other.
            if not self._has_blob(session, repository, blob):
                raise _missing(repository, blob)
            credentials = _for_endpoint(session, session.authorization(self._scopes(repository)))
            transfer = HttpTransfer(session.exchange, self._clock, self._jitter, credentials, _any_host(self._policy.http))
            try:
                transfer.fetch(url, counted, limit=blob.size)
                return
            except UnavailableError as fault:  # the token may have ended between the two requests
                if fault.reason != "unauthorized" or delivered or last:
                    raise
            except FormatError as fault:
                raise _other_bytes(repository, f"blob {blob.digest}", f"more than {blob.size} bytes") from fault


def _digest(text: str, repository: RepositoryName) -> Digest:
    try:
        return Digest.parse(text)
    except FormatError as error:
        raise _not_understood(repository, error) from error


def _index_of(answer: Answer, repository: RepositoryName) -> Index | None:
    """A page of referrers; None when the registry keeps no such list."""
    if answer.status != 200 or _media_type(answer) != media_types.INDEX:
        return None
    try:
        return parse_index(answer.content, Origin(source=str(repository)))
    except FormatError as error:
        raise _not_understood(repository, error) from error


def _media_type(answer: Answer) -> str:
    return answer.get("content-type").partition(";")[0].strip().lower()


def _next_link(header: str) -> str:
    """The target of `<…>; rel="next"`."""
    target, _, parameters = header.partition(">")
    return target.strip().removeprefix("<") if "next" in parameters and target.strip().startswith("<") else ""


def _for_endpoint(session: RegistrySession, authorization: str) -> Credentials:
    if not authorization:
        return Credentials()
    return Credentials((Credential(session.endpoint.host, session.endpoint.port, Secret(authorization)),))


def _any_host(policy: HttpPolicy) -> HttpPolicy:
    """Blobs may lie anywhere that `registry_addresses.check_address` lets us go to."""
    return HttpPolicy(policy.retries, policy.first_wait, policy.total_time, policy.redirects, frozenset({"*"}))


def _not_understood(repository: RepositoryName, error: FormatError) -> UnavailableError:
    message = f"registry `{repository.host}` gave an answer that is not understood: {error.message}"
    return UnavailableError(message, reason="bad-answer", origin=Origin(source=str(repository)))


def _missing(repository: RepositoryName, blob: Descriptor) -> UnavailableError:
    message = f"`{repository}` has no blob {blob.digest}"
    return UnavailableError(message, reason="not-found", origin=Origin(source=str(repository), digest=str(blob.digest)))


def _other_bytes(repository: RepositoryName, what: str, found: str) -> VerificationError:
    message = f"`{repository}` has other bytes for {what}: {found}"
    return VerificationError(message, reason="digest-mismatch", origin=Origin(source=str(repository)))
