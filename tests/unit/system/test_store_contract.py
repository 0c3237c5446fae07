"""One suite for every store: what callers may rely on, on disk and in memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, VerificationError
from apkiln.core.origin import Origin
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.memory_store import MemoryStore
from apkiln.system.store import Store, open_verified, put_bytes

KEYS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}", fullmatch=True)


def sha256(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


@pytest.fixture(params=["directory", "durable directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Callable[[], Store]] = {
        "directory": lambda: DirectoryStore(tmp_path / "cache"),
        "durable directory": lambda: DirectoryStore(tmp_path / "cache", durable=True),
        "memory": MemoryStore,
    }
    return makers[request.param]()


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


def test_a_blob_is_found_by_its_size_too(store: Store) -> None:
    digest = put_bytes(store, b"content")
    assert store.holds(digest, 7)
    assert not store.holds(digest, 6)
    assert not store.holds(sha256(b"other"), 5)
    assert store.open(digest, 6) is None
    assert store.open(sha256(b"other"), 5) is None
    stream = store.open(digest, 7)
    assert stream is not None
    with stream:
        assert stream.read() == b"content"


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


def test_nothing_is_visible_before_commit(store: Store) -> None:
    with store.writer() as writer:
        writer.write(b"half")
        assert store.open(sha256(b"half")) is None
    assert store.open(sha256(b"half")) is None


def test_commit_refuses_other_content(store: Store) -> None:
    with store.writer() as writer:
        writer.write(b"content")
        with pytest.raises(VerificationError) as caught:
            writer.commit(sha256(b"other content"))
    assert caught.value.reason == "digest-mismatch"
    assert store.open(sha256(b"content")) is None


def test_a_blob_can_be_committed_twice_and_discarded(store: Store) -> None:
    first = put_bytes(store, b"twice")
    assert put_bytes(store, b"twice") == first
    store.discard(first)
    assert store.open(first) is None


def test_a_reader_keeps_what_it_opened(store: Store) -> None:
    digest = put_bytes(store, b"opened early")
    stream = store.open(digest)
    store.discard(digest)
    assert stream is not None
    with stream:
        assert stream.read() == b"opened early"


@pytest.mark.parametrize("key", ["", ".", "..", ".hidden", "a/b", "a\0b", "ä", "a b", "x" * 201])
def test_keys_that_are_no_file_names_are_refused(store: Store, key: str) -> None:
    with pytest.raises(AssertionError):
        store.put("table", key, b"")
    with pytest.raises(AssertionError):
        store.get(key, "key")
    with pytest.raises(AssertionError), store.lock(key):
        pass


def test_verified_open_returns_the_whole_blob(store: Store) -> None:
    digest = put_bytes(store, b"x" * 3_000_000)
    stream = open_verified(store, digest)
    assert stream is not None
    with stream:
        assert stream.read() == b"x" * 3_000_000
    assert open_verified(store, sha256(b"absent")) is None


def damage(store: Store, digest: Digest, tmp_path: Path) -> None:
    if isinstance(store, MemoryStore):
        store.damage(digest, 5)
        return
    (path,) = (tmp_path / "cache" / "blobs").glob("??/*")
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)


def test_verified_open_refuses_and_discards_a_damaged_blob(store: Store, tmp_path: Path) -> None:
    digest = put_bytes(store, b"one byte of this will change")
    damage(store, digest, tmp_path)
    with pytest.raises(VerificationError) as caught:
        open_verified(store, digest, Origin(package="a-1-r0", member="data"))
    assert caught.value.reason == "cache-entry-damaged"
    assert (caught.value.origin.package, caught.value.origin.member) == ("a-1-r0", "data")
    assert caught.value.origin.digest == str(digest)
    assert store.open(digest) is None


def damage_row(store: Store, tmp_path: Path) -> None:
    if isinstance(store, MemoryStore):
        store.damage_row("table", "key")
        return
    path = tmp_path / "cache" / "tables" / "table" / "key"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_damaged_row_counts_as_absent(store: Store, tmp_path: Path) -> None:
    store.put("table", "key", b"value")
    damage_row(store, tmp_path)
    assert store.get("table", "key") is None


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
