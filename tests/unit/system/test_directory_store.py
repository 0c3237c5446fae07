"""What only a store on disk can show: files, modes, crashes, several processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pytest

from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault
from apkiln.system.clock import ManualClock
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.store import open_verified, put_bytes

PROCESSES = multiprocessing.get_context("fork")


def sha256(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


def test_files_are_private_to_the_user(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    store = DirectoryStore(root)
    put_bytes(store, b"data")
    store.put("table", "key", b"value")
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    put_bytes(store, b"data")
    store.put("table", "key", b"value")
    with pytest.raises(RuntimeError), store.writer() as writer:
        writer.write(b"unfinished")
        raise RuntimeError
    assert store.usage().unfinished == 0


def test_a_cut_blob_counts_as_absent(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    digest = put_bytes(store, b"a crash of the machine cuts this")
    (path,) = tmp_path.glob("blobs/??/*")
    size = path.stat().st_size
    os.truncate(path, 7)
    assert not store.holds(digest, size)
    assert store.open(digest, size) is None
    assert store.open(digest) is None
    assert store.size(digest) is None
    assert open_verified(store, digest) is None
    put_bytes(store, b"a crash of the machine cuts this")
    assert store.size(digest) == 32


def test_foreign_files_in_the_cache_do_no_harm(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    digest = put_bytes(store, b"data")
    fan = tmp_path / "blobs" / digest.hex[:2]
    (fan / "README").write_text("hello")
    (fan / f"{digest.hex[2:]}.old").write_text("hello")
    (tmp_path / "blobs" / "zz").mkdir()
    (tmp_path / "blobs" / "zz" / "x-1").write_text("x")
    assert [blob for blob, _, _ in store.blobs()] == [digest]
    assert store.size(digest) == 4


def test_a_reader_is_a_real_file(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    stream = store.open(put_bytes(store, b"data"))
    assert stream is not None
    with stream:
        assert os.pread(stream.fileno(), 2, 1) == b"at"


def test_usage_counts_blobs_and_rows(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    put_bytes(store, b"four")
    put_bytes(store, b"sixsix")
    store.put("b", "one", b"v")
    store.put("a", "one", b"v")
    store.put("a", "two", b"v")
    usage = store.usage()
    assert (usage.blobs, usage.blob_bytes) == (2, 10)
    assert [(name, rows) for name, rows, _ in usage.tables] == [("a", 2), ("b", 1)]
    store.drop_table("a")
    assert store.get("a", "one") is None
    assert store.get("b", "one") == b"v"


def test_last_use_is_recorded_and_eviction_frees(tmp_path: Path) -> None:
    clock = ManualClock(4_000_000_000.0)
    store = DirectoryStore(tmp_path, clock=clock)
    old, used = put_bytes(store, b"old"), put_bytes(store, b"used")
    stream = store.open(used)
    assert stream is not None
    stream.close()
    times = {digest: time for digest, _, time in store.blobs()}
    assert times[used] == pytest.approx(4_000_000_000.0)
    assert times[old] < times[used]
    assert store.evict([old]) == 3
    assert store.size(old) is None
    assert store.size(used) == 4


def _die_while_writing(root: Path) -> None:
    with DirectoryStore(root).writer() as writer:
        writer.write(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_writer_leaves_only_a_file_that_can_be_swept(tmp_path: Path) -> None:
    process = PROCESSES.Process(target=_die_while_writing, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    store = DirectoryStore(tmp_path, clock=ManualClock(4_000_000_000.0))
    assert store.open(sha256(b"half of it")) is None
    with store.writer() as writer:
        writer.write(b"alive")
        assert store.remove_abandoned() == 1
        assert store.usage().unfinished == 1
        writer.commit()
    assert store.usage().unfinished == 0


def _write_past_the_limit(root: Path, results: multiprocessing.Queue[str]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    store = DirectoryStore(root)
    try:
        with store.writer() as writer:
            for _ in range(200):
                writer.write(b"x" * 1000)
            writer.commit()
    except EnvironmentFault as fault:
        results.put(f"{fault.reason} {fault.origin.source}")


def test_a_write_that_the_system_refuses_names_the_cache_and_leaves_nothing(tmp_path: Path) -> None:
    results: multiprocessing.Queue[str] = PROCESSES.Queue()
    process = PROCESSES.Process(target=_write_past_the_limit, args=(tmp_path, results))
    process.start()
    assert results.get(timeout=30) == f"file-too-large {tmp_path}"
    process.join(30)
    assert DirectoryStore(tmp_path).usage() == (0, 0, (), 0)


def _build_once(root: Path, built: multiprocessing.Queue[int], number: int) -> None:
    store = DirectoryStore(root)
    for thing in ("a", "b", "c"):
        with store.lock(thing):
            if store.get("results", thing) is None:
                digest = put_bytes(store, thing.encode() * 100_000)
                store.put("results", thing, digest.value)
                built.put(number)


def test_processes_build_each_thing_once_and_read_it_whole(tmp_path: Path) -> None:
    built: multiprocessing.Queue[int] = PROCESSES.Queue()
    processes = [PROCESSES.Process(target=_build_once, args=(tmp_path, built, number)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6
    assert [built.get(timeout=10) for _ in range(3)]
    assert built.empty()
    store = DirectoryStore(tmp_path)
    for thing in ("a", "b", "c"):
        value = store.get("results", thing)
        assert value is not None
        stream = open_verified(store, Digest.sha256(value))
        assert stream is not None
        stream.close()
    assert list((tmp_path / "locks").iterdir()) == []


def _write_same_blob(root: Path, number: int) -> None:
    store = DirectoryStore(root)
    for step in range(20):
        put_bytes(store, b"shared %d" % step)
        store.put("table", "key", b"%d" % number * 50)
        assert store.get("table", "key") is not None


def test_processes_that_write_the_same_blobs_and_rows_do_not_disturb_each_other(tmp_path: Path) -> None:
    processes = [PROCESSES.Process(target=_write_same_blob, args=(tmp_path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    store = DirectoryStore(tmp_path)
    assert store.usage().blobs == 20
    assert store.usage().unfinished == 0


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands here")
    with pytest.raises(Exception) as caught:
        put_bytes(DirectoryStore(tmp_path / "cache"), b"data")
    assert getattr(caught.value, "reason", "") in {"not-a-directory", "output-exists"}
