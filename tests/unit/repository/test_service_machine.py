"""Publishers, withdrawers, the collector, restarts and readers in any order, against a model of a few lines."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.crash_faults import FAULTS, Fault, Fuse, FusedBlobs, FusedLedgers
from tests.sample_packages import SamplePackage, sample_package
from tests.service_workshop import ALICE, created, fetch, key_change, manifest_of, names, places, publish, selection, started

from tests.service_workshop import NEW, OLD  # isort: skip

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.version import sort_key
from apkiln.repository.collecting import collect
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.state import Status, Step
from apkiln.repository.reconciling import compare
from apkiln.system.memory_files import Crash

POLICY = Policy(sign_packages=False, two_persons=False, full_days=3, daily_days=5)
names_of = st.sampled_from(["a", "b", "c"])
versions = st.sampled_from(["1-r0", "2-r0", "3-r0", "4-r0", "5-r0"])


class Model:
    """What is live, withdrawn and bound, and what each generation lists."""

    def __init__(self) -> None:
        self.live: set[tuple[str, str]] = set()
        self.withdrawn: set[tuple[str, str]] = set()
        self.aside: set[tuple[str, str]] = set()
        self.bound: dict[tuple[str, str], bytes] = {}
        self.collected: set[tuple[str, str]] = set()
        self.generations: list[list[str]] = [[]]

    def listing(self) -> list[str]:
        found = []
        for name in sorted({name for name, _ in self.live}):
            mine = sorted((version for other, version in self.live if other == name), key=sort_key)
            found += [f"{name}-{version}" for version in mine[-3:]]
        return found

    def commit(self) -> None:
        self.generations.append(self.listing())

    def publish(self, name: str, version: str, data: bytes) -> None:
        self.bound[name, version] = data
        self.live.add((name, version))
        self.aside.discard((name, version))
        self.commit()

    def may_publish(self, name: str, version: str, data: bytes) -> bool:
        known = self.bound.get((name, version))
        if known is not None:
            return known == data and (name, version) in (self.live | self.aside) - self.collected
        newer = [other for mine, other in self.live if mine == name and sort_key(other) > sort_key(version)]
        return not newer


class ServiceMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.where = places()
        self.service = created(self.where, POLICY)
        self.other = started(self.where, POLICY)
        self.model = Model()
        self.keys = [OLD.name]

    def package(self, name: str, version: str, other: bool = False) -> SamplePackage:
        return sample_package(name, version, files={"usr/other": b"x"} if other else None)

    @rule(name=names_of, version=versions, other=st.booleans())
    def publish(self, name: str, version: str, other: bool) -> None:
        package = self.package(name, version, other)
        allowed = self.model.may_publish(name, version, package.data)
        done = publish(self.service, package)
        assert (done.step is Step.LIVE) is allowed, (done, self.model.__dict__)
        if allowed:
            self.model.publish(name, version, package.data)

    @rule(name=names_of, version=versions, at=st.integers(0, 12), fault=st.sampled_from(FAULTS))
    def die_while_publishing(self, name: str, version: str, at: int, fault: Fault) -> None:
        """At any write; the next process recovers, the publisher asks again with its key, and has one answer."""
        package, fuse = self.package(name, version), Fuse(at, fault)
        key, allowed = f"k{self.service.state.head.number}", self.model.may_publish(name, version, package.data)
        blobs, ledgers = FusedBlobs(self.where.blobs, fuse), FusedLedgers(self.where.ledgers, fuse)
        with suppress(ApkilnError, Crash):
            publish(started(self.where._replace(blobs=blobs, ledgers=ledgers), POLICY), package, key=key)
        self.restart()
        done = publish(self.service, package, key=key)
        assert (done.step is Step.LIVE) is allowed
        if allowed:
            self.model.publish(name, version, package.data)

    @rule(name=names_of)
    def give_up(self, name: str) -> None:
        """Opened, and aborted or forgotten: nothing of it is seen."""
        opened = self.service.open(ALICE, manifest_of(self.package(name, "9-r0")))
        if name == "a":
            self.service.abort(ALICE, opened.number)

    @rule()
    def another_process_goes_on(self) -> None:
        """Two run at once; each takes in what the other did."""
        self.service, self.other = self.other, self.service
        self.service.refresh()

    @rule(back=st.integers(0, 6))
    def read_an_old_generation(self, back: int) -> None:
        """Frozen: what it listed then, or told as collected (I5, I11)."""
        number = max(1, len(self.model.generations) - back)
        try:
            data = fetch(self.service, f"@{number}/x86_64/APKINDEX.tar.gz")
        except ApkilnError as error:
            assert error.reason == "not-found" and self.service.state.generations[number].document in self.service.state.removed
            return
        records = parse_index_text(read_index(data).text).records
        assert sorted(record.name_version for record in records) == sorted(self.model.generations[number - 1])

    @rule(name=names_of, version=versions)
    def withdraw(self, name: str, version: str) -> None:
        manifest = Manifest(withdraw=(selection(self.package(name, version)),))
        if (name, version) not in self.model.bound or (name, version) in self.model.collected - self.model.withdrawn:
            self.refused(manifest)
            return
        assert self.service.run(ALICE, manifest).step is Step.LIVE
        self.model.live.discard((name, version))
        self.model.aside.discard((name, version))
        self.model.withdrawn.add((name, version))
        self.model.commit()

    @rule(name=names_of, version=versions)
    def restore(self, name: str, version: str) -> None:
        manifest = Manifest(restore=(selection(self.package(name, version)),))
        place = (name, version)
        if place not in self.model.withdrawn | self.model.live:
            self.refused(manifest)
            return
        assert self.service.run(ALICE, manifest).step is Step.LIVE
        if place in self.model.withdrawn:
            self.model.withdrawn.discard(place)
            self.model.live.add(place)
        self.model.commit()

    def refused(self, manifest: Manifest) -> None:
        try:
            self.service.run(ALICE, manifest)
        except ApkilnError as error:
            assert error.reason in ("unknown-build", "wrong-status")
            return
        raise AssertionError("a wish for what is not there was taken")

    @rule(back=st.integers(1, 5))
    def roll_back(self, back: int) -> None:
        target = max(1, len(self.model.generations) - back)
        assert self.service.run(ALICE, Manifest(rollback=target)).step is Step.LIVE
        wanted = {self.split(item) for item in self.model.generations[target - 1]} - self.model.withdrawn - self.model.collected
        self.model.aside = (self.model.aside | self.model.live) - wanted
        self.model.live = wanted
        self.model.commit()

    @staticmethod
    def split(item: str) -> tuple[str, str]:
        name, _, version = item.partition("-")
        return name, version

    @rule()
    def rotate(self) -> None:
        signer, other = (NEW, OLD) if self.keys == [OLD.name] else (OLD, NEW)
        changes = (key_change(signer, "active"), key_change(other, "retired"))
        assert self.service.run(ALICE, Manifest(keys=changes)).step is Step.LIVE
        self.keys = [signer.name]
        self.model.commit()

    @rule()
    def restart(self) -> None:
        self.service = started(self.where, POLICY)
        assert self.service.recover() == ()

    @rule(days=st.sampled_from([1, 4, 9]))
    def time_passes_and_garbage_is_collected(self, days: int) -> None:
        self.where.clock.advance(days * 86_400)
        listed = {self.split(item) for item in self.model.listing()}
        collect(self.service, ALICE, large=True)
        accepted = self.service.state.accepted
        gone = {(key.name, key.version) for key, item in accepted.items() if item.status is Status.COLLECTED}
        assert gone.isdisjoint(listed | self.model.withdrawn), "what is listed or can be restored stays"
        self.model.collected |= gone
        self.model.live -= gone
        self.model.aside -= gone

    @invariant()
    def generations_are_in_one_order(self) -> None:
        numbers = [item.number for item in self.service.state.generations.values()]
        assert numbers == list(range(1, len(self.model.generations) + 1))

    @invariant()
    def clients_see_what_the_model_says(self) -> None:
        assert names(self.service) == sorted(self.model.listing(), key=lambda item: (item[0], sort_key(item[2:])))
        assert self.service.state.current == len(self.model.generations)

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert [item for item in compare(self.service) if item.kind != "orphan"] == []


TestServiceMachine = ServiceMachine.TestCase
TestServiceMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
