"""Keys that repositories offer by themselves, asked for only when the user says so (spec image.md §11.2).

Two offers are known: the list of releases of Alpine for addresses of the form `…/alpine/BRANCH/REPOSITORY`, and
`apk-configuration` in the repository, which leads to a JSON Web Key set.  Whoever controls the host of a repository, or the
distribution's site, decides which keys these are; so all of it comes over https, and what was found should be pinned.

Table in the store: `key-documents` (address → digest of what was there last; `-` = nothing was there).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from apkiln.acquire.access import Access
from apkiln.acquire.kept_documents import document_row, keep_document, kept_document
from apkiln.acquire.keyring import KeySource, load_keyring
from apkiln.acquire.repositories import Layout, Repository
from apkiln.core.errors import ApkilnError, FaultCollector, FaultGroup, UnavailableError, UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.secret import redact_url
from apkiln.formats.apk.key_documents import (
    LARGEST_CONFIGURATION,
    LARGEST_KEY_SET,
    LARGEST_RELEASES,
    parse_key_configuration,
    parse_key_set,
    parse_release_keys,
)
from apkiln.formats.apk.keys import Keyring, PublicKey

RELEASES = "https://alpinelinux.org/releases.json"
CONFIGURATION = "apk-configuration"
_TABLE = "key-documents"
_ALPINE = pattern(r"https://.+/alpine/(v\d+\.\d+|edge)/[^/]+")
_ABSENT = b"-"
_PLAIN = "!$&'()*+,:;=@~"
_PAGES = ("text/html", "application/xhtml+xml")


class DiscoveredKey(NamedTuple):
    """A key and who offered it."""

    key: PublicKey
    url: str
    """Of the key file; for keys of a set, the file name below the repository, as apko's locks name them.  No credentials."""
    repository: str
    """The first repository that led to it, without credentials."""


class Discovery(NamedTuple):
    """What all repositories offer."""

    keys: tuple[DiscoveredKey, ...] = ()
    """Sorted by name; each key once."""
    remarks: tuple[str, ...] = ()


def discover_keys(repositories: Iterable[Repository], archs: Iterable[str], access: Access) -> Discovery:
    """The keys that `repositories` offer for `archs` (apk names), every fault at once; local repositories offer none.

    UsageError `discovery-not-https` for a repository over plain http; errors of `key_documents`, of `load_keyring`, and
    UnavailableError of the transfer (404 is no fault: nothing is offered); FormatError `key-name-twice`.  Offline, what was
    kept last serves; UnavailableError `offline` where nothing was.
    """
    faults = FaultCollector.empty()
    found: dict[str, DiscoveredKey] = {}
    asking = _Asking(tuple(archs), access)
    for repository in repositories:
        if repository.is_local:
            continue
        try:
            for item in asking.offered(repository):
                found.setdefault(item.key.name, item)
                Keyring.of((found[item.key.name].key, item.key))
        except ApkilnError as fault:
            for single in fault.faults if isinstance(fault, FaultGroup) else (fault,):
                faults.add(single.located(Origin(source=repository.url)))
    faults.raise_if_any()
    return Discovery(tuple(found[name] for name in sorted(found)), tuple(dict.fromkeys(asking.remarks)))


class _Asking:
    """One run over all repositories; every address is fetched once."""

    def __init__(self, archs: tuple[str, ...], access: Access) -> None:
        self._archs = archs
        self._access = access
        self._documents: dict[str, bytes | None] = {}
        self._keys: dict[str, PublicKey] = {}
        self.remarks: list[str] = []

    def offered(self, repository: Repository) -> tuple[DiscoveredKey, ...]:
        """What one repository offers."""
        if not repository.url.lower().startswith("https://"):
            raise UsageError(
                f"repository `{repository.url}` comes over plain http: keys that it offers cannot be trusted",
                reason="discovery-not-https",
                origin=Origin(source=repository.url),
                hint="use https, or list the key with its SHA-256 and leave discovery out",
            )
        found = (*self._of_releases(repository), *self._of_key_set(repository))
        if not found:
            self.remarks.append(f"repository `{repository.url}` offers no keys")
        return found

    def _of_releases(self, repository: Repository) -> Iterator[DiscoveredKey]:
        match = _ALPINE.fullmatch(repository.url)
        content = self._document(RELEASES, LARGEST_RELEASES) if match is not None else None
        if match is None or content is None:
            return
        for arch in self._archs:
            addresses = parse_release_keys(content, match[1], arch, RELEASES)
            if addresses is None:
                self.remarks.append(f"{RELEASES} has no branch `{match[1]}`")
                return
            for address in addresses:
                yield DiscoveredKey(self._key(address), redact_url(address), repository.url)

    def _of_key_set(self, repository: Repository) -> Iterator[DiscoveredKey]:
        if repository.layout is Layout.INDEX:
            return
        location = repository.generation_location(CONFIGURATION)
        content = self._document(location, LARGEST_CONFIGURATION)
        if content is None:
            return
        address = parse_key_configuration(content, redact_url(location))
        offered = parse_key_set(self._document(address, LARGEST_KEY_SET, needed=True) or b"", address)
        self.remarks.extend(f"{address}: {remark}" for remark in offered.remarks)
        for key in offered.keys:
            yield DiscoveredKey(key, f"{repository.url}/{quote(key.name, safe=_PLAIN)}", repository.url)

    def _key(self, address: str) -> PublicKey:
        if address not in self._keys:
            (self._keys[address],) = load_keyring([KeySource(address)], self._access).keys
        return self._keys[address]

    def _document(self, location: str, limit: int, *, needed: bool = False) -> bytes | None:
        if location not in self._documents:
            self._documents[location] = _document(location, self._access, limit, needed=needed)
        return self._documents[location]


def _document(location: str, access: Access, limit: int, *, needed: bool = False) -> bytes | None:
    """What is there now, or offline what was there last; None when nothing is, unless it is `needed`."""
    if access.offline:
        absent = access.store.get(_TABLE, document_row(location)) == _ABSENT
        return None if absent else kept_document(_TABLE, location, f"`{redact_url(location)}`", access.store)
    received = bytearray()
    try:
        answer = access.transfer.fetch(location, received.extend, limit=limit)
    except UnavailableError as fault:
        if fault.reason != "not-found" or needed:
            raise
        answer = None
    if answer is None or (answer.content_type in _PAGES and not needed):
        access.store.put(_TABLE, document_row(location), _ABSENT)
        return None
    content = bytes(received)
    keep_document(_TABLE, location, content, access.store)
    return content
