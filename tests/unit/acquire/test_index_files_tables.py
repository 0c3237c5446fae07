"""`acquire.index_tables`: an index file that nobody vouches for, parsed once and then found by its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sample_packages import sample_index, sample_package, sample_signer

from apkiln.acquire.index_tables import table_of_file
from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.apk.index import read_any_index
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.memory_store import MemoryStore

PACKAGES = [sample_package(name, files={f"usr/bin/{name}": b"x"}, provides=[f"cmd:{name}=1"]) for name in ("one", "two", "three")]
SIGNED = sample_index(PACKAGES, sample_signer())
BARE = read_any_index(SIGNED)[0].text


@pytest.mark.parametrize("data", [SIGNED, BARE])
def test_records_are_those_of_the_parser_at_first_and_at_second_sight(data: bytes) -> None:
    store = MemoryStore()
    first = table_of_file(data, store, DEFAULT_LIMITS)
    rows, blobs = store.rows(), store.blobs()
    second = table_of_file(data, store, DEFAULT_LIMITS)
    assert tuple(first) == tuple(second) == read_any_index(data)[1].records
    assert (rows, blobs) == (store.rows(), store.blobs())
    assert [table for table, _ in rows] == ["index-tables"] and len(blobs) == 1


def test_other_bytes_are_another_index() -> None:
    store = MemoryStore()
    table_of_file(BARE, store, DEFAULT_LIMITS)
    other = BARE.replace(b"P:two", b"P:tow")
    assert [record.name for record in table_of_file(other, store, DEFAULT_LIMITS)] == ["one", "three", "tow"]


def test_a_damaged_table_is_made_anew(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    expected = tuple(table_of_file(BARE, store, DEFAULT_LIMITS))
    ((digest, _, _),) = tuple(store.blobs())
    (blob,) = (tmp_path / "blobs").rglob("*-*")
    content = bytearray(blob.read_bytes())
    content[-3] ^= 1
    blob.write_bytes(bytes(content))
    assert tuple(table_of_file(BARE, store, DEFAULT_LIMITS)) == expected
    assert tuple(digest for digest, _, _ in store.blobs()) == (digest,)


def test_a_cache_that_takes_nothing_is_lived_with(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = DirectoryStore(tmp_path / "file" / "below")
    assert len(table_of_file(BARE, store, DEFAULT_LIMITS)) == 3


def test_faults_are_those_of_the_parser() -> None:
    with pytest.raises(FormatError) as caught:
        table_of_file(b"P:x\nV:1\n\n", MemoryStore(), DEFAULT_LIMITS)
    assert caught.value.reason == "index-field-missing"
