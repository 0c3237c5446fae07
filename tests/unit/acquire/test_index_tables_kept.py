"""The kept table of an index: shared by processes, never trusted, made anew from the signed index when it is not what it was."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made_up_indexes import records
from tests.sample_packages import keyring_of, sample_index, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.acquire.index_tables import table_of
from apkiln.acquire.indexes import LoadedIndex, load_indexes
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, FormatError
from apkiln.formats.apk.index_table import IndexTable
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer, RoutedTransfer

BASE = "https://host.example/os"
URL = BASE + "/x86_64/APKINDEX.tar.gz"
SIGNER = sample_signer()
KEYS = keyring_of(SIGNER)
INDEX = sample_index([sample_package("a")], SIGNER)
TABLE = table_of(records("a-1{x}[b]; b-1; b-2 i:'a x'; c-3"))


@given(st.integers(0, len(TABLE.data) * 8 - 1))
def test_a_flipped_bit_is_refused_or_read_without_harm(bit: int) -> None:
    """The digest is what finds it (see below); a reader that is handed such bytes ends with an error of its own kind at worst."""
    damaged = bytearray(TABLE.data)
    damaged[bit // 8] ^= 1 << bit % 8
    assert hashlib.sha256(damaged).digest() != hashlib.sha256(TABLE.data).digest()
    try:
        table = IndexTable(bytes(damaged))
    except FormatError as fault:
        assert fault.reason == "index-table"
        return
    assert table != TABLE


def test_equal_records_give_equal_bytes_whoever_builds() -> None:
    """Builders at the same time write the same content under the same name."""
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: table_of(list(TABLE)).data, range(8)))
    assert set(built) == {TABLE.data}


def kept_table(store: MemoryStore, digest: Digest) -> Digest:
    (table,) = [blob for blob in store.blobs() if blob != digest]
    return table


def access_of(store: MemoryStore | DirectoryStore) -> Access:
    files = MemoryFiles()
    return Access(store, RoutedTransfer(memory_transfer(MemoryServer({URL: INDEX})), LocalTransfer(files)), files)


def load(access: Access) -> LoadedIndex:
    (index,) = load_indexes(parse_repositories([BASE]), "x86_64", KEYS, access)
    return index


@pytest.mark.parametrize("position", [0, 9, 50, -1])
def test_a_damaged_table_is_made_anew_from_the_signed_index(position: int) -> None:
    store = MemoryStore()
    first = load(access_of(store))
    table = kept_table(store, first.digest)
    store.damage(table, position % len(first.records.data))
    assert load(access_of(store)) == first
    assert kept_table(store, first.digest) == table


def test_a_truncated_table_on_disk_is_made_anew(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    first = load(access_of(store))
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.read_bytes() == first.records.data:
            path.write_bytes(first.records.data[:-7])
    assert load(access_of(DirectoryStore(tmp_path))) == first


class FullStore(MemoryStore):
    """Takes the index itself and nothing after it."""

    def put(self, table: str, key: str, value: bytes) -> None:
        if table == "index-verdicts":
            raise EnvironmentFault("no space left on device", reason="no-space")
        super().put(table, key, value)


def test_on_a_full_disk_the_index_is_parsed_each_time() -> None:
    store = FullStore()
    assert [load(access_of(store)).records[0].name for _ in range(2)] == ["a", "a"]


def test_builders_at_the_same_time_end_with_one_table(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: load(access_of(DirectoryStore(tmp_path))), range(16)))
    assert all(index == loaded[0] for index in loaded)
    assert load(access_of(DirectoryStore(tmp_path))) == loaded[0]


@pytest.mark.parametrize("length", [0, 1, 27, 28, 40])
def test_a_truncated_table_is_refused(length: int) -> None:
    with pytest.raises(FormatError):
        IndexTable(TABLE.data[:length])
