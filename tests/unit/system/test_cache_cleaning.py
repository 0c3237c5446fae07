from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.digest import Digest
from apkiln.core.progress import Silent
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.cache_cleaning import Blob, choose_evictions, clean, empty
from apkiln.system.clock import ManualClock
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.store import put_bytes
from apkiln.system.trees import DirectoryTrees

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


DAY = 86_400


def made_trees(tmp_path: Path, clock: ManualClock, *days: int) -> DirectoryTrees:
    """Trees `0`, `1`… of 1,000 bytes that were last used so many days ago."""
    trees = DirectoryTrees(tmp_path / "trees", clock)
    for number, ago in enumerate(days):
        with trees.build(str(number)) as writer:
            writer.add(Entry("file", EntryType.FILE, 0o644, size=1000), [bytes(1000)])
        used = clock.now() - ago * DAY
        os.utime(tmp_path / f"trees/{number}/recorded.json", (used, used))
    return trees


def test_old_trees_go_and_those_of_today_stay(tmp_path: Path) -> None:
    clock = ManualClock(100 * DAY)
    trees = made_trees(tmp_path, clock, 40, 2, 0)
    cleaned = clean(DirectoryStore(tmp_path), clock, Silent(), 30 * DAY, trees=trees)
    assert (cleaned.trees, [trees.find(name) is not None for name in "012"]) == (1, [False, True, True])
    assert 1000 <= cleaned.freed < 1100
    cleaned = clean(DirectoryStore(tmp_path), clock, Silent(), 0, trees=trees)
    assert trees.find("2") is not None, "a build may stand on it"


def test_trees_go_before_blobs_when_there_is_too_much(tmp_path: Path) -> None:
    clock = ManualClock(100 * DAY)
    store, trees = DirectoryStore(tmp_path, clock=clock), made_trees(tmp_path, clock, 9, 5, 0)
    digest = put_bytes(store, bytes(500))
    cleaned = clean(store, clock, Silent(), most=2_600, trees=trees)
    assert (cleaned.trees, cleaned.evicted, store.holds(digest, 500)) == (1, 0, True)
    assert clean(store, clock, Silent(), most=1_000, trees=trees).trees == 1
    assert not store.holds(digest, 500), "what remains of today's tree leaves no room"


def test_finding_a_tree_is_using_it(tmp_path: Path) -> None:
    clock = ManualClock(100 * DAY)
    trees = made_trees(tmp_path, clock, 40, 40)
    assert trees.find("1") is not None
    assert [tree.key for tree in trees.unused(clock.now() - DAY)] == ["0"]


def test_half_made_trees_of_the_dead_go(tmp_path: Path) -> None:
    (tmp_path / "trees/.building-0000/root/closed").mkdir(parents=True)
    os.chmod(tmp_path / "trees/.building-0000/root/closed", 0)
    cleaned = clean(DirectoryStore(tmp_path), ManualClock(), Silent(), trees=DirectoryTrees(tmp_path / "trees"))
    assert cleaned.abandoned == 1 and list((tmp_path / "trees").iterdir()) == []
