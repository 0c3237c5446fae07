"""The fifteen recorded failures of published repositories (spec repository.md §1.2), each made impossible, by name."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests.sample_packages import SamplePackage, sample_index, sample_package, sample_signer
from tests.service_workshop import (
    ALICE,
    BOB,
    OLD,
    build_of,
    created,
    fetch,
    hex_of,
    key_change,
    listed,
    manifest_of,
    names,
    places,
    publish,
    selection,
    started,
    upload,
)

from apkiln.core.errors import VerificationError
from apkiln.core.value import replace as replaced
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package import read_package
from apkiln.repository.browsing.differences import difference
from apkiln.repository.browsing.inventory import Inventory
from apkiln.repository.collecting import collect
from apkiln.repository.direct import DirectPath
from apkiln.repository.equipment import Policy
from apkiln.repository.gate import World
from apkiln.repository.ledger.actions import Indexed, Live, Manifest, Verified
from apkiln.repository.ledger.packages import package_of
from apkiln.repository.ledger.rows import Author, Head, chained, decode, encode
from apkiln.repository.ledger.state import Status, Step
from apkiln.repository.promotion import Promotion
from apkiln.repository.reconciling import STUCK, compare
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import MemoryBlobs
from apkiln.system.ledger_store import Claim, MemoryLedgers, StoredRow
from apkiln.system.transfer import NO_VALIDATORS, Fetched, Validators, Write

ARCHES = ("x86_64", "aarch64")


def both(name: str, version: str = "1.0-r0", **fields: list[str]) -> dict[str, SamplePackage]:
    return {arch: sample_package(name, version, arch, **fields) for arch in ARCHES}  # type: ignore[arg-type]


def codes(service: RepositoryService, number: int) -> list[str]:
    return [finding.code for finding in service.state.transactions[number].findings]


def blobs_without_a_state(service: RepositoryService) -> list[str]:
    """I2: accepted, and neither listed, retained, withdrawn nor refused."""
    known = {item.package.digest for item in service.state.accepted.values()}
    return [
        package.digest
        for transaction in service.state.transactions.values()
        if transaction.step is Step.LIVE
        for package in transaction.packages
        if package.digest not in known
    ]


def test_f01_one_architecture_fails_and_is_built_later() -> None:
    service = created(arches=ARCHES)
    lib, app = both("lib"), both("app", depends=["lib"])
    builds = (build_of(lib["x86_64"], arches=ARCHES), build_of(app["x86_64"], arches=ARCHES))
    everything = (*lib.values(), *app.values())
    opened = service.open(ALICE, manifest_of(*everything, builds=builds))
    upload(service, opened, [lib["x86_64"], app["x86_64"]])
    service.abort(ALICE, opened.number)  # the aarch64 build failed
    assert names(service) == names(service, "aarch64") == []
    again = service.open(ALICE, manifest_of(*everything, builds=builds))
    assert service.missing(again) == tuple(sorted(map(hex_of, (lib["aarch64"], app["aarch64"])))), "only those built now"
    upload(service, again, [lib["aarch64"], app["aarch64"]])
    assert service.commit(ALICE, again.number).step is Step.LIVE
    assert names(service) == names(service, "aarch64") == ["app-1.0-r0", "lib-1.0-r0"]
    assert service.state.accepted[next(iter(service.state.accepted))].listed == ((2, 0),), "one generation for both"
    assert not blobs_without_a_state(service)


def test_f02_the_index_never_comes_from_a_listing_of_the_store() -> None:
    """Stragglers cannot exist: what lies in the store unaccepted is an orphan that is told, and in no index."""
    service = created()
    stray = sample_package("stray")
    opened = service.open(ALICE, manifest_of(stray))
    upload(service, opened, [stray])
    service.abort(ALICE, opened.number)
    publish(service, sample_package("other"))
    assert names(service) == ["other-1.0-r0"]
    assert [(item.kind, item.subject) for item in compare(service)] == [("orphan", hex_of(stray))]


def test_f03_withdrawn_packages_do_not_come_back() -> None:
    where = places()
    service = created(where)
    bad, good = sample_package("bad"), sample_package("good")
    publish(service, bad, good)
    service.run(ALICE, Manifest(withdraw=(selection(bad),)))
    for _ in range(2):
        service = started(where)  # re-index from the ledger, reconcile, collect, and publish on
        service.recover()
        list(compare(service, deep=True))
        collect(service, ALICE, large=True)
        publish(service, sample_package("next", f"{service.state.current}-r0"))
        assert "bad-1.0-r0" not in names(service)
    assert codes(service, publish(service, bad).number) == ["version-conflict"]
    service.run(ALICE, Manifest(rollback=2))
    assert names(service) == ["good-1.0-r0"], "a rollback does not bring it back either"


class WatchedLedgers(MemoryLedgers):
    """Looks, before each row is written, whether what it names is there and was read back."""

    def __init__(self, blobs: MemoryBlobs, fetched: set[str]) -> None:
        super().__init__()
        self._blobs = blobs
        self._fetched = fetched
        self.complaints: list[str] = []

    def append(self, repository: str, rows: Sequence[StoredRow], claims: Sequence[Claim] = ()) -> bool:
        for row in rows:
            body = decode(row.text).body
            if isinstance(body, Verified):
                self._need("package", [package.digest for package in body.packages])
            if isinstance(body, Indexed):
                self._need("index", [body.document, body.signature, body.sums, *(index.sha256 for index in body.arches)])
            if isinstance(body, Live) and not any(body.document in path for path in self._fetched):
                self.complaints.append(f"row {row.number} points to what nobody read back")
        return super().append(repository, rows, claims)

    def _need(self, what: str, digests: Sequence[str]) -> None:
        held = {digest.hex for digest in self._blobs.contents}
        self.complaints += [f"{what} {digest[:8]} is named before it is written" for digest in digests if digest not in held]


class WatchedPath(DirectPath):
    """Remembers what was fetched."""

    def __init__(self, inner: DirectPath, fetched: set[str]) -> None:
        self._inner = inner
        self._seen = fetched

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        self._seen.add(location)
        return self._inner.fetch(location, write, limit=limit, known=known)


def complaints_of_writing(kind: type[Promotion] = Promotion) -> list[str]:
    """What is wrong with the order in which a service writes that makes its generations by `kind`."""
    fetched: set[str] = set()
    blobs = MemoryBlobs()
    ledgers = WatchedLedgers(blobs, fetched)
    service = started(places(ledgers, blobs), Policy())
    path = WatchedPath(service.equipment.public, fetched)  # type: ignore[arg-type]
    service.promotion.__class__ = kind
    service.promotion._equipment = replace(service.equipment, public=path)
    service.create(ALICE, ["x86_64"], [key_change(OLD, "active")])
    publish(service, sample_package("a"))
    return ledgers.complaints


class NamesBeforeItWrites(Promotion):
    """F4 in its first form: the index is told of before it is there."""

    def _keep(self, data: bytes) -> str:
        self.__dict__.setdefault("late", []).append(data)
        return hashlib.sha256(data).hexdigest()

    def _finish_candidate(self, indexed: Indexed) -> None:
        for data in self.__dict__.pop("late", []):
            super()._keep(data)
        super()._finish_candidate(indexed)


class PointsWithoutLooking(Promotion):
    """And in its second: nobody looks before everybody is pointed to it."""

    def _finish_candidate(self, indexed: Indexed) -> None:
        self._journal.append(
            Author("hasty"), lambda state: (Live(indexed.generation, indexed.document),) if state.candidate else ()
        )


def test_f04_files_before_the_index_that_lists_them() -> None:
    """Packages, then indexes, then the row that names them, then the read-back, then the row that points to them."""
    assert complaints_of_writing() == []
    assert any("named before" in complaint for complaint in complaints_of_writing(NamesBeforeItWrites))
    assert any("nobody read back" in complaint for complaint in complaints_of_writing(PointsWithoutLooking))


def test_f05_sizes_are_those_of_the_served_file() -> None:
    service = created(policy=Policy())
    builder = sample_signer("a-builder-key-with-quite-another-length.rsa.pub")
    publish(service, sample_package("a", signer=builder), sample_package("b"))
    for record in listed(service):
        served = fetch(service, f"x86_64/{record.name_version}.apk")
        assert record.size == len(served)
        contents = read_package(io.BytesIO(served), expected=record)
        assert [name for _, name, _ in contents.signatures] == [OLD.name], "signed once, before it was indexed"


def test_f06_entries_are_made_of_verified_bytes() -> None:
    service = created()
    good = sample_package("a")
    flipped = bytearray(good.data)
    flipped[good.borders[1] + 40] ^= 1
    done = publish(service, good._replace(data=bytes(flipped)))
    assert done.step is Step.REJECTED and done.findings[0].details
    assert names(service) == []


def test_f07_a_version_is_bound_to_its_bytes() -> None:
    service = created()
    first, rebuilt = sample_package("a"), sample_package("a", files={"usr/bin/a": b"rebuilt"})
    publish(service, first)
    refused = publish(service, rebuilt)
    assert codes(service, refused.number) == ["version-conflict"]
    assert hex_of(first) in refused.findings[0].details[0], "the message names what is published"
    assert listed(service)[0].identity == first.record.identity
    assert fetch(service, "x86_64/a-1.0-r0.apk") == first.data


def test_f08_the_ledger_keeps_every_field() -> None:
    """An index of tomorrow can list what today's index leaves out, without reading a package again."""
    contents = read_package(io.BytesIO(sample_package("a").data))
    full: dict[str, object] = {}
    for name in type(contents.info).__match_args__:
        value = getattr(contents.info, name)
        full[name] = 7 if isinstance(value, int) else (f"some {name}",) if isinstance(value, tuple) else f"some {name}"
    info = type(contents.info)(**full)  # type: ignore[arg-type]
    package = package_of(replaced(contents, info=info), "0" * 64)
    row = chained("os", Head(), 1, ALICE, [Verified(1, (package,))])[0]
    body = decode(encode(row)).body
    assert isinstance(body, Verified)
    for field, value in full.items():
        assert getattr(body.packages[0], field) == value, field


def test_f09_a_second_endpoint_is_a_projection_of_the_same_ledger() -> None:
    """There is no dual write: another process has the same listing, and lag is a difference with a name."""
    where = places()
    first = created(where)
    second = started(where)
    publish(first, sample_package("a"))
    assert names(second) == [], "it has not looked yet"
    second.refresh()
    assert names(second) == names(first)
    lagging = started(where)
    publish(first, sample_package("b"))
    lagging.equipment.public._state = lambda: second.state  # type: ignore[attr-defined]
    assert "edge-stale" in {item.kind for item in compare(lagging)}


class RacedLedgers(MemoryLedgers):
    """Somebody else is quicker, once."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def append(self, repository: str, rows: Sequence[StoredRow], claims: Sequence[Claim] = ()) -> bool:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().append(repository, rows, claims)


def test_f10_withdrawals_do_not_race() -> None:
    """Both read the same index and edit it; here the second is decided anew on what the first left."""
    ledgers = RacedLedgers()
    where = places(ledgers)
    one = created(where)
    publish(one, sample_package("a"), sample_package("b"), sample_package("c"))
    two = started(where)
    ledgers.meanwhile.append(lambda: two.run(BOB, Manifest(withdraw=(selection(sample_package("b")),))))
    assert one.run(ALICE, Manifest(withdraw=(selection(sample_package("a")),))).step is Step.LIVE
    two.refresh()
    assert names(one) == names(two) == ["c-1.0-r0"]
    assert not list(compare(one, deep=True))


def test_f11_needing_ones_older_self() -> None:
    service = created()
    publish(service, sample_package("cap", "1-r0", provides=["so:libcap.so.2=2"]))
    refused = publish(service, sample_package("cap", "2-r0", depends=["so:libcap.so.2"]))
    assert codes(service, refused.number) == ["closure"]
    assert "older build" in refused.findings[0].message


def test_f12_what_breaks_is_told_before() -> None:
    world = World("image base", ("merged", "split=1-r0"))
    service = created(policy=Policy(sign_packages=False, worlds=(world,)))
    publish(service, sample_package("split", "1-r0"), sample_package("merged"))
    publish(service, sample_package("split", "2-r0"))
    refused = service.run(ALICE, Manifest(withdraw=(selection(sample_package("split", "1-r0")),)))
    assert (codes(service, refused.number), refused.findings[0].package) == (["breaks"], "image base")


def test_f13_a_build_is_withdrawn_whole() -> None:
    service = created(arches=ARCHES)
    main = both("zlib")
    publish(service, *main.values(), *(sub_package("zlib-dev", arch) for arch in ARCHES))
    service.run(ALICE, Manifest(withdraw=(selection(main["x86_64"]),)))
    assert names(service) == names(service, "aarch64") == []
    assert {item.status for item in service.state.accepted.values()} == {Status.WITHDRAWN}


def sub_package(name: str, arch: str) -> SamplePackage:
    """A package of origin `zlib`."""
    return sample_package(name, arch=arch, origin="zlib")


def test_f14_generations_say_what_changed_for_whoever_rebuilds() -> None:
    """Images and feeds follow receipts: the generation, its indexes and packages are named the moment they are live."""
    from apkiln.web.documents import receipt_of

    service = created()
    done = publish(service, sample_package("zlib", "1-r1"))
    receipt = receipt_of(service.state, done)
    assert receipt is not None
    index = fetch(service, f"@{receipt.generation}/x86_64/APKINDEX.tar.gz")
    assert receipt.index["x86_64"].size == len(index)
    inventory = Inventory()
    inventory.follow(service.state)
    assert [key.name_version for key in difference(inventory, receipt.generation - 1, receipt.generation).added] == ["zlib-1-r1"]
    opened = service.open(ALICE, manifest_of(sample_package("later")))
    assert receipt_of(service.state, opened) is None, "no receipt before it is live"


def test_f15_clients_compare_packages_with_the_signed_index() -> None:
    """The trust chain closes in the client: a served file that is not the listed one is refused."""
    package, other = sample_package("a"), sample_package("a", files={"usr/bin/evil": b"x"})
    record = parse_index_text(read_index(sample_index([package], OLD)).text).records[0]
    with pytest.raises(VerificationError) as caught:
        read_package(io.BytesIO(other.data), expected=record)
    assert caught.value.reason == "identity-mismatch"


def test_the_incident_itself_a_build_that_nobody_publishes_is_noticed() -> None:
    """Accepted and stuck: the reconciler says so, with its age."""
    where = places()
    service = created(where)
    opened = service.open(ALICE, manifest_of(sample_package("a")))
    upload(service, opened, [sample_package("a")])
    broken = started(where, signers=())
    with pytest.raises(Exception, match="no signer"):
        broken.commit(ALICE, opened.number)
    where.clock.advance(STUCK / 1000 + 1)
    assert ("transaction-stuck", str(opened.number)) in {(item.kind, item.subject) for item in compare(broken)}
    assert started(where).recover() == (), "and goes on by itself once the signer is back"
