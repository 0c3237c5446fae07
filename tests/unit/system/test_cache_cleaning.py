from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.digest import Digest
from apkiln.core.progress import Silent
from apkiln.system.cache_cleaning import Blob, choose_evictions, clean, empty
from apkiln.system.clock import ManualClock
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.store import put_bytes

BLOBS = st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 100)), max_size=12).map(
    lambda items: [Blob(Digest.sha256(bytes([number]) * 32), size, used) for number, (size, used) in enumerate(items)]
)


@given(BLOBS, st.floats(0, 100), st.integers(0, 5000))
def test_evictions_keep_the_limits_and_remove_no_more_than_needed(blobs: list[Blob], used_before: float, most: int) -> None:
    gone = set(choose_evictions(blobs, used_before, most))
    kept = [blob for blob in blobs if blob.digest not in gone]
    assert all(blob.used >= used_before for blob in kept)
    assert sum(blob.size for blob in kept) <= most
    for_size = [blob for blob in blobs if blob.digest in gone and blob.used >= used_before]
    assert all(blob.used <= other.used for blob in for_size for other in kept)
    if for_size:
        last = max(for_size, key=lambda blob: (blob.used, blob.digest))
        assert sum(blob.size for blob in kept) + last.size > most


def test_damage_is_found_and_removed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    good, bad, cut = put_bytes(store, b"good" * 10), put_bytes(store, b"bad" * 10), put_bytes(store, b"cut" * 10)
    store.put("table", "good", b"value")
    store.put("table", "bad", b"value")
    for digest, change in ((bad, b"?" * 30), (cut, b"cut")):
        (path,) = tmp_path.glob(f"blobs/??/{digest.hex[2:]}-*")
        path.write_bytes(change)
    row = tmp_path / "tables/table/bad"
    row.write_bytes(row.read_bytes() + b"?")
    cleaned = clean(store, ManualClock(), Silent())
    assert set(cleaned.damaged_blobs) == {bad, cut}
    assert cleaned.damaged_rows == (("table", "bad"),)
    assert [digest for digest, _, _ in store.blobs()] == [good]
    assert (store.get("table", "good"), row.exists()) == (b"value", False)
    again = clean(store, ManualClock(), Silent())
    assert (again.damaged_blobs, again.damaged_rows, again.evicted) == ((), (), 0)


def test_everything_goes_but_strangers(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    put_bytes(store, b"data")
    store.put("table", "key", b"value")
    (tmp_path / "trees/one/root/closed").mkdir(parents=True)
    os.chmod(tmp_path / "trees/one/root/closed", 0o500)
    (tmp_path / "notes.txt").write_text("mine")
    empty(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "locks") == ["notes.txt"]
    assert put_bytes(store, b"data") in {digest for digest, _, _ in store.blobs()}
