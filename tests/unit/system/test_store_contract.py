"""One suite for every store: what callers may rely on, on disk and in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.shared_store_contract import Damage, SharedStoreContract, sha256

from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.memory_store import MemoryStore
from apkiln.system.store import Store

KEYS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}", fullmatch=True)


@pytest.fixture(params=["directory", "durable directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Callable[[], Store]] = {
        "directory": lambda: DirectoryStore(tmp_path / "cache"),
        "durable directory": lambda: DirectoryStore(tmp_path / "cache", durable=True),
        "memory": MemoryStore,
    }
    return makers[request.param]()


@pytest.fixture
def damage(store: Store, tmp_path: Path) -> Damage:
    def change(digest: Digest | None) -> None:
        if isinstance(store, MemoryStore):
            store.damage_row("table", "key") if digest is None else store.damage(digest, 5)
            return
        (path,) = (tmp_path / "cache").glob("tables/table/key" if digest is None else "blobs/??/*")
        content = path.read_bytes()
        path.write_bytes(content[:5] + bytes([content[5] ^ 1]) + content[6:])

    return change


class TestShared(SharedStoreContract):
    """What a store of one machine promises as one of several does."""


def read(store: Store, digest: Digest) -> bytes | None:
    stream = store.open(digest)
    if stream is None:
        return None
    with stream:
        return stream.read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(chunks=st.lists(st.binary(max_size=200), max_size=5))
def test_blob_round_trip(store: Store, chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    with store.writer() as writer:
        for chunk in chunks:
            writer.write(chunk)
        digest = writer.commit(sha256(whole))
    assert digest == sha256(whole)
    assert read(store, digest) == whole
    assert store.size(digest) == len(whole)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rows=st.dictionaries(st.tuples(KEYS, KEYS), st.binary(max_size=100), max_size=8))
def test_rows_are_what_was_put_last(store: Store, rows: dict[tuple[str, str], bytes]) -> None:
    for (table, key), value in rows.items():
        store.put(table, key, b"an earlier value")
        store.put(table, key, value)
    assert {place: store.get(*place) for place in rows} == rows


def test_absent_things_are_none(store: Store) -> None:
    missing = sha256(b"never stored")
    assert store.open(missing) is None
    assert store.size(missing) is None
    assert store.get("table", "key") is None
    store.discard(missing)


def test_a_lock_lets_one_thread_do_the_work(store: Store) -> None:
    built: list[int] = []

    def build(number: int) -> None:
        with store.lock("thing"):
            if store.get("results", "thing") is None:
                built.append(number)
                store.put("results", "thing", b"%d" % number)

    threads = [threading.Thread(target=build, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert store.get("results", "thing") == b"%d" % built[0]


@pytest.mark.parametrize("key", ["", "..", "a/b"])
def test_locks_have_keys_too(store: Store, key: str) -> None:
    with pytest.raises(AssertionError), store.lock(key):
        pass


def test_locks_of_different_keys_do_not_wait_for_each_other(store: Store) -> None:
    with store.lock("one"), store.lock("two"):
        pass


@pytest.fixture
def full_store() -> Iterator[MemoryStore]:
    yield MemoryStore(capacity=10)


def test_the_twin_can_be_full(full_store: MemoryStore) -> None:
    with pytest.raises(EnvironmentFault) as caught, full_store.writer() as writer:
        writer.write(b"x" * 11)
    assert caught.value.reason == "no-space"
    assert full_store.blobs() == ()
