"""A checksum file beside each certificate bundle and trust store (spec image.md §5.1 step 11)."""

from __future__ import annotations

import hashlib

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.certificates import BUNDLES, JAVA_STORE
from apkiln.image.generated.draft import Draft


def sidecars(draft: Draft, epoch: int) -> None:
    """Rule `checksum-sidecars`: `.<name>.sha256`, 0444, dated `epoch`, for each bundle that exists as a file."""
    for path in (*BUNDLES, JAVA_STORE):
        if not draft.file_at(path):
            continue
        directory, _, name = path.rpartition("/")
        sidecar = draft.resolve_parent(f"{directory}/.{name}.sha256")
        line = f"{hashlib.sha256(draft.read(path)).hexdigest()}  {name}\n".encode()
        draft.put("checksum-sidecars", Entry(sidecar, EntryType.FILE, 0o444, mtime=epoch), line)
