"""An apk v2 package read once, from first to last byte, with every check (spec apk.md §2, §12)."""

from __future__ import annotations

from typing import Protocol

from apkiln.formats.archive.entry import Entry


class ContentSink(Protocol):
    """Receives the data section of a package while it is read, in archive order.

    What arrives is verified only when `read_package` returns: a sink keeps it apart until then and drops it when the reader
    raises.  `entry` is called for every path, directories included; `content` follows with the chunks of a FILE (each at
    most 1 MiB, none for an empty file), which together have `entry.size` bytes.
    """

    def entry(self, entry: Entry) -> None: ...

    def content(self, chunk: bytes) -> None: ...
