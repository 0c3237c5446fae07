"""Every write of the repository service, stopped once (spec repository.md §12.2, §12.3).

    python -m tests.crash_points [memory] [disk] [s3] [seaweedfs]

A client script runs against a service whose stores count their writes.  At write i the process dies, before it or after it
but before anybody hears of it; or the write fails with an error of the disk, or succeeds and its answer is lost.  A new
process starts on what is left (the same one goes on where it did not die), recovers, the client repeats its script, and the
invariants I1-I5, I8, I12, I13 are looked at: at once after the restart, and at the end.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.crash_back_ends import BackEnd, Fresh, InBucket, InMemory, OnDisk, close
from tests.crash_faults import FAULTS, Fault, Fuse
from tests.object_servers import moto, seaweedfs
from tests.sample_packages import sample_package
from tests.service_workshop import (
    ALICE,
    BOB,
    NEW,
    OLD,
    Places,
    build_of,
    created,
    key_change,
    listed,
    publish,
    selection,
    started,
)

from apkiln.core.errors import ApkilnError
from apkiln.repository.collecting import collect
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.actions import Manifest, Named
from apkiln.repository.ledger.rows import decode, verified
from apkiln.repository.ledger.state import RepositoryState, Status, Step
from apkiln.repository.reconciling import compare
from apkiln.repository.service import RepositoryService
from apkiln.repository.transactions import is_approved, needs_approval
from apkiln.system.memory_files import Crash

POLICY = Policy(full_days=1, daily_days=2)
ARCHES = ("x86_64", "aarch64")


class Scenario(NamedTuple):
    """A client's script; it may be repeated from its beginning."""

    name: str
    prepare: Callable[[RepositoryService], object]
    script: Callable[[RepositoryService], object]
    outcomes: tuple[frozenset[str], ...]
    """Listings (`arch/name-version`) that may be seen, in this order; the last one at the end."""
    withdrawn: frozenset[str] = frozenset()
    """Names that no index may list at the end."""


LIB = {arch: sample_package("lib", "1-r0", arch, provides=["so:lib.so.1=1"]) for arch in ARCHES}
APP = {arch: sample_package("app", "1-r0", arch, depends=["so:lib.so.1"]) for arch in ARCHES}
TOOL = {arch: sample_package("tool", "1-r0", arch) for arch in ARCHES}
ALL = (*LIB.values(), *APP.values())


def _names(*groups: dict[str, object]) -> frozenset[str]:
    found = set()
    for group in groups:
        for arch, package in group.items():
            found.add(f"{arch}/{package.record.name_version}")  # type: ignore[attr-defined]
    return frozenset(found)


def _publish_all(service: RepositoryService) -> None:
    builds = (build_of(LIB["x86_64"], arches=ARCHES), build_of(APP["x86_64"], arches=ARCHES))
    publish(service, *ALL, key="publish", builds=builds)


def _publish_tool(service: RepositoryService) -> None:
    publish(service, *TOOL.values(), key="tool")


def _withdraw_tool(service: RepositoryService) -> None:
    service.run(ALICE, Manifest(withdraw=(selection(TOOL["x86_64"]),)), "withdraw")


def _restore_tool(service: RepositoryService) -> None:
    opened = service.run(ALICE, Manifest(restore=(selection(TOOL["x86_64"]),)), "restore")
    service.approve(BOB, opened.number)


def _rotate(service: RepositoryService) -> None:
    steps = ((NEW, "staged"), (NEW, "active"), (OLD, "retiring"), (OLD, "retired"), (OLD, "revoked"))
    for number, (signer, state) in enumerate(steps):
        opened = service.run(ALICE, Manifest(keys=(key_change(signer, state),)), f"rotate {number}")
        service.approve(BOB, opened.number)


def _age(service: RepositoryService) -> None:
    _publish_all(service)
    for version in range(2, 6):
        publish(service, sample_package("tool", f"{version}-r0"), key=f"tool {version}")
    service.equipment.clock.sleep(40 * 86_400)
    publish(service, sample_package("new"), key="new")


def _collect(service: RepositoryService) -> None:
    collect(service, ALICE, large=True)
    if not service.state.removed:
        service.equipment.clock.sleep(8 * 86_400)
    collect(service, ALICE, large=True)


def _renew(service: RepositoryService) -> None:
    """A later expiry, and a name for the generation."""

    def name(state: RepositoryState) -> tuple[Named, ...]:
        return () if "release" in state.views else (Named("release", 2),)

    service.renew(2 * service.policy.lifetime)
    service.append(ALICE, name)


NONE: frozenset[str] = frozenset()
BOTH = _names(LIB, APP)  # type: ignore[arg-type]
WITH_TOOL = BOTH | _names(TOOL)  # type: ignore[arg-type]
AGED = BOTH | {f"x86_64/{name}" for name in ("tool-3-r0", "tool-4-r0", "tool-5-r0", "new-1.0-r0")}


def _steps(*calls: Callable[[RepositoryService], object]) -> Callable[[RepositoryService], object]:
    return lambda service: [call(service) for call in calls]


def _nothing(_: RepositoryService) -> None:
    pass


SCENARIOS = (
    Scenario("publish", _nothing, _publish_all, (NONE, BOTH)),
    Scenario("withdraw", _steps(_publish_all, _publish_tool), _withdraw_tool, (WITH_TOOL, BOTH), _names(TOOL)),  # type: ignore[arg-type]
    Scenario("restore", _steps(_publish_all, _publish_tool, _withdraw_tool), _restore_tool, (BOTH, WITH_TOOL)),
    Scenario("rotate", _publish_all, _rotate, (BOTH,)),
    Scenario(
        "roll back",
        _steps(_publish_all, _publish_tool),
        lambda service: service.run(ALICE, Manifest(rollback=2), "back"),
        (WITH_TOOL, BOTH),
    ),
    Scenario("collect", _age, _collect, (AGED,)),
    Scenario("renew", _publish_all, _renew, (BOTH,)),
)


class Report(NamedTuple):
    """What an enumeration found."""

    points: Counter[tuple[str, str]]
    """By scenario and fault."""
    violations: tuple[str, ...]


Make = Callable[[Places], RepositoryService]


def start(where: Places) -> RepositoryService:
    return started(where, POLICY)


def enumerate_points(
    back_end: BackEnd, scenarios: Iterable[Scenario] = SCENARIOS, faults: Iterable[Fault] = FAULTS, make: Make = start
) -> Report:
    """Stop every write of every scenario once, by every fault."""
    points: Counter[tuple[str, str]] = Counter()
    violations: list[str] = []
    for scenario in scenarios:
        where = back_end.empty()
        service = created(where, POLICY, ARCHES)
        scenario.prepare(service)
        fresh = back_end.save(where)
        total = _count(fresh, scenario, make)
        for fault in faults:
            for at in range(total):
                points[scenario.name, fault.name] += 1
                place = f"{scenario.name}, write {at} of {total}, {fault.name}"
                violations += [f"{place}: {what}" for what in _stopped(back_end, fresh, scenario, Fuse(at, fault), make)]
    return Report(points, tuple(violations))


def _count(fresh: Fresh, scenario: Scenario, make: Make) -> int:
    fuse = Fuse()
    where = fresh(fuse)
    service = make(where)
    scenario.script(service)
    seen = _listing(service)
    assert seen == scenario.outcomes[-1], f"{scenario.name} does not end as it should: {seen}"
    close(where)
    return fuse.count


def _stopped(back_end: BackEnd, fresh: Fresh, scenario: Scenario, fuse: Fuse, make: Make) -> Iterator[str]:
    where = fresh(fuse)
    service = make(where)
    try:
        with suppress(ApkilnError, Crash):
            scenario.script(service)
        if fuse.dead:
            where = back_end.reopened(where)
            service = make(where)
            yield from _looked_at(service, scenario, scenario.outcomes)
        service.recover()
        yield from _looked_at(service, scenario, scenario.outcomes)
        yield from _stuck(service)
        scenario.script(service)
        yield from _looked_at(service, scenario, scenario.outcomes[-1:])
        yield from _ended(where, service, scenario)
    except (ApkilnError, AssertionError) as error:
        yield f"{type(error).__name__}: {error}"
    finally:
        close(where)


def _stuck(service: RepositoryService) -> Iterator[str]:
    """Recovery leaves nothing to a human, except what waits for a second person."""
    for number in service.state.unfinished:
        transaction = service.state.transactions[number]
        waits = needs_approval(transaction.manifest) and not is_approved(transaction) and transaction.step is Step.VERIFIED
        if transaction.step is not Step.OPEN and not waits:
            yield f"I2: transaction {number} stays {transaction.step.value} after recovery"


def _listing(service: RepositoryService) -> frozenset[str]:
    """What a strict client sees: it fetches and verifies everything that is listed (I1, I6)."""
    return frozenset(f"{arch}/{record.name_version}" for arch in ARCHES for record in listed(service, arch))


def _looked_at(service: RepositoryService, scenario: Scenario, allowed: Sequence[frozenset[str]]) -> Iterator[str]:
    seen = _listing(service)
    if seen not in allowed:
        yield f"I4: the index lists {sorted(seen)}"
    numbers = sorted(service.state.generations)
    if numbers != list(range(1, service.state.current + 1)):
        yield f"I5: generations are {numbers}, current is {service.state.current}"


def _ended(where: Places, service: RepositoryService, scenario: Scenario) -> Iterator[str]:
    state = service.state
    unfinished = [number for number in state.unfinished if state.transactions[number].step is not Step.OPEN]
    if unfinished:
        yield f"I2: transactions {unfinished} did not end"
    for transaction in state.transactions.values():
        for package in transaction.packages:
            if transaction.step is Step.LIVE and package.key not in state.accepted:
                yield f"I2: {package.key} is live in a transaction and in no state"
    keys = Counter(item.idempotency_key for item in state.transactions.values() if item.idempotency_key)
    doubled = [key for key, count in keys.items() if count > 1]
    if doubled:
        yield f"a retry opened another transaction: {doubled}"
    withdrawn = {f"{key.arch}/{key.name_version}" for key, item in state.accepted.items() if item.status is Status.WITHDRAWN}
    if withdrawn != scenario.withdrawn and scenario.withdrawn:
        yield f"I8: withdrawn is {sorted(withdrawn)}"
    verified((decode(row.text) for row in where.ledgers.rows("os")), "os")
    for item in compare(service, deep=True):
        if item.kind != "orphan":
            yield f"{item.kind}: {item.subject} {item.detail}"
    again = start(where)
    if (again.state.accepted, again.state.head) != (state.accepted, state.head):
        yield "I12: a process that starts now has another state"


def _reports(wanted: Collection[str]) -> Iterator[tuple[str, Report]]:
    if "memory" in wanted:
        yield InMemory.name, enumerate_points(InMemory())
    if "disk" in wanted:
        with tempfile.TemporaryDirectory() as directory:
            yield OnDisk.name, enumerate_points(OnDisk(Path(directory)))
    if "s3" in wanted:
        with moto() as endpoint:
            yield InBucket.name, enumerate_points(InBucket(endpoint))
    if "seaweedfs" in wanted:
        with tempfile.TemporaryDirectory() as directory, seaweedfs(Path(directory)) as endpoint:
            yield "SeaweedFS", enumerate_points(InBucket(endpoint))


BACK_ENDS = ("memory", "disk", "s3")


def main(wanted: Sequence[str]) -> int:
    """The named back ends, or all; the line that CI looks for comes last."""
    total = 0
    violations: list[str] = []
    for name, report in _reports(wanted or BACK_ENDS):
        for (scenario, fault), count in report.points.items():
            sys.stdout.write(f"{name:22}{scenario:12}{fault:22}{count:5}\n")
        sys.stdout.flush()
        violations += report.violations
        total += sum(report.points.values())
    for violation in violations[:20]:
        sys.stdout.write(f"{violation}\n")
    sys.stdout.write(f"{total} points, {len(violations)} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
