"""What is in a package file, for people: every path, read from the file that is served, with every check on the way."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO, NamedTuple, cast

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, UsageError, VerificationError
from apkiln.core.limits import MIB, Limits
from apkiln.core.value import replace, value
from apkiln.formats.apk.package import read_package
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.repository.ledger.packages import Package
from apkiln.repository.verifying import ChunkStream
from apkiln.system.blob_store import BlobStore

LARGEST = 64 * MIB
"""Installed size up to which a page lists files; what is larger would keep everybody else waiting."""
MOST_ENTRIES = 200_000
_KINDS = {
    EntryType.FILE: "file",
    EntryType.HARDLINK: "hard link",
    EntryType.SYMLINK: "link",
    EntryType.DIRECTORY: "directory",
    EntryType.CHARACTER: "character device",
    EntryType.BLOCK: "block device",
    EntryType.FIFO: "pipe",
}


class FileRow(NamedTuple):
    """One path of a package."""

    path: str
    kind: str
    mode: str
    """Four octal digits."""
    owner: str
    size: int
    target: str
    """Of a link."""
    digest: str
    """Hex SHA-256 of a file's content; empty for everything else."""


@value
class Files:
    """All of a package."""

    rows: tuple[FileRow, ...]
    """In the order of the archive."""
    scripts: tuple[str, ...]
    """Names of the maintainer scripts."""
    signed_by: tuple[str, ...]
    """File names of the keys whose signatures it carries (not checked here)."""

    def __len__(self) -> int:
        return len(self.rows)


def files_of(package: Package, blobs: BlobStore, limits: Limits) -> Files:
    """Read the file of a package.

    UsageError `too-large-to-list`, UnavailableError `not-found`, VerificationError `blob-corrupt`, and what reading raises.
    """
    if package.installed_size > LARGEST or package.size > LARGEST:
        raise UsageError("the package is too large to list its files here", reason="too-large-to-list")
    chunks = blobs.read(Digest.sha256(bytes.fromhex(package.digest)))
    if chunks is None:
        raise UnavailableError("the file of this package is not in the store", reason="not-found")
    bounded = replace(limits, data_decompressed=2 * LARGEST, archive_entries=MOST_ENTRIES)
    stream = cast(BinaryIO, io.BufferedReader(ChunkStream(chunks, hashlib.sha256())))
    contents = read_package(stream, bounded)
    if contents.sha256.hex() != package.digest:
        raise VerificationError("the store has other bytes than were accepted", reason="blob-corrupt")
    rows = tuple(_row(item) for item in contents.entries)
    return Files(rows, tuple(name for name, _ in contents.scripts), tuple(key for _, key, _ in contents.signatures))


def _row(item: ContentEntry) -> FileRow:
    entry = item.entry
    owner = f"{entry.uname or entry.uid}:{entry.gname or entry.gid}"
    return FileRow(entry.path, _KINDS[entry.type], f"{entry.mode:04o}", owner, entry.size, entry.target, item.sha256.hex())
