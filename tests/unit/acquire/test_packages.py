"""Packages over a server in memory: verified in every section, kept, shared, offline."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from tests.sample_packages import SamplePackage, keyring_of, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.acquire.packages import (
    AcquiredPackage,
    PackageSink,
    SelectedPackage,
    acquire_packages,
    open_package,
)
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.value import replace
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.policy import UNTRUSTED
from apkiln.formats.archive.entry import Entry
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, Misbehaviour, Resource, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer, OfflineTransfer, RoutedTransfer

BASE = "https://host.example/os"
SIGNER, OTHER = sample_signer(), sample_signer("other.rsa.pub")
A = sample_package("a", signer=SIGNER)
B = sample_package("b", depends=["a>=1"], provides=["so:libb.so.1=1.2"])
(REPOSITORY,) = parse_repositories([BASE])


def url(package: SamplePackage, arch: str = "") -> str:
    return f"{BASE}/{arch or package.record.arch}/{package.file_name}"


class World:
    """A server, local files, a cache; packages are served at their addresses."""

    def __init__(self, *packages: SamplePackage) -> None:
        self.server = MemoryServer({url(package): package.data for package in packages})
        self.files = MemoryFiles()
        self.store = MemoryStore()
        self.reporter = Counting()

    @property
    def online(self) -> Access:
        transfer = RoutedTransfer(memory_transfer(self.server), LocalTransfer(self.files))
        return Access(self.store, transfer, self.files, reporter=self.reporter)

    @property
    def offline(self) -> Access:
        transfer = RoutedTransfer(OfflineTransfer(), LocalTransfer(self.files))
        return replace(self.online, transfer=transfer, offline=True)

    def refused(self, package: SamplePackage, access: Access | None = None) -> ApkilnError:
        with pytest.raises(ApkilnError) as caught:
            acquire_packages(select(package), access or self.online)
        return caught.value


class Counting:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    def start(self, task: str, total: int, unit: str) -> None:
        self.calls.append((f"start {task} {unit}", total))

    def advance(self, task: str, amount: int) -> None:
        with self._lock:
            self.calls.append(("advance", amount))

    def finish(self, task: str) -> None:
        self.calls.append((f"finish {task}", 0))

    def note(self, message: str) -> None:
        raise AssertionError(message)


class Sink:
    """Remembers the paths, and whether it was finished."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.size = 0
        self.finished: PackageContents | None = None
        self.open = False

    def __enter__(self) -> PackageSink:
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    def entry(self, entry: Entry) -> None:
        self.paths.append(entry.path)

    def content(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def finish(self, contents: PackageContents) -> None:
        assert self.open
        self.finished = contents


def select(*packages: SamplePackage) -> list[SelectedPackage]:
    return [SelectedPackage(package.record, REPOSITORY, "x86_64") for package in packages]


def read(package: AcquiredPackage, access: Access) -> bytes:
    with open_package(package, access) as stream:
        return stream.read()


def test_packages_come_in_the_order_they_were_asked_for() -> None:
    world = World(A, B)
    acquired = acquire_packages(select(B, A, B), world.online)
    assert [package.record for package in acquired] == [B.record, A.record, B.record]
    assert [read(package, world.online) for package in acquired] == [B.data, A.data, B.data]
    assert len(world.server.asked) == 2


def test_a_second_run_fetches_nothing() -> None:
    world = World(A, B)
    first = acquire_packages(select(A, B), world.online)
    second = acquire_packages(select(A, B), world.offline)
    assert [package.fetched for package in (*first, *second)] == [True, True, False, False]
    assert [package.digest for package in first] == [package.digest for package in second]
    assert len(world.server.asked) == 2


def test_progress_counts_what_is_fetched() -> None:
    world = World(A, B)
    acquire_packages(select(A), world.online)
    world.reporter.calls.clear()
    acquire_packages(select(A, B), world.online)
    assert world.reporter.calls[0] == ("start packages bytes", len(B.data))
    assert sum(amount for name, amount in world.reporter.calls if name == "advance") == len(B.data)
    assert world.reporter.calls[-1] == ("finish packages", 0)


def test_the_sink_sees_the_verified_read() -> None:
    world, sinks = World(A), list[Sink]()

    def make(item: SelectedPackage) -> PackageSink:
        assert item.record == A.record
        sinks.append(Sink())
        return sinks[-1]

    acquire_packages(select(A), world.online, make)
    (sink,) = sinks
    assert sink.paths == ["usr", "usr/share", "usr/share/a", "usr/share/a/text"]
    assert sink.finished is not None
    assert sink.finished.identity == A.record.identity
    assert sink.size == A.record.installed_size
    acquire_packages(select(A), world.online, make)
    assert len(sinks) == 1


def altered(package: SamplePackage, position: int) -> bytes:
    data = bytearray(package.data)
    data[position] ^= 0x40
    return bytes(data)


def sections() -> list[tuple[str, int]]:
    control, data = A.borders
    return [("signature", 40), ("control", control + 40), ("data", data + 40)]


@pytest.mark.parametrize(("section", "position"), sections())
def test_an_altered_package_is_refused_and_the_section_named(section: str, position: int) -> None:
    world, sink = World(A), Sink()
    world.server.put(url(A), altered(A, position))
    with pytest.raises(ApkilnError) as caught:
        acquire_packages(select(A), world.online, lambda _: sink)
    origin = caught.value.origin
    assert (origin.member.partition("/")[0], origin.package, origin.source) == (section, "a-1.0-r0", url(A))
    assert sink.finished is None
    assert world.store.blobs() == ()
    world.server.put(url(A), A.data)
    assert acquire_packages(select(A), world.online)[0].fetched


@pytest.mark.parametrize(("section", "position"), sections())
def test_a_damaged_cache_entry_is_refused_and_the_section_named(section: str, position: int) -> None:
    world = World(A)
    acquire_packages(select(A), world.online)
    (blob,) = world.store.blobs()
    world.store.damage(blob, position)
    fault = world.refused(A, world.offline)
    assert (fault.reason, fault.origin.package, fault.origin.digest) == ("cache-entry-damaged", "a-1.0-r0", str(blob))
    assert fault.origin.member.partition("/")[0] == section
    assert acquire_packages(select(A), world.online)[0].fetched


def test_a_damaged_entry_is_also_found_by_those_who_skip_the_first_check() -> None:
    world = World(A)
    acquire_packages(select(A), world.online)
    world.store.damage(world.store.blobs()[0], 200)
    (package,) = acquire_packages(select(A), world.online, check_stored=False)
    with pytest.raises(ApkilnError) as caught:
        open_package(package, world.online)
    assert caught.value.reason == "cache-entry-damaged"


def test_a_truncated_package_is_refused() -> None:
    world = World(A)
    world.server.put(url(A), A.data[:-1])
    fault = world.refused(A)
    assert (fault.reason, fault.origin.package, fault.origin.source) == ("size-mismatch", "a-1.0-r0", url(A))
    world.server.put(url(A), A.data + b"x")
    assert world.refused(A).reason == "size-mismatch"
    assert world.store.blobs() == ()


def test_a_broken_download_is_completed() -> None:
    world = World(A)
    world.server.put(url(A), Resource(A.data, '"v1"'))
    world.server.misbehave(url(A), Misbehaviour(cut=300), Misbehaviour(status=503), Misbehaviour(shift=2))
    assert read(acquire_packages(select(A), world.online)[0], world.online) == A.data


def test_a_record_that_promises_another_thing_is_refused() -> None:
    world = World(B)
    for change in ({"depends": "a"}, {"provides": ""}, {"identity": b"x" * 20}, {"name": "c"}):
        record = B.record._replace(**change)
        world.server.put(f"{BASE}/x86_64/{record.name_version}.apk", B.data)
        with pytest.raises(ApkilnError) as caught:
            acquire_packages([SelectedPackage(record, REPOSITORY)], world.online)
        assert caught.value.reason in {"record-mismatch", "identity-mismatch"}


def test_a_stored_package_is_compared_with_a_record_it_was_not_compared_with_before() -> None:
    world = World(B)
    acquire_packages(select(B), world.online)
    lie = SelectedPackage(B.record._replace(depends="a"), REPOSITORY)
    with pytest.raises(ApkilnError) as caught:
        acquire_packages([lie], world.offline, check_stored=False)
    assert caught.value.reason == "record-mismatch"


def test_noarch_is_found_under_both_architectures() -> None:
    package = sample_package("c", arch="noarch")
    for arch in ("noarch", "x86_64"):
        world = World()
        world.server.put(url(package, arch), package.data)
        assert acquire_packages(select(package), world.online)[0].size == len(package.data)
    assert World().refused(package).reason == "not-found"


def test_a_good_own_signature_is_checked_when_the_key_is_known() -> None:
    stranger = sample_package("a", signer=OTHER)
    impostor = sample_package("a", signer=type(OTHER)(SIGNER.name, OTHER._key))
    unsigned = sample_package("a")
    keys = keyring_of(SIGNER)
    for package, required, reason in (
        (A, True, ""),
        (stranger, False, ""),
        (stranger, True, "signature-unknown-key"),
        (unsigned, False, ""),
        (unsigned, True, "signature-missing"),
        (impostor, False, "signature-bad"),
    ):
        world = World(package)
        try:
            acquire_packages(select(package), world.online, keyring=keys, require_signature=required)
            assert not reason
        except ApkilnError as fault:
            assert fault.reason == reason
            assert world.store.blobs() == ()


def test_a_required_signature_is_also_required_of_stored_packages() -> None:
    package = sample_package("a")
    world = World(package)
    acquire_packages(select(package), world.online)
    with pytest.raises(ApkilnError) as caught:
        acquire_packages(select(package), world.online, keyring=keyring_of(SIGNER), require_signature=True)
    assert caught.value.reason == "signature-missing"


def test_the_same_package_with_another_signature_is_fetched_anew() -> None:
    unsigned, signed = sample_package("a"), sample_package("a", signer=SIGNER)
    assert unsigned.record.identity == signed.record.identity and unsigned.record.size != signed.record.size
    world = World(unsigned)
    acquire_packages(select(unsigned), world.online)
    other = World(signed)
    other.store = world.store
    (acquired,) = acquire_packages(select(signed), other.online)
    assert acquired.fetched and read(acquired, other.online) == signed.data


def test_offline_lists_everything_that_is_missing() -> None:
    world = World(A, B)
    acquire_packages(select(A), world.online)
    asked = len(world.server.asked)
    with pytest.raises(UnavailableError) as caught:
        acquire_packages(select(A, B, sample_package("c")), world.offline)
    assert caught.value.reason == "offline"
    assert caught.value.details == (f"b-1.0-r0.apk from {BASE}", f"c-1.0-r0.apk from {BASE}")
    assert len(world.server.asked) == asked


def test_a_local_repository_works_offline_and_relative() -> None:
    world = World()
    world.files.put("home/repo/x86_64/a-1.0-r0.apk", A.data)
    (repository,) = parse_repositories(["./repo"])
    access = replace(world.offline, directory=type(world.offline.directory)("home"))
    (package,) = acquire_packages([SelectedPackage(A.record, repository, "x86_64")], access)
    assert read(package, access) == A.data


def test_no_space_is_named_and_leaves_nothing() -> None:
    world = World(A)
    world.store = MemoryStore(capacity=len(A.data) - 10)
    fault = world.refused(A)
    assert isinstance(fault, EnvironmentFault)
    assert (fault.reason, fault.origin.package) == ("no-space", "a-1.0-r0")
    assert world.store.blobs() == ()


def test_limits_reach_the_reader() -> None:
    world = World(A)
    tight = replace(world.online, limits=replace(DEFAULT_LIMITS, control_decompressed=100))
    assert world.refused(A, tight).origin.member.partition("/")[0] in {"signature", "control"}


def test_two_runs_on_one_cache_fetch_once() -> None:
    world = World(A)
    found: list[Sequence[AcquiredPackage]] = []
    threads = [threading.Thread(target=lambda: found.append(acquire_packages(select(A), world.online))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(world.server.asked) == 1


def test_a_run_waits_for_another_that_fetches_the_same() -> None:
    world = World(A)
    thread = threading.Thread(target=lambda: acquire_packages(select(A), world.online))
    with world.store.lock(f"package-{A.record.identity.hex()}"):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert world.server.asked == []
    thread.join(30)
    assert len(world.server.asked) == 1


def test_a_stricter_policy_looks_again_at_what_is_stored() -> None:
    package = sample_package("a", mode=0o4755)
    world = World(package)
    acquire_packages(select(package), world.online)
    with pytest.raises(ApkilnError) as caught:
        acquire_packages(select(package), world.offline, policy=UNTRUSTED, check_stored=False)
    assert caught.value.reason == "special-bits-not-allowed"


def test_many_packages_on_several_threads() -> None:
    packages = [sample_package(f"p{number}", files={f"f{number}": b"x" * number}) for number in range(30)]
    world = World(*packages)
    acquired = acquire_packages(select(*packages), replace(world.online, jobs=4))
    assert [package.record for package in acquired] == [package.record for package in packages]
    assert [read(package, world.online) for package in acquired] == [package.data for package in packages]


def test_every_changed_byte_is_refused_in_its_section() -> None:
    """But for those bits of the signature's own wrapper that mean nothing: identity and data hash vouch for all the rest."""
    control, data = A.borders
    world, accepted = World(A), []
    for position in range(len(A.data)):
        world.server.put(url(A), altered(A, position))
        expected = "signature" if position < control else "control" if position < data else "data"
        try:
            acquire_packages(select(A), replace(world.online, store=MemoryStore()))
        except ApkilnError as fault:
            assert fault.origin.member.partition("/")[0] == expected, (position, str(fault))
        else:
            accepted.append(position)
    assert all(position < control for position in accepted)
    assert len(accepted) < 20
