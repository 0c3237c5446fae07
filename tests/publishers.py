"""Many publishers at once: `python -m tests.publishers --count 10000` (spec repository.md §12.4, I2-I5, I12).

Publishers are threads of several processes on one SQLite ledger and one directory of blobs.  Each transaction is retried
at random with its idempotency key, as if its answer had been lost, and in between builds are withdrawn.  Afterwards every
transaction is live exactly once, generations are a total order, and the index is the one made anew from the ledger.  All
the while readers fetch what is listed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.sample_packages import SamplePackage, sample_package
from tests.service_workshop import ALICE, OLD, Places, listed, manifest_of, selection, started, upload

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.version import sort_key
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.actions import KeyChange, Manifest
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import RepositoryState, Status, Step
from apkiln.repository.reconciling import compare
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store_directory import DirectoryBlobs
from apkiln.system.clock import ManualClock
from apkiln.system.database import open_ledgers
from apkiln.system.files import DiskFiles
from apkiln.system.signer import RsaSigner, signer_from_pem

POLICY = Policy(sign_packages=False)
VERSIONS = 5
"""Of each name; a publisher brings them in order."""
WITHDRAWN_EACH = 50


class Task(NamedTuple):
    """One run."""

    directory: Path
    total: int
    publishers: int
    processes: int
    durable: bool


def package_of(number: int) -> SamplePackage:
    """Transaction `number` publishes this."""
    return sample_package(f"p{number // VERSIONS}", f"{number % VERSIONS + 1}-r0", files={"usr/p": b"%d" % number})


def is_withdrawn(number: int) -> bool:
    """Whether its publisher withdraws it afterwards."""
    return number % WITHDRAWN_EACH == 0


@contextmanager
def opened(task: Task) -> Iterator[RepositoryService]:
    """A process on the shared places."""
    ledgers = open_ledgers(f"sqlite:///{task.directory}/ledger.db")
    blobs = DirectoryBlobs(task.directory / "blobs", DiskFiles(durable=task.durable))
    key = signer_from_pem((task.directory / "key").read_bytes(), OLD.name, "key")
    try:
        yield started(Places(ledgers, blobs, ManualClock(time.time())), POLICY, [key])
    finally:
        ledgers.close()


def publish_share(task: Task, process: int) -> list[str]:
    """What the publishers of one process do; complaints."""
    complaints = list[str]()
    mine = [number for number in range(task.publishers) if number % task.processes == process]
    with opened(task) as service:
        threads = [threading.Thread(target=publish_all, args=(service, task, publisher, complaints)) for publisher in mine]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return complaints


def publish_all(service: RepositoryService, task: Task, publisher: int, complaints: list[str]) -> None:
    """One publisher: its names, in the order of their versions."""
    luck = random.Random(publisher)
    for name in range(publisher, task.total // VERSIONS, task.publishers):
        for number in range(name * VERSIONS, (name + 1) * VERSIONS):
            try:
                publish_one(service, number, luck)
            except (ApkilnError, AssertionError) as error:
                complaints.append(f"transaction {number}: {error}")


def publish_one(service: RepositoryService, number: int, luck: random.Random) -> None:
    """Until there is a receipt, and sometimes once more."""
    package, author = package_of(number), Author(f"publisher {number % 64}", f"build {number}")
    receipts = set()
    for _ in range(1 + (luck.random() < 0.1)):
        transaction = service.open(author, manifest_of(package), f"publish {number}")
        if transaction.step is Step.OPEN:
            upload(service, transaction, [package])
            transaction = service.commit(author, transaction.number)
        assert transaction.step is Step.LIVE, transaction
        receipts.add((transaction.number, transaction.generation))
    assert len(receipts) == 1, f"a retry got another receipt: {receipts}"
    if is_withdrawn(number):
        done = service.run(author, Manifest(withdraw=(selection(package),)), f"withdraw {number}")
        assert done.step is Step.LIVE, done


def read_all_the_time(task: Task, stop: threading.Event, complaints: list[str]) -> int:
    """A reader that fetches and verifies everything listed; how often it did."""
    rounds = last = 0
    with opened(task) as service:
        while not stop.wait(0.2):
            current = service.refresh().current
            if current < last:
                complaints.append(f"generation {current} after {last}")
            last, rounds = current, rounds + 1
            try:
                listed(service)
            except ApkilnError as error:
                if error.reason != "not-found":  # withdrawn between the index and the package
                    complaints.append(f"reader: {error}")
    return rounds


def faults_of(task: Task) -> Iterator[str]:
    """What is wrong with the result."""
    with opened(task) as service:
        state = service.refresh()
        yield from _transactions(task, state)
        yield from _order(state)
        for difference in compare(service, deep=task.total <= 1000):
            if difference.kind != "orphan":
                yield f"{difference.kind}: {difference.subject} {difference.detail}"
        seen = {(record.name, record.version) for record in listed(service)}
    if seen != expected(task):
        yield f"listed wrongly: {sorted(seen ^ expected(task))[:5]}"


def expected(task: Task) -> set[tuple[str, str]]:
    """The newest three of each name, but for those withdrawn."""
    found: dict[str, list[str]] = {}
    for number in range(task.total // VERSIONS * VERSIONS):
        if not is_withdrawn(number):
            record = package_of_name(number)
            found.setdefault(record[0], []).append(record[1])
    return {(name, version) for name, versions in found.items() for version in sorted(versions, key=sort_key)[-3:]}


def package_of_name(number: int) -> tuple[str, str]:
    """(name, version) without making the package."""
    return f"p{number // VERSIONS}", f"{number % VERSIONS + 1}-r0"


def _transactions(task: Task, state: RepositoryState) -> Iterator[str]:
    wanted = {f"publish {number}" for number in range(task.total // VERSIONS * VERSIONS)}
    live = Counter(item.idempotency_key for item in state.transactions.values() if item.step is Step.LIVE)
    for key in sorted(wanted - live.keys()):
        yield f"lost: {key}"
    for key, count in live.items():
        if key and count > 1:
            yield f"doubled: {key}"
    for transaction in state.transactions.values():
        if transaction.step is not Step.LIVE:
            yield f"transaction {transaction.number} is {transaction.step.value}"
    withdrawn = sum(1 for item in state.accepted.values() if item.status is Status.WITHDRAWN)
    if withdrawn != sum(map(is_withdrawn, range(len(wanted)))):
        yield f"{withdrawn} are withdrawn"


def _order(state: RepositoryState) -> Iterator[str]:
    """Generations are 1…n, each on the one before; every transaction is in exactly one of them."""
    if sorted(state.generations) != list(range(1, state.current + 1)):
        yield "generations have gaps"
    named = Counter(number for item in state.generations.values() for number in item.indexed.transactions)
    doubled = [number for number, count in named.items() if count > 1]
    if doubled or set(named) != set(state.transactions):
        yield f"transactions in two generations or none: {doubled[:5]}"
    times = [state.generations[number].live_at for number in sorted(state.generations)]
    if times != sorted(times):
        yield "the time of generations goes back"


def run(task: Task) -> list[str]:
    """Prepare, let everybody publish, look; complaints."""
    from apkiln.system.signer import generate_key_pair

    pair = generate_key_pair(OLD.name, 2048)
    (task.directory / "key").write_bytes(pair.private_key)
    begin_repository(task, pair.signer)
    stop, complaints = threading.Event(), list[str]()
    reader = threading.Thread(target=read_all_the_time, args=(task, stop, complaints))
    reader.start()
    begun = time.perf_counter()
    try:
        if task.processes == 1:
            complaints += publish_share(task, 0)
        else:
            complaints += share_out(task)
    finally:
        stop.set()
        reader.join()
    spent = time.perf_counter() - begun
    with opened(task) as service:
        state = service.state
    batches = [len(item.indexed.transactions) for item in state.generations.values()]
    sys.stdout.write(f"{len(state.transactions)} transactions in {state.current} generations, {max(batches)} in the largest\n")
    sys.stdout.write(f"{spent:.1f} s, {task.total / spent:.0f} publications a second\n")
    return complaints + list(faults_of(task))


def begin_repository(task: Task, signer: RsaSigner) -> None:
    """Empty, with its key."""
    with opened(task) as service:
        service.create(ALICE, ["x86_64"], [KeyChange(signer.name, "active", signer.public_key().decode())])


def share_out(task: Task) -> list[str]:
    """Each process publishes its share; what it complains of is on its standard output."""
    words = [sys.executable, "-m", "tests.publishers", "--count", str(task.total), "--publishers", str(task.publishers)]
    words += ["--processes", str(task.processes), "--directory", str(task.directory)]
    words += [] if task.durable else ["--fast"]
    running = [
        subprocess.Popen([*words, "--process", str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(task.processes)
    ]
    outputs = [process.communicate()[0] for process in running]
    failed = [f"a process ended with {process.returncode}" for process in running if process.returncode]
    return failed + [line for output in outputs for line in output.splitlines()]


def main() -> int:
    """The line that CI looks for comes last."""
    parser = argparse.ArgumentParser(description="many publishers at once")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--publishers", type=int, default=64)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--fast", action="store_true", help="do not force blobs to the disk")
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.process is not None:
        task = Task(given.directory, given.count, given.publishers, given.processes, not given.fast)
        for complaint in publish_share(task, given.process):
            sys.stdout.write(complaint + "\n")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        complaints = run(Task(Path(directory), given.count, given.publishers, given.processes, not given.fast))
    for complaint in complaints[:20]:
        sys.stdout.write(complaint + "\n")
    sys.stdout.write(f"{given.count} transactions by {given.publishers} publishers, {len(complaints)} violations\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
