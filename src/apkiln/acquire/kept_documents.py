"""Small documents as they were fetched last, for runs without a network."""

from __future__ import annotations

import hashlib

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.system.store import Store, put_bytes


def document_row(location: str) -> str:
    """The key of an address in a table of documents; credentials do not count."""
    return hashlib.sha256(redact_url(location).encode()).hexdigest()


def keep_document(table: str, location: str, content: bytes, store: Store) -> None:
    """Remember what is at `location` now."""
    store.put(table, document_row(location), put_bytes(store, content).value)


def kept_document(table: str, location: str, name: str, store: Store) -> bytes:
    """What was kept last.  UnavailableError `offline` when nothing was, VerificationError `cache-entry-damaged`.

    `name`: what to call it in errors, without credentials.
    """
    origin = Origin(source=redact_url(location))
    value = store.get(table, document_row(location))
    stream = store.open(Digest.sha256(value)) if value else None
    if stream is None:
        message, hint = f"{name} is not in the cache and the network is off", "run once without `--offline`"
        raise UnavailableError(message, reason="offline", origin=origin, details=(origin.source,), hint=hint)
    with stream:
        content = stream.read()
    if hashlib.sha256(content).digest() != value:
        message, hint = f"what the cache holds as {name} is damaged", "run `apkiln cache clean`"
        raise VerificationError(message, reason="cache-entry-damaged", origin=origin, hint=hint)
    return content
