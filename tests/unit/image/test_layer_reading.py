"""Layers read as streams: every encoding gives the same entries and the same diffID."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FormatError
from apkiln.core.limits import Limits
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.image.layer_reading import LayerReader, hashed_entries


def made_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        directory = tarfile.TarInfo("etc")
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
        for name, content in (("etc/one", b"1" * 5000), ("etc/two", b"")):
            item = tarfile.TarInfo(name)
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
        link = tarfile.TarInfo("etc/link")
        link.type, link.linkname = tarfile.SYMTYPE, "one"
        archive.addfile(link)
    return buffer.getvalue()


TAR = made_tar()
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
}


def read(data: bytes, limits: Limits | None = None) -> tuple[list[ContentEntry], LayerReader]:
    reader = LayerReader(io.BytesIO(data), limits or Limits())
    return list(hashed_entries(reader)), reader


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_entries_and_digests_do_not_depend_on_the_encoding(encoding: str) -> None:
    data = ENCODINGS[encoding](TAR)
    entries, reader = read(data)
    assert [item.entry.path for item in entries] == ["etc", "etc/one", "etc/two", "etc/link"]
    assert entries[1].sha1 == hashlib.sha1(b"1" * 5000).digest()
    assert entries[1].sha256 == hashlib.sha256(b"1" * 5000).digest()
    assert (entries[3].entry.type, entries[3].sha1) == (EntryType.SYMLINK, hashlib.sha1(b"one").digest())
    measured = reader.measured
    assert measured.compression.value == encoding
    assert measured.diff_id == Digest.sha256(hashlib.sha256(TAR).digest())
    assert (measured.digest, measured.size) == (Digest.sha256(hashlib.sha256(data).digest()), len(data))


@given(cut=st.integers(0, len(TAR)), encoding=st.sampled_from(["gzip", "zstd"]))
def test_several_members_or_frames_are_one_layer(cut: int, encoding: str) -> None:
    encode = ENCODINGS[encoding]
    _entries, reader = read(encode(TAR[:cut]) + encode(TAR[cut:]))
    assert reader.measured.diff_id.value == hashlib.sha256(TAR).digest()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_truncated_or_followed_data_is_refused(encoding: str) -> None:
    data = ENCODINGS[encoding](TAR)
    for damaged in (data[:-5], data + b"xx"):
        with pytest.raises(ApkilnError):
            read(damaged)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_stopped(encoding: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(ENCODINGS[encoding](TAR), Limits(data_decompressed=4000))
    assert caught.value.reason == f"{encoding}-too-large"


def test_wanted_files_are_kept_and_bounded() -> None:
    kept: dict[str, bytes] = {}
    list(hashed_entries(LayerReader(io.BytesIO(TAR)), lambda path: path == "etc/one", kept.__setitem__))
    assert kept == {"etc/one": b"1" * 5000}
    with pytest.raises(FormatError) as caught:
        list(hashed_entries(LayerReader(io.BytesIO(TAR)), lambda path: True, kept.__setitem__, Limits(document=4999)))
    assert caught.value.reason == "file-too-large"
