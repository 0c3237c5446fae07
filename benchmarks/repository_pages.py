"""Server time of pages over a large repository: `python -m benchmarks.repository_pages [PACKAGES]` (issue: p95 within 100 ms).

Each request goes through the whole application without a socket.  Kinds of pages take turns; between rounds something is
published, so that what pages keep must follow.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.repository_service import BATCH, POLICY, synthetic
from tests.page_visitor import Visitor
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, Places, created, places, publish, started

from apkiln.repository.ledger.actions import ArchIndex, Indexed, Live, Manifest, Opened, Uploaded, Verified
from apkiln.repository.service import RepositoryService

ROUNDS = 40


def fill(where: Places, count: int) -> None:
    """Accepted and listed packages; rows alone, as pages read nothing else, without the gate's look at each of them."""
    service = created(where, POLICY)
    for start in range(0, count, BATCH):
        packages = tuple(synthetic(number)[0] for number in range(start, min(count, start + BATCH)))
        number = service.append(ALICE, lambda state: (Opened(Manifest(pending_allowed=True)),))[0].number
        service.append(ALICE, lambda state, number=number: (Uploaded(number),))  # type: ignore[misc]
        service.append(ALICE, lambda state, number=number, packages=packages: (Verified(number, packages),))  # type: ignore[misc]
        indexed = made_up(service, number, start + len(packages))
        service.append(ALICE, lambda state, indexed=indexed: (indexed, Live(indexed.generation, indexed.document)))  # type: ignore[misc]


def made_up(service: RepositoryService, transaction: int, packages: int) -> Indexed:
    """The row of a generation whose files are nowhere."""
    current, digest = service.state.current, f"{transaction:064x}"
    keys = service.state.signing_keys()
    arches = (ArchIndex("x86_64", digest, packages * 100, packages),)
    return Indexed(
        current + 1, current, (transaction,), arches, digest, digest, digest, 1_700_000_000, 1_800_000_000, keys, "made up"
    )


def addresses(count: int, version: str, chance: random.Random, generation: int, transaction: int) -> Iterator[tuple[str, str]]:
    """(kind, address) of one round."""
    number = chance.randrange(count)
    name = f"package-{number:06d}"
    own = f"1.{number % 40}.{number % 7}-r{number % 3}"
    low = chance.randrange(50)
    library = f"/os/-/packages/package-{low:06d}/1.{low % 40}.{low % 7}-r{low % 3}/x86_64"
    yield "repositories", "/"
    yield "overview", "/os/"
    yield "packages, a page", f"/os/-/packages?page={chance.randrange(1, count // 50)}"
    yield "search, a name", f"/os/-/packages?q={name}"
    yield "search, a library", f"/os/-/packages?q=so%3Alib{number}.so.1"
    yield "search, two words", f"/os/-/packages?q=number+{number // 10}"
    yield "search, in everything", f"/os/-/packages?q={chance.choice(['e', 'm', 'ac', 'for', 'number', 'me'])}&page=7"
    yield "package", f"/os/-/packages/{name}"
    yield "version", f"/os/-/packages/{name}/{own}/x86_64"
    yield "version, many dependents", library
    yield "files", f"/os/-/packages/new-0/{version}/x86_64/files"
    yield "generations", "/os/-/generations"
    yield "generation", f"/os/-/generations/{generation}"
    yield "generation of the filling", f"/os/-/generations/{chance.randrange(2, 2 + -(-count // BATCH))}"
    yield "difference, last ten", f"/os/-/differences?from={max(1, generation - 10)}&to={generation}"
    yield "difference, everything", f"/os/-/differences?from=0&to={generation}"
    yield "transactions", "/os/-/transactions"
    yield "transaction", f"/os/-/transactions/{transaction}"
    yield "incidents", "/os/-/incidents"
    yield "withdrawn", "/os/-/withdrawn"
    yield "keys", "/os/-/keys"


def measured(visitor: Visitor, address: str) -> tuple[float, float]:
    """Milliseconds of one request in a loop that runs already: on the clock, and of the processor."""

    async def once() -> tuple[float, float]:
        begin, used = time.perf_counter(), time.process_time()
        answer = await visitor.ask(address, "GET", {})
        spent = time.perf_counter() - begin, time.process_time() - used
        assert answer.status == 200, (address, answer.status)
        return spent[0] * 1000, spent[1] * 1000

    return asyncio.run(once())


def main(count: int) -> None:
    """A line for each kind, then all of them together."""
    where: Places = places()
    fill(where, count)
    service = started(where, POLICY)
    visitor = Visitor(service)
    before = resident()
    begin = time.perf_counter()
    visitor.application.site.warm()
    print(f"{count} packages; read models from nothing {time.perf_counter() - begin:.2f} s, {resident() - before} MB")
    gc.collect()
    gc.freeze()  # as the server does
    chance, taken, following = random.Random(7), {}, []  # type: ignore[var-annotated]
    for turn in range(ROUNDS):
        done = publish(service, *(sample_package(f"new-{part}", f"{turn + 1}-r0", origin="new") for part in range(5)))
        begin = time.perf_counter()
        visitor.application.site.warm()
        following.append((time.perf_counter() - begin) * 1000)
        for kind, address in addresses(count, f"{turn + 1}-r0", chance, done.generation, done.number):
            taken.setdefault(kind, []).append(measured(visitor, address))
    print(f"following a publication of five packages, p50 {statistics.median(following):.1f} ms")
    print(f"{'ms (clock, then processor)':28} {'p50':>8} {'p95':>8} {'most':>8}   {'p50':>8} {'p95':>8} {'most':>8}")
    for kind, times in taken.items():
        print(row(kind, times))
    print(row("all", [item for times in taken.values() for item in times]))


def row(kind: str, times: list[tuple[float, float]]) -> str:
    """Both figures of a kind."""
    columns = []
    for figures in zip(*times, strict=True):
        ordered = sorted(figures)
        columns.append(f"{statistics.median(ordered):8.1f} {ordered[int(len(ordered) * 0.95)]:8.1f} {ordered[-1]:8.1f}")
    return f"{kind:28} {'   '.join(columns)}"


def resident() -> int:
    """Megabytes of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1000
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
