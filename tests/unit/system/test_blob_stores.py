"""One contract for every place of blobs; S3 is in the integration tests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.system.blob_store import CHUNK, BlobEntry, BlobStore, MemoryBlobs
from apkiln.system.blob_store_directory import DirectoryBlobs
from apkiln.system.files import DiskFiles
from apkiln.system.memory_files import Crash, InterruptedFiles, MemoryFiles


@pytest.fixture(params=["memory", "directory", "memory files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobs()
    if request.param == "directory":
        return DirectoryBlobs(tmp_path / "blobs", DiskFiles())
    return DirectoryBlobs(PurePosixPath("/blobs"), MemoryFiles())


def digest_of(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


def content(blobs: BlobStore, digest: Digest, offset: int = 0, length: int | None = None) -> bytes | None:
    found = blobs.read(digest, offset, length)
    return None if found is None else b"".join(found)


def test_round_trip_and_ranges(blobs: BlobStore) -> None:
    data = bytes(range(256)) * 8192 + b"end"
    digest = digest_of(data)
    assert (blobs.size(digest), content(blobs, digest)) == (None, None)
    assert blobs.put(digest, [data[:7], data[7:]]) == len(data)
    assert blobs.size(digest) == len(data)
    assert content(blobs, digest) == data
    for offset, length in ((0, 1), (5, 100), (CHUNK - 1, 2), (len(data) - 3, None), (len(data), None), (3, 10 * len(data))):
        assert content(blobs, digest, offset, length) == data[offset : None if length is None else offset + length]


def test_again_is_no_error_and_reads_nothing(blobs: BlobStore) -> None:
    digest = digest_of(b"x")
    blobs.put(digest, [b"x"])

    def never() -> Iterator[bytes]:
        raise AssertionError("read although it is there")
        yield b""

    assert blobs.put(digest, never()) == 1


def test_other_bytes_are_refused_and_leave_nothing(blobs: BlobStore) -> None:
    with pytest.raises(VerificationError) as caught:
        blobs.put(digest_of(b"x"), [b"y"])
    assert caught.value.reason == "digest-mismatch"
    assert list(blobs.list()) == []


def test_listing_and_removal(blobs: BlobStore) -> None:
    contents = [b"a", b"b", b"", b"c" * 100]
    for data in contents:
        blobs.put(digest_of(data), [data])
    assert list(blobs.list()) == sorted(BlobEntry(digest_of(data), len(data)) for data in contents)
    blobs.remove(digest_of(b"a"))
    blobs.remove(digest_of(b"a"))
    assert content(blobs, digest_of(b"a")) is None
    assert len(list(blobs.list())) == 3


def test_a_crash_at_any_step_leaves_a_whole_blob_or_none() -> None:
    data = b"x" * 100
    step = 0
    while True:
        files = MemoryFiles()
        try:
            DirectoryBlobs(PurePosixPath("/b"), InterruptedFiles(files, step)).put(digest_of(data), [data[:50], data[50:]])
        except Crash:
            assert content(DirectoryBlobs(PurePosixPath("/b"), files), digest_of(data)) in (None, data)
            step += 1
            continue
        break
    assert step >= 3, "the enumeration shrank"


def test_errors_of_the_disk_are_ours(tmp_path: Path) -> None:
    (tmp_path / "sha256").write_bytes(b"in the way")
    with pytest.raises(ApkilnError):
        DirectoryBlobs(tmp_path, DiskFiles()).put(digest_of(b"x"), io.BytesIO(b"x"))
