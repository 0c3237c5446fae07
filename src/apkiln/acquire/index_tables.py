"""Tables of the records of an index, kept in the store by what they were made from; nothing here says whether an index is to
be believed.

Table in the store: `index-tables` (digest of an index file, versions of checks and layout → digest of the record table).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate

from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.formats.apk.index_table import VERSION, IndexTable, write_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.core.limits import Limits
    from apkiln.formats.apk.index_text import IndexOutline
    from apkiln.formats.apk.records import IndexRecord
    from apkiln.system.store import Store

_TABLES = "index-tables"
CHECKS = "1"
"""Changes when other records are taken as unusable, or a kept verdict on an index begins to mean more."""

_TAKES_NOTHING = EnvironmentFault, UnavailableError
"""What a store raises that is full, read-only or no directory: it costs time, not the answer."""


def table_of_file(data: bytes, store: Store, limits: Limits) -> IndexTable:
    """The usable records of an index file, signed or not, packed or bare text; nobody vouches for them.

    Made at first sight of these bytes, then taken from the store.  Raises what `formats.apk.index.read_any_index` raises.
    """
    row = f"{hashlib.sha256(data).hexdigest()}.{CHECKS}.{VERSION}"
    digest = store.get(_TABLES, row)
    known = kept_table(store, Digest.sha256(digest)) if digest else None
    if known is not None:
        return known
    from apkiln.formats.apk.index import text_of_any_index
    from apkiln.formats.apk.index_text import scan_index_text

    text = text_of_any_index(data, limits)
    table = table_of_text(text, scan_index_text(text, limits).usable())
    kept = keep_table(store, table)
    if kept is not None:
        with suppress(*_TAKES_NOTHING):
            store.put(_TABLES, row, kept.value)
    return table


def kept_table(store: Store, digest: Digest) -> IndexTable | None:
    """A table from the store, None when the store lost or damaged it."""
    stream = store.open(digest)
    if stream is None:
        return None
    with stream:
        data = stream.read()
    if hashlib.sha256(data).digest() != digest.value:
        store.discard(digest)
        return None
    return IndexTable(data)


def keep_table(store: Store, table: IndexTable) -> Digest | None:
    """Put a table into the store; None where that takes nothing."""
    from apkiln.system.store import put_bytes

    with suppress(*_TAKES_NOTHING):
        return put_bytes(store, table.data)
    return None


def table_of(records: Sequence[IndexRecord]) -> IndexTable:
    """The table of records that are in memory, of which it keeps the fields that an index has."""
    from apkiln.formats.apk.index_text import IndexOutline, format_record

    blocks = [f"{format_record(record)}\n".encode("utf-8", "surrogateescape") for record in records]
    begins = list(accumulate(map(len, blocks), initial=0))[:-1]
    fields = [(record.name, record.provides, record.install_if) for record in records]
    names, provides, install_if = (
        [row[column].encode("utf-8", "surrogateescape") for row in fields] for column in range(3)
    )  # fmt: skip
    return table_of_text(b"".join(blocks), IndexOutline(begins, names, provides, install_if, ()))


def table_of_text(text: bytes, outline: IndexOutline) -> IndexTable:
    """The table of the records that `outline` finds in a text."""
    from apkiln.formats.apk.index_names import mentioned_postings, provided_postings

    provided = provided_postings(outline.names, outline.provides)
    return IndexTable(write_table(text, outline.begins, provided, mentioned_postings(outline.install_if)))
