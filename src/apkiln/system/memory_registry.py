"""A registry in memory: the twin of the ones on the network, strict where the protocol lets a server be, with faults on order.

It is an exchange (`system.http.RequestExchange`), so that the whole client runs over it; `handle` serves the same over sockets.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from apkiln.core.errors import UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.oci import media_types
from apkiln.system.clock import ManualClock
from apkiln.system.http import Response
from apkiln.system.memory_registry_access import Gate
from apkiln.system.registry_client import DEFAULT_POLICY, HttpRegistry
from apkiln.system.registry_logins import Logins, NoLogins
from apkiln.system.registry_session import RegistryPolicy

_ROUTE = re.compile(
    r"/v2/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)/(?P<kind>blobs/uploads|blobs|manifests|tags|referrers)/(?P<rest>[^/]*)"
)
_CONTENT_RANGE = re.compile(r"(\d+)-(\d+)")
_PIECE = 1000
_MANIFEST_LIMIT = 4 << 20

Headers = tuple[tuple[str, str], ...]


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers = ()
    content: bytes = b""
    cut: int = -1
    """Break the connection after so many bytes of the content; -1 = never."""


class Fault(NamedTuple):
    """What goes wrong with the next request whose method and path match."""

    method: str
    path: str
    """A regular expression, searched in the path with its query."""
    status: int = 0
    """Answer with this status; 0 = see the other fields."""
    headers: Headers = ()
    """Headers of that answer, or that replace the usual ones."""
    content: bytes = b""
    receive: int = -1
    """Take only so many bytes of the body, then break the connection; -1 = all."""
    drop: bool = False
    """Do as asked, then break the connection instead of answering."""
    replace: bytes | None = None
    """Send this content instead."""
    cut: int = -1
    """Break the connection after so many bytes of the answer's content."""


@dataclass(slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    size: int
    """Bytes of the body."""


@dataclass(frozen=True, slots=True)
class RegistryTraits:
    """What a registry does and does not do."""

    referrers: bool = True
    """Keeps the list of referrers."""
    mounts: bool = True
    chunks: bool = True
    """Takes blobs in pieces."""
    minimum_chunk: int = 0
    largest_body: int = -1
    """Bytes of one piece; -1 = no limit."""
    quota: int = -1
    """Bytes of all blobs; -1 = no limit."""
    blobs_elsewhere: str = ""
    """Base URL that reads of blobs are redirected to."""
    page: int = 2
    """Referrers of one page."""


@dataclass(slots=True)
class _Repository:
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


DEFAULT_TRAITS = RegistryTraits()


class MemoryRegistry:
    """One registry under any host name, for several threads.  Requests are kept in `asked` in order."""

    def __init__(self, traits: RegistryTraits = DEFAULT_TRAITS, gate: Gate | None = None) -> None:
        self.traits = traits
        self.gate = gate or Gate()
        self.asked: list[Asked] = []
        self._repositories: dict[str, _Repository] = {}
        self._uploads: dict[str, tuple[str, bytearray]] = {}
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._begun = 0

    def misbehave(self, *faults: Fault) -> None:
        """Each fault meets one request."""
        self._faults.extend(faults)

    def blobs(self, repository: str) -> dict[str, bytes]:
        """Digest → content."""
        return self._repository(repository).blobs

    def manifests(self, repository: str) -> dict[str, tuple[str, bytes]]:
        """Digest → media type and content."""
        return self._repository(repository).manifests

    def tags(self, repository: str) -> dict[str, str]:
        """Tag → digest."""
        return self._repository(repository).tags

    @property
    def unfinished(self) -> int:
        """Uploads that were neither finished nor cancelled."""
        return len(self._uploads)

    def count(self, method: str, path: str = "") -> int:
        """How many requests of a method had a path that matches."""
        return sum(1 for item in self.asked if item.method == method and re.search(path, item.path))

    @contextmanager
    def request(self, method: str, url: str, headers: Headers, body: Iterable[bytes] = ()) -> Iterator[Response]:
        content = b"".join(body)
        reply = self.handle(method, url, {name.lower(): value for name, value in headers}, content)
        if reply is None:
            raise _lost(url)
        yield Response(reply.status, dict(reply.headers), _pieces(url, reply, method))

    def handle(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Reply | None:
        """The answer; None: the connection breaks without one."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        with self._lock:
            self.asked.append(Asked(method, path, headers, len(body)))
            fault = self._take_fault(method, path)
            if fault.status:
                return Reply(fault.status, fault.headers, fault.content)
            if fault.receive >= 0:
                body = body[: fault.receive]
            reply = self.gate.answer(method, parts, headers, body) or self._serve(method, parts.path, parts.query, headers, body)
            if fault.drop or fault.receive >= 0:
                return None
        return _spoilt(reply, fault)

    def _take_fault(self, method: str, path: str) -> Fault:
        for position, fault in enumerate(self._faults):
            if fault.method == method and re.search(fault.path, path):
                return self._faults.pop(position)
        return Fault("", "")

    def _serve(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Reply:
        if path == "/v2/":
            return _reply(200, content=b"{}")
        match = _ROUTE.fullmatch(path)
        if match is None:
            return Reply(404, (("content-type", "text/plain"),), b"404 page not found\n")
        name, kind, rest = match["name"], match["kind"], match["rest"]
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        if kind == "blobs/uploads":
            return self._serve_upload(method, name, rest, asked, headers, body)
        if kind == "blobs":
            return self._serve_blob(method, name, rest, headers)
        if kind == "manifests":
            return self._serve_manifest(method, name, rest, headers, body)
        if kind == "referrers" and self.traits.referrers and method == "GET":
            return self._serve_referrers(name, rest, asked)
        if kind == "tags" and rest == "list" and method == "GET":
            return self._serve_tags(name, asked)
        return Reply(404, (("content-type", "text/plain"),), b"404 page not found\n")

    def _serve_tags(self, name: str, asked: dict[str, str]) -> Reply:
        rows = [tag for tag in sorted(self._repository(name).tags) if tag > asked.get("last", "")]
        page = rows[: self.traits.page]
        following = [("link", f'</v2/{name}/tags/list?last={page[-1]}>; rel="next"')] if len(rows) > len(page) else []
        content = json.dumps({"name": name, "tags": page}).encode()
        return _reply(200, ("content-type", "application/json"), *following, content=content)

    def _serve_blob(self, method: str, name: str, digest: str, headers: dict[str, str]) -> Reply:
        content = self._repository(name).blobs.get(digest)
        if content is None:
            return _error(404, "BLOB_UNKNOWN")
        if self.traits.blobs_elsewhere and method == "GET":
            return _reply(307, ("location", f"{self.traits.blobs_elsewhere}/{digest}?signature=of-the-store"))
        whole = (("docker-content-digest", digest), ("content-type", "application/octet-stream"), ("accept-ranges", "bytes"))
        match = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        if match is None or method == "HEAD":
            return _reply(200, *whole, content=content)
        start = int(match[1])
        if start >= len(content):
            return _error(416, "RANGE_INVALID")
        return _reply(206, *whole, ("content-range", f"bytes {start}-{len(content) - 1}/{len(content)}"), content=content[start:])

    def _serve_upload(
        self, method: str, name: str, session: str, asked: dict[str, str], headers: dict[str, str], body: bytes
    ) -> Reply:
        if method == "POST" and not session:
            return self._begin(name, asked)
        if session not in self._uploads or self._uploads[session][0] != name:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        received = self._uploads[session][1]
        if method == "DELETE":
            del self._uploads[session]
            return _reply(204)
        if method == "GET":
            return self._upload_state(204, name, session)
        refused = self._receive(method, received, headers, body)
        if refused is not None:
            return refused
        return self._upload_state(202, name, session) if method == "PATCH" else self._finish(name, session, asked)

    def _begin(self, name: str, asked: dict[str, str]) -> Reply:
        wanted = self._repositories.get(asked.get("from", ""), _Repository()).blobs.get(asked.get("mount", ""))
        if wanted is not None and self.traits.mounts:
            self._repository(name).blobs[asked["mount"]] = wanted
            return _reply(201, ("location", f"/v2/{name}/blobs/{asked['mount']}"), ("docker-content-digest", asked["mount"]))
        self._begun += 1
        session = f"session-{self._begun}"
        self._uploads[session] = (name, bytearray())
        return self._upload_state(202, name, session)

    def _upload_state(self, status: int, name: str, session: str) -> Reply:
        size = len(self._uploads[session][1])
        # Every answer names another place: a client must follow.
        headers = [("location", f"/v2/{name}/blobs/uploads/{session}?state={size}%3D"), ("range", f"0-{max(size - 1, 0)}")]
        if self.traits.minimum_chunk:
            headers.append(("oci-chunk-min-length", str(self.traits.minimum_chunk)))
        return _reply(status, *headers)

    def _receive(self, method: str, received: bytearray, headers: dict[str, str], body: bytes) -> Reply | None:
        """Append what came; an answer when it cannot be taken."""
        if method not in {"PATCH", "PUT"}:
            return _error(405, "UNSUPPORTED")
        if method == "PATCH" and not self.traits.chunks:
            return _error(405, "UNSUPPORTED")
        if 0 <= self.traits.largest_body < len(body):
            return _error(413, "SIZE_INVALID")
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        if method == "PATCH" and (match is None or int(match[1]) != len(received)):
            return _error(416, "BLOB_UPLOAD_INVALID")
        stored = sum(len(blob) for repository in self._repositories.values() for blob in repository.blobs.values())
        if 0 <= self.traits.quota < stored + len(received) + len(body):
            return _error(403, "DENIED", "the quota of this project is used up")
        received += body
        return None

    def _finish(self, name: str, session: str, asked: dict[str, str]) -> Reply:
        content = bytes(self._uploads[session][1])
        digest = asked.get("digest", "")
        del self._uploads[session]
        if _digest(content) != digest:
            return _error(400, "DIGEST_INVALID")
        self._repository(name).blobs[digest] = content
        return _reply(201, ("location", f"/v2/{name}/blobs/{digest}"), ("docker-content-digest", digest))

    def _serve_manifest(self, method: str, name: str, reference: str, headers: dict[str, str], body: bytes) -> Reply:
        repository = self._repository(name)
        reference = reference.replace("%3A", ":")
        if method == "PUT":
            return self._store_manifest(repository, reference, headers, body)
        digest = reference if ":" in reference else repository.tags.get(reference, "")
        media_type, content = repository.manifests.get(digest, ("", b""))
        if not media_type or media_type not in headers.get("accept", ""):
            return _error(404, "MANIFEST_UNKNOWN")
        return _reply(200, ("content-type", media_type), ("docker-content-digest", digest), content=content)

    def _store_manifest(self, repository: _Repository, reference: str, headers: dict[str, str], body: bytes) -> Reply:
        if len(body) > _MANIFEST_LIMIT:
            return _error(413, "SIZE_INVALID")
        try:
            document = json.loads(body)
            rows = [*([document["config"]] if "config" in document else []), *document.get("layers", [])]
            children = [row["digest"] for row in document.get("manifests", [])]
            blobs = [row["digest"] for row in rows]
        except (ValueError, LookupError, TypeError, AttributeError):
            return _error(400, "MANIFEST_INVALID")
        if document.get("mediaType") != headers.get("content-type"):
            return _error(400, "MANIFEST_INVALID")
        digest = _digest(body)
        if ":" in reference and digest != reference:
            return _error(400, "DIGEST_INVALID")
        # Fallback lists of referrers may name what is gone; ours never do, so the twin asks for every child.
        if any(blob not in repository.blobs for blob in blobs) or any(row not in repository.manifests for row in children):
            return _error(400, "MANIFEST_BLOB_UNKNOWN")
        repository.manifests[digest] = (document["mediaType"], body)
        if ":" not in reference:
            repository.tags[reference] = digest
        told = [("docker-content-digest", digest)]
        if self.traits.referrers and "subject" in document:
            told.append(("oci-subject", document["subject"]["digest"]))
        return _reply(201, *told)

    def _serve_referrers(self, name: str, subject: str, asked: dict[str, str]) -> Reply:
        rows = [
            _row(digest, media_type, content)
            for digest, (media_type, content) in self._repository(name).manifests.items()
            if json.loads(content).get("subject", {}).get("digest") == subject
        ]
        start = int(asked.get("start", "0"))
        page = rows[start : start + self.traits.page]
        content = json.dumps({"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": page}).encode()
        headers = [("content-type", media_types.INDEX)]
        if start + self.traits.page < len(rows):
            headers.append(("link", f'</v2/{name}/referrers/{subject}?start={start + self.traits.page}>; rel="next"'))
        return _reply(200, *headers, content=content)

    def _repository(self, name: str) -> _Repository:
        return self._repositories.setdefault(name, _Repository())


class MemoryNetwork:
    """Several exchanges by host; unknown hosts cannot be reached.  `asked` holds every URL with its headers, in order."""

    def __init__(self, hosts: dict[str, MemoryRegistry]) -> None:
        self._hosts = hosts
        self.asked: list[tuple[str, dict[str, str]]] = []

    @contextmanager
    def request(self, method: str, url: str, headers: Headers, body: Iterable[bytes] = ()) -> Iterator[Response]:
        self.asked.append((url, {name.lower(): value for name, value in headers}))
        host = self._hosts.get(urlsplit(url).netloc)
        if host is None:
            raise _lost(url, "connection-failed")
        with host.request(method, url, headers, body) as response:
            yield response


def memory_registry_client(
    exchange: MemoryRegistry | MemoryNetwork,
    logins: Logins | None = None,
    policy: RegistryPolicy = DEFAULT_POLICY,
    clock: ManualClock | None = None,
) -> HttpRegistry:
    """The whole client over registries in memory; waits take no time and the jitter is seeded."""
    return HttpRegistry(exchange, clock or ManualClock(), random.Random(0).random, logins or NoLogins(), policy)


def _reply(status: int, *headers: tuple[str, str], content: bytes = b"") -> Reply:
    return Reply(status, (*headers, ("content-length", str(len(content)))), content)


def _error(status: int, code: str, message: str = "") -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower()}]}).encode()
    return _reply(status, ("content-type", "application/json"), content=body)


def _spoilt(reply: Reply, fault: Fault) -> Reply:
    content = reply.content if fault.replace is None else fault.replace
    headers = dict(reply.headers)
    if fault.replace is not None:
        headers["content-length"] = str(len(content))
    return Reply(reply.status, tuple((headers | dict(fault.headers)).items()), content, fault.cut)


def _row(digest: str, media_type: str, content: bytes) -> dict[str, Any]:
    document = json.loads(content)
    config = document.get("config", {}).get("mediaType", "")
    row = {"mediaType": media_type, "digest": digest, "size": len(content)}
    return row | {"artifactType": document.get("artifactType") or config, "annotations": document.get("annotations", {})}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _pieces(url: str, reply: Reply, method: str) -> Iterator[bytes]:
    content = b"" if method == "HEAD" else reply.content
    end = len(content) if reply.cut < 0 else min(reply.cut, len(content))
    for position in range(0, end, _PIECE):
        yield content[position : min(position + _PIECE, end)]
    if end < len(content):
        raise _lost(url)


def _lost(url: str, reason: str = "connection-lost") -> UnavailableError:
    shown = url.partition("?")[0]
    return UnavailableError(f"no connection to `{shown}`", reason=reason, origin=Origin(source=shown), retriable=True)
