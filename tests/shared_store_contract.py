"""What every store that machines may share must do; run on the directory, the twin in memory and a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.system.store import SharedStore, open_verified, put_bytes

Damage = Callable[[Digest | None], None]
"""Changes a byte of a blob, or of the row `key` of the table `table`."""


def sha256(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


class SharedStoreContract:
    """Subclasses have the fixtures `store` and `damage`."""

    def test_content_comes_back(self, store: SharedStore) -> None:
        for chunks in ((), (b"",), (b"one", b"", b"two"), (bytes(3_000_000), b"end")):
            whole = b"".join(chunks)
            with store.writer() as writer:
                for chunk in chunks:
                    writer.write(chunk)
                assert writer.commit(sha256(whole)) == sha256(whole)
            stream = store.open(sha256(whole))
            assert stream is not None
            with stream:
                assert stream.read() == whole
                stream.seek(2)
                assert stream.read() == whole[2:]

    def test_a_blob_is_found_by_its_size_too(self, store: SharedStore) -> None:
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

    def test_nothing_is_visible_before_commit(self, store: SharedStore) -> None:
        with store.writer() as writer:
            writer.write(b"half")
            assert store.open(sha256(b"half")) is None
        assert store.open(sha256(b"half")) is None

    def test_commit_refuses_other_content(self, store: SharedStore) -> None:
        with store.writer() as writer:
            writer.write(b"content")
            with pytest.raises(VerificationError) as caught:
                writer.commit(sha256(b"other content"))
        assert caught.value.reason == "digest-mismatch"
        assert store.open(sha256(b"content")) is None

    def test_a_blob_can_be_committed_twice_and_discarded(self, store: SharedStore) -> None:
        first = put_bytes(store, b"twice")
        assert put_bytes(store, b"twice") == first
        store.discard(first)
        assert store.open(first) is None

    def test_a_reader_keeps_what_it_opened(self, store: SharedStore) -> None:
        digest = put_bytes(store, b"opened early")
        stream = store.open(digest)
        store.discard(digest)
        assert stream is not None
        with stream:
            assert stream.read() == b"opened early"

    def test_verified_open_returns_the_whole_blob(self, store: SharedStore) -> None:
        digest = put_bytes(store, b"x" * 3_000_000)
        stream = open_verified(store, digest)
        assert stream is not None
        with stream:
            assert stream.read() == b"x" * 3_000_000
        assert open_verified(store, sha256(b"absent")) is None

    def test_rows_are_what_was_put_last(self, store: SharedStore) -> None:
        rows = {("table", "key"): b"1", ("table", "other"): b"", ("other", "key"): bytes(range(256))}
        for (table, key), value in rows.items():
            store.put(table, key, b"an earlier value")
            store.put(table, key, value)
        assert {place: store.get(*place) for place in rows} == rows

    def test_absent_things_are_none(self, store: SharedStore) -> None:
        missing = sha256(b"never stored")
        assert store.open(missing) is None
        assert store.open(missing, 12) is None
        assert not store.holds(missing, 12)
        assert store.get("table", "key") is None
        store.discard(missing)

    @pytest.mark.parametrize("key", ["", ".", "..", ".hidden", "a/b", "a\0b", "ä", "a b", "x" * 201])
    def test_keys_that_are_no_file_names_are_refused(self, store: SharedStore, key: str) -> None:
        with pytest.raises(AssertionError):
            store.put("table", key, b"")
        with pytest.raises(AssertionError):
            store.get(key, "key")

    def test_verified_open_refuses_and_discards_a_damaged_blob(self, store: SharedStore, damage: Damage) -> None:
        digest = put_bytes(store, b"one byte of this will change")
        damage(digest)
        with pytest.raises(VerificationError) as caught:
            open_verified(store, digest, Origin(package="a-1-r0", member="data"))
        assert caught.value.reason == "cache-entry-damaged"
        assert (caught.value.origin.package, caught.value.origin.member) == ("a-1-r0", "data")
        assert caught.value.origin.digest == str(digest)
        assert store.open(digest) is None

    def test_a_damaged_row_counts_as_absent(self, store: SharedStore, damage: Damage) -> None:
        store.put("table", "key", b"value")
        damage(None)
        assert store.get("table", "key") is None
