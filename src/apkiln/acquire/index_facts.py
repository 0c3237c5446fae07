"""What an index says of its own age, for those who write down which one they used."""

from __future__ import annotations

import hashlib
import json
import re

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import LoadedIndex
from apkiln.core import canonical_json
from apkiln.core.named_tuple import NamedTuple

_TABLE = "index-facts"
_VERSION = "1"
_GENERATION = re.compile(r"\S+ (\d{1,18})")


class IndexFacts(NamedTuple):
    """One index."""

    sha256: str
    """Hex, of the file as fetched."""
    newest: int
    """Build time of its newest package, Unix seconds; 0 when no package states one."""
    generation: str
    """The number behind the repository's name in its description (spec repository.md §4); empty when there is none."""


def index_facts(index: LoadedIndex, access: Access) -> IndexFacts:
    """Facts of a loaded index.  Reads all its records at the first call; remembered by digest."""
    row = f"{index.digest.hex}.{_VERSION}"
    stored = access.store.get(_TABLE, row)
    if stored is not None:
        return IndexFacts(*json.loads(stored))
    newest = max((record.build_date for record in index.records), default=0)
    facts = IndexFacts(index.digest.hex, newest, _generation(index, access))
    access.store.put(_TABLE, row, canonical_json.encode(list(facts)))
    return facts


def _generation(index: LoadedIndex, access: Access) -> str:
    from apkiln.formats.apk.index import read_index

    data = _bytes(index, access)
    matched = _GENERATION.fullmatch(read_index(data, access.limits).description.strip()) if data else None
    return matched[1] if matched else ""


def _bytes(index: LoadedIndex, access: Access) -> bytes:
    """The file again, from the store or from its local place; nothing when it is another by now."""
    data = b""
    stream = access.store.open(index.digest)
    if stream is not None:
        with stream:
            data = stream.read()
    elif index.repository.is_local:
        received = bytearray()
        location = access.locate(index.repository.index_location(index.arch))
        access.transfer.fetch(location, received.extend, limit=access.limits.index_decompressed)
        data = bytes(received)
    return data if hashlib.sha256(data).digest() == index.digest.value else b""
