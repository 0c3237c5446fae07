"""Packages that a lock pins: what the file is decides, no index speaks; every difference is told."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.sample_packages import SamplePackage, keyring_of, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.acquire.facts import Member, package_facts
from apkiln.acquire.packages import AcquiredPackage, SelectedPackage, acquire_packages
from apkiln.acquire.pinned import Pin, acquire_pinned
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.errors import ApkilnError
from apkiln.core.value import replace
from apkiln.formats.apk.records import IndexRecord
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.signer import generate_key_pair
from apkiln.system.transfer import LocalTransfer, OfflineTransfer, RoutedTransfer

BASE = "https://host.example/os"
SIGNER = sample_signer()
A = sample_package("a", signer=SIGNER, depends=["b"])
B = sample_package("b", provides=["so:libb.so.1=1.2"])
(REPOSITORY,) = parse_repositories([BASE])


class World:
    """A server and a cache."""

    def __init__(self, *packages: SamplePackage) -> None:
        self.server = MemoryServer({f"{BASE}/x86_64/{package.file_name}": package.data for package in packages})
        self.store = MemoryStore()
        files = MemoryFiles()
        transfer = RoutedTransfer(memory_transfer(self.server), LocalTransfer(files))
        self.online = Access(self.store, transfer, files)
        self.offline = replace(self.online, transfer=RoutedTransfer(OfflineTransfer(), LocalTransfer(files)), offline=True)


def pin_of(package: SamplePackage, **changes: Any) -> Pin:
    """All that a lock states, and nothing that it does not know."""
    record, (control, data) = package.record, package.borders
    bare = IndexRecord(record.name, record.version, record.arch, record.identity, record.size, 0)
    raw = package.data
    signature = Member(0, control, hashlib.sha1(raw[:control]).digest() if control else b"")
    pin = Pin(
        SelectedPackage(bare, REPOSITORY, "x86_64"),
        hashlib.sha256(raw).hexdigest(),
        signature,
        Member(control, data - control, record.identity),
        Member(data, len(raw) - data, hashlib.sha256(raw[data:]).digest()),
    )
    return pin._replace(**changes)


def changed(pin: Pin, **fields: Any) -> Pin:
    return pin._replace(item=pin.item._replace(record=pin.item.record._replace(**fields)))


def test_the_record_comes_from_the_package() -> None:
    world = World(A, B)
    facts = acquire_pinned([pin_of(A), pin_of(B)], world.online)
    assert [item.record for item in facts] == [A.record, B.record]
    assert [item.sha256.hex for item in facts] == [pin_of(A).sha256, pin_of(B).sha256]


def test_a_pinned_package_is_fetched_once_and_found_by_the_usual_way() -> None:
    world = World(A)
    (first,) = acquire_pinned([pin_of(A)], world.online)
    (again,) = acquire_pinned([pin_of(A)], world.offline)
    assert again == first
    (acquired,) = acquire_packages([SelectedPackage(A.record, REPOSITORY, "x86_64")], world.offline, check_stored=False)
    assert acquired.digest == first.sha256
    assert len(world.server.asked) == 1


def test_facts_are_the_members() -> None:
    world = World(A, B)
    for package in (A, B):
        (acquired,) = acquire_packages([SelectedPackage(package.record, REPOSITORY, "x86_64")], world.online)
        facts, pin = package_facts(acquired, world.online), pin_of(package)
        assert (facts.signature, facts.control, facts.data) == (pin.signature, pin.control, pin.data)
        assert package_facts(acquired, world.online) == facts, "from the row"


OTHER_DIGEST = hashlib.sha256(b"other").digest()


@pytest.mark.parametrize(
    ("pin", "reason", "word"),
    [
        (pin_of(A, sha256=OTHER_DIGEST.hex()), "lock-mismatch", "sha256"),
        (pin_of(A, data=Member(A.borders[1], len(A.data) - A.borders[1], OTHER_DIGEST)), "lock-mismatch", "data"),
        (pin_of(A, control=Member(0, 1, bytes(20))), "lock-mismatch", "control"),
        (pin_of(A, signature=Member(0, 0, b"")), "lock-mismatch", "signature"),
        (changed(pin_of(A), identity=bytes(20)), "lock-mismatch", "identity"),
        (changed(pin_of(A), size=len(A.data) - 1), "size-mismatch", ""),
        (changed(pin_of(A), size=len(A.data) + 1), "size-mismatch", ""),
    ],
)
def test_differences_are_refused_and_told(pin: Pin, reason: str, word: str) -> None:
    world = World(A)
    for _ in range(2):
        with pytest.raises(ApkilnError) as caught:
            acquire_pinned([pin], world.online)
        assert caught.value.reason == reason
        assert caught.value.origin.package == "a-1.0-r0"
        assert not word or any(detail.startswith(word) for detail in caught.value.details)


def test_another_version_under_the_address_is_refused() -> None:
    newer = sample_package("a", "1.1-r0", signer=SIGNER)
    world = World(A)
    world.server.put(f"{BASE}/x86_64/{newer.file_name}", A.data)
    pin = changed(pin_of(A), version="1.1-r0")
    with pytest.raises(ApkilnError) as caught:
        acquire_pinned([pin], world.online)
    assert any(detail.startswith("version") for detail in caught.value.details)


def test_a_payload_that_was_exchanged_is_refused() -> None:
    data = bytearray(A.data)
    data[-20] ^= 1
    world = World()
    world.server.put(f"{BASE}/x86_64/{A.file_name}", bytes(data))
    with pytest.raises(ApkilnError):
        acquire_pinned([pin_of(A)], world.online)
    with pytest.raises(ApkilnError):
        acquire_pinned([pin_of(A, sha256="", data=None)], world.online)


def test_the_same_package_with_another_signature_is_fetched_anew() -> None:
    signed_otherwise = sample_package("a", signer=sample_signer("other.rsa.pub"), depends=["b"])
    assert signed_otherwise.record.identity == A.record.identity
    world = World(signed_otherwise)
    acquire_packages([SelectedPackage(signed_otherwise.record, REPOSITORY, "x86_64")], world.online)
    world.server.put(f"{BASE}/x86_64/{A.file_name}", A.data)
    (facts,) = acquire_pinned([pin_of(A)], world.online)
    assert facts.sha256.hex == pin_of(A).sha256


def test_a_bad_signature_by_a_known_key_is_refused() -> None:
    """A stranger's signature proves nothing and harms nothing; one that claims to be by a key we know must be."""
    forger = generate_key_pair(SIGNER.name, bits=2048).signer
    forged = sample_package("a", signer=forger, depends=["b"])
    with pytest.raises(ApkilnError) as caught:
        acquire_pinned([pin_of(forged)], World(forged).online, keyring=keyring_of(SIGNER))
    assert caught.value.reason.startswith("signature")
    stranger = sample_package("a", signer=sample_signer("stranger.rsa.pub"), depends=["b"])
    assert acquire_pinned([pin_of(stranger)], World(stranger).online, keyring=keyring_of(SIGNER))


def test_offline_lists_everything_that_is_missing() -> None:
    world = World(A, B)
    with pytest.raises(ApkilnError) as caught:
        acquire_pinned([pin_of(A), pin_of(B)], world.offline)
    assert caught.value.reason == "offline"
    assert len(caught.value.details) == 2


def test_a_damaged_package_is_named_when_its_facts_are_read() -> None:
    world = World(A)
    (acquired,) = acquire_packages([SelectedPackage(A.record, REPOSITORY, "x86_64")], world.online)
    world.store.damage(acquired.digest, 4)
    with pytest.raises(ApkilnError) as caught:
        package_facts(AcquiredPackage(A.record, REPOSITORY, acquired.digest, acquired.size), world.online)
    assert caught.value.reason == "cache-entry-damaged"
