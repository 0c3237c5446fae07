"""The one digest under which apk records the extended attributes of a path (spec apk.md §2.4, §4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def attributes_digest(xattrs: Iterable[tuple[str, bytes]]) -> bytes:
    """SHA-1 (20 bytes) over the attributes in order of name, each as two length-prefixed byte strings (32 bits, big endian):
    name, value.  Empty when there are none.  Found by comparing with what apk-tools 3.0.6 records."""
    ordered = sorted((name.encode("utf-8", "surrogateescape"), value) for name, value in xattrs)
    if not ordered:
        return b""
    hasher = hashlib.sha1(usedforsecurity=False)
    for text in (text for pair in ordered for text in pair):
        hasher.update(len(text).to_bytes(4, "big") + text)
    return hasher.digest()
