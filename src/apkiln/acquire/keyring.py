"""The keys a run trusts, from files and URLs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote

from apkiln.acquire.access import Access
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FaultCollector, UsageError, VerificationError
from apkiln.core.limits import KIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.formats.apk.keys import Keyring, PublicKey, parse_public_key
from apkiln.system.store import Store
from apkiln.system.urls import is_http, local_path

_LARGEST = 64 * KIB
_PARSED, _FETCHED = "public-keys", "fetched-keys"
_PARSER = "1"
"""Changes when the meaning of a parsed row does."""


class KeySource(NamedTuple):
    """One key to trust."""

    location: str
    """Path or URL; the last component is the key's name."""
    sha256: str = ""
    """Lower-case hex SHA-256 that the file must have; empty = not pinned."""


def load_keyring(sources: Iterable[KeySource | str], access: Access) -> Keyring:
    """All keys; every fault is reported at once.

    A key from plain http must be pinned (UsageError `key-not-pinned`): whoever can change the packages on their way
    could change the key too.  Fetched keys are kept, so that an offline run has them.  Other errors:
    VerificationError `key-digest-mismatch`, and those of `parse_public_key` and `Transfer.fetch`.  A key that was
    parsed before costs one row: no cryptographic library is loaded.
    """
    faults = FaultCollector.empty()
    keys: list[PublicKey] = []
    for item in sources:
        source = KeySource(item) if isinstance(item, str) else item
        try:
            keys.append(_load(source, access))
        except ApkilnError as fault:
            faults.add(fault)
    faults.raise_if_any()
    return Keyring.of(keys)


def parse_keys(keys: Iterable[tuple[str, bytes]], store: Store) -> Keyring:
    """Keys whose content is at hand, as (name, PEM); every fault at once.  Errors of `parse_public_key`.  Remembered as those
    of `load_keyring` are."""
    faults = FaultCollector.empty()
    found: list[PublicKey] = []
    for name, content in keys:
        try:
            found.append(_parse(name, content, store))
        except ApkilnError as fault:
            faults.add(fault)
    faults.raise_if_any()
    return Keyring.of(found)


def fingerprint(keyring: Keyring) -> str:
    """Hex digest of names and keys: what a verdict of trust depends on."""
    listed = [[key.name, key.fingerprint.hex] for key in keyring.keys]
    return hashlib.sha256(canonical_json.encode(listed)).hexdigest()


def key_name(location: str) -> str:
    """The file name that a key location gives its key."""
    path = redact_url(location).partition("?")[0].partition("#")[0]
    return unquote(PurePosixPath(path).name) if is_http(location) else PurePosixPath(local_path(location) or path).name


def _load(source: KeySource, access: Access) -> PublicKey:
    shown = redact_url(source.location)
    if source.location.lower().startswith("http://") and not source.sha256:
        hint = "use https, or give the SHA-256 of the key file"
        raise UsageError(f"key `{shown}` comes over plain http", reason="key-not-pinned", origin=Origin(source=shown), hint=hint)
    content = _fetched(source, access) if is_http(source.location) else _read(source.location, access)
    found = hashlib.sha256(content).hexdigest()
    if source.sha256 and found != source.sha256.lower():
        message = f"key `{shown}` has the SHA-256 {found}, expected is {source.sha256}"
        raise VerificationError(message, reason="key-digest-mismatch", origin=Origin(source=shown))
    try:
        return _parse(key_name(source.location), content, access.store)
    except ApkilnError as fault:
        fault.origin = Origin(source=shown)
        raise


def _read(location: str, access: Access) -> bytes:
    path = local_path(location)
    if path is None:
        raise UsageError(f"`{location}` is neither a path nor a URL", reason="bad-key-location", origin=Origin(source=location))
    return access.files.read(access.directory / path, _LARGEST)


def _fetched(source: KeySource, access: Access) -> bytes:
    from apkiln.acquire.kept_documents import keep_document, kept_document

    if access.offline:
        return kept_document(_FETCHED, source.location, f"the key `{redact_url(source.location)}`", access.store)
    received = bytearray()
    access.transfer.fetch(source.location, received.extend, limit=_LARGEST)
    content = bytes(received)
    keep_document(_FETCHED, source.location, content, access.store)
    return content


def _parse(name: str, content: bytes, store: Store) -> PublicKey:
    """`parse_public_key` with memory."""
    row = hashlib.sha256(canonical_json.encode([_PARSER, name]) + content).hexdigest()
    stored = store.get(_PARSED, row)
    if stored is not None:
        pem, kind, bits, digest = json.loads(stored)
        return PublicKey(name, pem.encode(), kind, bits, Digest.parse(digest))
    key = parse_public_key(name, content)
    store.put(_PARSED, row, canonical_json.encode([key.pem.decode(), key.kind, key.bits, str(key.fingerprint)]))
    return key
