"""What is at a public path of a repository: an answer as a value, for whoever serves it (spec repository.md §4.6, §10.1).

Pure: a path and a state go in.  The same function answers clients, the read-back before a pointer moves, and tests.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import unquote

from apkiln.formats.apk.version import is_valid
from apkiln.repository.layout import INDEX, NOARCH, PACKAGE_SUFFIX
from apkiln.repository.ledger.actions import Indexed
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState, Status
from apkiln.repository.rotation import key_uses

FROZEN = "public, max-age=31536000, immutable, no-transform"
CURRENT = "public, max-age=60, must-revalidate, no-transform"
NEVER = "no-cache, no-transform"
CANDIDATE = "candidate"
BINARY, GZIP, JSON, PEM, TEXT = (
    "application/octet-stream",
    "application/gzip",
    "application/json",
    "application/x-pem-file",
    "text/plain; charset=utf-8",
)
_VERSION_START = re.compile(r"-(?=[0-9])")


class Answer(NamedTuple):
    """One response, without its bytes where they are a blob."""

    status: int
    blob: str = ""
    """Hex digest of the body."""
    body: bytes = b""
    """The body itself where there is no blob."""
    content_type: str = BINARY
    cache: str = NEVER
    modified: int = 0
    """Unix seconds; 0 = not known."""
    location: str = ""
    """Of a redirect."""
    generation: int = 0
    """Of the index; 0 = none."""
    digest: str = ""
    """Hex SHA-256 of a body that is no blob and has an ETag nevertheless."""


def found(state: RepositoryState, path: str, now: int) -> Answer:
    """What is at `path` below the repository (without leading slash), or `@VIEW/…` beside it.  `now`: Unix seconds."""
    if "\0" in path or "//" in path:
        return refusal(404, "not-found", "there is nothing at this path")
    parts = tuple(unquote(part) for part in path.split("/"))
    if any("/" in part or part in ("", ".", "..") for part in parts):
        return refusal(404, "not-found", "there is nothing at this path")
    if parts[0].startswith("@"):
        return _frozen(state, parts[0][1:], parts[1:], now)
    if parts[0] == CANDIDATE:
        return _candidate(state, parts[1:])
    if parts[0] == "keys" and len(parts) == 2:
        return _key(state, parts[1])
    if len(parts) == 1:
        return _document(state, parts[0])
    if not state.current:
        return refusal(404, "not-found", "nothing is published yet")
    return _file(state, parts, state.generations[state.current].indexed, live=True)


def _frozen(state: RepositoryState, view: str, parts: tuple[str, ...], now: int) -> Answer:
    number = state.views.get(view, int(view) if view.isascii() and view.isdigit() and len(view) < 19 else 0)
    if not number:
        return _dated(state, view, parts, now)
    generation = state.generations.get(number)
    if generation is None:
        return refusal(404, "not-found", f"there is no generation or view {view}")
    if generation.document in state.removed:
        return refusal(410, "collected", f"generation {number} was collected")
    modified = generation.live_at // 1000
    if parts == ("generation.json",):
        return Answer(200, generation.document, content_type=JSON, cache=FROZEN, modified=modified)
    if parts == ("generation.json.sig",):
        return Answer(200, generation.signature, content_type=JSON, cache=FROZEN, modified=modified)
    return _file(state, parts, generation.indexed, live=False)


def _dated(state: RepositoryState, view: str, parts: tuple[str, ...], now: int) -> Answer:
    """The generation that was current at a time: a redirect, once the time is past."""
    from datetime import UTC, datetime

    try:
        time = datetime.fromisoformat(view)
    except ValueError:
        return refusal(404, "not-found", f"there is no view {view}")
    moment = time.replace(tzinfo=time.tzinfo or UTC).timestamp()
    numbers = [item.number for item in tuple(state.generations.values()) if item.live_at <= moment * 1000]
    if moment > now or not numbers:
        return refusal(404, "not-found", f"there is no generation of {view}")
    place = f"{state.repository}@{max(numbers)}/{'/'.join(parts)}"
    return Answer(302, location=f"/{place}", cache="public, max-age=31536000")


def _candidate(state: RepositoryState, parts: tuple[str, ...]) -> Answer:
    """Where a generation is read back before anybody is pointed to it; its name is the digest of its document."""
    indexed = state.candidate
    if indexed is None or len(parts) < 2 or parts[0] != indexed.document:
        return refusal(404, "not-found", "there is no such candidate")
    if parts[1:] == ("generation.json",):
        return Answer(200, indexed.document, content_type=JSON, modified=indexed.created)
    if parts[1:] == ("generation.json.sig",):
        return Answer(200, indexed.signature, content_type=JSON, modified=indexed.created)
    answer = _file(state, parts[1:], indexed, live=False)
    if answer.status != 200 and len(parts) == 3:
        answer = _incoming(state, indexed, parts[1], parts[2])
    return answer._replace(cache=NEVER)


def _incoming(state: RepositoryState, indexed: Indexed, arch: str, file: str) -> Answer:
    """A package that is accepted, or back, when the candidate goes live."""
    blob = state.incoming.get((arch, file)) or state.incoming.get((NOARCH, file))
    if blob is None:
        return refusal(404, "not-found", "there is no such package")
    return Answer(200, blob, modified=indexed.created)


def _file(state: RepositoryState, parts: tuple[str, ...], indexed: Indexed, *, live: bool) -> Answer:
    if parts == ("packages.sha256",):
        cache = CURRENT if live else FROZEN
        return Answer(200, indexed.sums, content_type=TEXT, cache=cache, modified=indexed.created)
    if len(parts) != 2:
        return refusal(404, "not-found", "there is nothing at this path")
    arch, file = parts
    if file == INDEX:
        for index in indexed.arches:
            if index.arch == arch:
                cache = CURRENT if live else FROZEN
                return Answer(
                    200, index.sha256, content_type=GZIP, cache=cache, modified=indexed.created, generation=indexed.generation
                )
        return refusal(404, "not-found", f"there is no index for {arch}")
    key = package_key(state, arch, file)
    return refusal(404, "not-found", "there is no such package") if key is None else _package(state, key)


def package_key(state: RepositoryState, arch: str, file: str) -> Key | None:
    """The accepted package that is called `file` below `arch`; `noarch` packages are below every architecture."""
    if not file.endswith(PACKAGE_SUFFIX):
        return None
    stem = file.removesuffix(PACKAGE_SUFFIX)
    for match in _VERSION_START.finditer(stem):
        name, version = stem[: match.start()], stem[match.end() :]
        if not is_valid(version):
            continue
        for home in (arch, NOARCH):
            if Key(home, name, version) in state.accepted:
                return Key(home, name, version)
    return None


def _package(state: RepositoryState, key: Key) -> Answer:
    accepted = state.accepted[key]
    if accepted.status is Status.WITHDRAWN:
        return refusal(410, "withdrawn", f"{key.name_version} was withdrawn: {accepted.reason or 'no reason given'}")
    if accepted.status is Status.COLLECTED or accepted.package.digest in state.removed:
        return refusal(410, "collected", f"{key.name_version} was collected")
    return Answer(200, accepted.package.digest, cache=FROZEN, modified=accepted.changed // 1000)


def _key(state: RepositoryState, name: str) -> Answer:
    if name == "index.json":
        uses = [
            {
                "file": key.name,
                "state": key.state,
                "spki_sha256": key.fingerprint,
                "bits": key.bits,
                "changed": key.changed // 1000,
            }
            for key in key_uses(state)
        ]
        good = [item for item in uses if item["state"] != "revoked"]
        revoked = [item for item in uses if item["state"] == "revoked"]
        return Answer(200, body=_json({"keys": good, "revoked": revoked}), content_type=JSON, cache=CURRENT)
    known = state.keys.get(name)
    if known is None:
        return refusal(404, "not-found", "there is no such key")
    if known.state == "revoked":
        return refusal(410, "revoked", f"key {name} was revoked")
    return Answer(200, body=known.pem.encode(), content_type=PEM, cache=FROZEN, modified=known.changed // 1000)


def _document(state: RepositoryState, name: str) -> Answer:
    if not state.current:
        return refusal(404, "not-found", "nothing is published yet")
    generation = state.generations[state.current]
    modified = generation.live_at // 1000
    match name:
        case "current":
            body = _json({"generation": generation.number, "sha256": generation.document})
            return Answer(200, body=body, content_type=JSON, cache=NEVER, modified=modified)
        case "generation.json":
            return Answer(200, generation.document, content_type=JSON, cache=NEVER, modified=modified)
        case "generation.json.sig":
            return Answer(200, generation.signature, content_type=JSON, cache=NEVER, modified=modified)
        case "packages.sha256":
            return _file(state, (name,), generation.indexed, live=True)
        case "withdrawn.json":
            return Answer(200, body=_withdrawn(state), content_type=JSON, cache=CURRENT, modified=modified)
        case "names.json":
            owners = [{"prefix": prefix, "team": team} for prefix, team in sorted(state.owners.items())]
            return Answer(200, body=_json({"names": owners}), content_type=JSON, cache=CURRENT, modified=modified)
    return refusal(404, "not-found", "there is nothing at this path")


def _withdrawn(state: RepositoryState) -> bytes:
    withdrawn = [item for item in state.accepted.items() if item[1].status is Status.WITHDRAWN]
    entries = [
        {
            "arch": key.arch,
            "name": key.name,
            "version": key.version,
            "sha256": accepted.package.digest,
            "since": accepted.changed // 1000,
            "reason": accepted.reason,
        }
        for key, accepted in sorted(withdrawn)
    ]
    return _json({"generation": state.current, "withdrawn": entries})


def refusal(status: int, code: str, message: str) -> Answer:
    """An answer that is an error, as JSON (spec §10.1)."""
    return Answer(status, body=_json({"error": {"code": code, "message": message}}), content_type=JSON)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
