"""Where versions are asked for: GitHub, git, release-monitoring.org, registries; and answers that were recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Protocol
from urllib.parse import quote

from apkiln.core import canonical_json
from apkiln.core.errors import FormatError, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.package.definition.model import Monitor
from apkiln.package.updates.choosing import Offer
from apkiln.system.files import Files
from apkiln.system.git import GitRepositories, RemoteReference
from apkiln.system.store import Store
from apkiln.system.transfer import NO_VALIDATORS, Transfer, Validators

GITHUB = "https://api.github.com/repos"
GITHUB_GIT = "https://github.com"
RELEASE_MONITORING = "https://release-monitoring.org/api/project"
MAXIMUM_ANSWER = 64 * MIB
_TABLE = "updates"


class Upstreams(Protocol):
    """What can be asked."""

    def document(self, url: str) -> bytes:
        """A JSON document.  UnavailableError as `Transfer.fetch`, `not-recorded`."""

    def references(self, repository: str) -> tuple[RemoteReference, ...]:
        """The tags of a git repository.  UnavailableError `git-failed`, `not-recorded`."""

    def tags(self, image: str) -> tuple[str, ...]:
        """The tags of an image repository.  UnavailableError, `not-recorded`."""


class NetworkUpstreams:
    """The real ones.  Documents are asked for conditionally: one that did not change costs no quota at GitHub."""

    def __init__(self, transfer: Transfer, git: GitRepositories, store: Store, tags: Callable[[str], tuple[str, ...]]) -> None:
        self._transfer = transfer
        self._git = git
        self._store = store
        self._tags = tags

    def document(self, url: str) -> bytes:
        key = hashlib.sha256(url.encode()).hexdigest()
        kept = self._store.get(_TABLE, key)
        row = json.loads(kept) if kept is not None else None
        known = Validators(row["etag"], row["modified"]) if row else NO_VALIDATORS
        content = bytearray()
        fetched = self._transfer.fetch(url, content.extend, limit=MAXIMUM_ANSWER, known=known)
        if fetched.unchanged and row:
            return str(row["content"]).encode()
        if fetched.validators.known:
            etag, modified = fetched.validators
            value = {"etag": etag, "modified": modified, "content": content.decode("utf-8", "replace")}
            self._store.put(_TABLE, key, canonical_json.encode(value))
        return bytes(content)

    def references(self, repository: str) -> tuple[RemoteReference, ...]:
        return self._git.references(repository, ("refs/tags/*",))

    def tags(self, image: str) -> tuple[str, ...]:
        return self._tags(image)


class RecordedUpstreams:
    """Answers in a directory, one file for each question; with `inner`, missing ones are asked for and written."""

    def __init__(self, files: Files, directory: PurePath, inner: Upstreams | None = None) -> None:
        self._files = files
        self._directory = directory
        self._inner = inner

    def document(self, url: str) -> bytes:
        return self._answer(url, lambda inner: inner.document(url))

    def references(self, repository: str) -> tuple[RemoteReference, ...]:
        def ask(inner: Upstreams) -> bytes:
            return canonical_json.encode([list(item) for item in inner.references(repository)])

        return tuple(RemoteReference(*row) for row in json.loads(self._answer(f"git:{repository}", ask)))

    def tags(self, image: str) -> tuple[str, ...]:
        return tuple(json.loads(self._answer(f"oci:{image}", lambda inner: canonical_json.encode(list(inner.tags(image))))))

    def _answer(self, question: str, ask: Callable[[Upstreams], bytes]) -> bytes:
        path = self._directory / f"{quote(question, safe='')[:200]}.json"
        if self._files.status(path) is not None:
            return self._files.read(path, MAXIMUM_ANSWER)
        if self._inner is None:
            raise UnavailableError(f"no answer to `{question}` is recorded", reason="not-recorded", origin=Origin(str(path)))
        content = ask(self._inner)
        self._files.make_directory(self._directory)
        with self._files.create(path, replace=True) as stream:
            stream.write(content)
        return content


def offers_of(monitor: Monitor, repository: str, upstreams: Upstreams) -> tuple[Offer, ...]:
    """Everything a monitor knows.  `repository`: of the first checkout, for monitors of kind `git`.

    Raises UnavailableError `no-repository` and those of `Upstreams`, FormatError `bad-answer`.
    """
    name = monitor.identifier.text
    if monitor.kind == "github" and monitor.use_tag:
        return _from_tags(upstreams.references(f"{GITHUB_GIT}/{name}"))
    if monitor.kind == "github":
        url = f"{GITHUB}/{quote(name)}/releases?per_page=100"
        return tuple(_release(item, url) for item in _list(upstreams.document(url), url))
    if monitor.kind == "release-monitor":
        return _monitored(upstreams, f"{RELEASE_MONITORING}/{quote(name, safe='')}/")
    if monitor.kind == "oci":
        return tuple(Offer(tag) for tag in upstreams.tags(name))
    if not repository:
        message = "the main pipeline has no `git-checkout` step whose tags could be looked at"
        raise UnavailableError(message, reason="no-repository", origin=monitor.origin)
    return _from_tags(upstreams.references(repository))


def _from_tags(references: tuple[RemoteReference, ...]) -> tuple[Offer, ...]:
    return tuple(
        Offer(item.name.removeprefix("refs/tags/"), item.commit) for item in references if item.name.startswith("refs/tags/")
    )


def _release(item: Any, url: str) -> Offer:
    if not isinstance(item, dict) or not isinstance(item.get("tag_name"), str):
        raise _bad(url)
    return Offer(item["tag_name"], "", bool(item.get("prerelease") or item.get("draft")))


def _monitored(upstreams: Upstreams, url: str) -> tuple[Offer, ...]:
    found = _json(upstreams.document(url), url)
    if not isinstance(found, dict):
        raise _bad(url)
    every, stable = found.get("versions") or [], found.get("stable_versions")
    if not isinstance(every, list) or not isinstance(stable, list | None):
        raise _bad(url)
    known = set(map(str, every if stable is None else stable))
    return tuple(Offer(str(version), "", str(version) not in known) for version in dict.fromkeys([*every, *(stable or [])]))


def _list(content: bytes, url: str) -> list[Any]:
    found = _json(content, url)
    if not isinstance(found, list):
        raise _bad(url)
    return found


def _json(content: bytes, url: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise _bad(url) from error


def _bad(url: str) -> FormatError:
    return FormatError("the answer is not of the form that was expected", reason="bad-answer", origin=Origin(url))
