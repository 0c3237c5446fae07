"""Package files against the list of SHA-256 that a signed generation names."""

from __future__ import annotations

import hashlib

import pytest
from tests.sample_packages import SamplePackage, keyring_of, sample_index, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.acquire.generations import Pins
from apkiln.acquire.indexes import load_indexes
from apkiln.acquire.packages import AcquiredPackage, SelectedPackage, acquire_packages
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.errors import ApkilnError
from apkiln.repository.generations import Described, document_bytes, signature_bytes
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, Misbehaviour, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer, RoutedTransfer

BASE = "https://host.example/os"
SIGNER = sample_signer()
A = sample_package("a", signer=SIGNER)


def sum_line(package: SamplePackage, arch: str = "x86_64") -> bytes:
    return f"{hashlib.sha256(package.data).hexdigest()}  {arch}/{package.record.name_version}.apk\n".encode()


class World:
    """A repository with one generation, and the cache of one user."""

    def __init__(self, sums: bytes = sum_line(A), signed: bytes | None = None, *, has_generation: bool = True) -> None:
        self.server, self.store, self.files = MemoryServer(), MemoryStore(), MemoryFiles()
        index = sample_index([A], SIGNER)
        self.server.put(f"{BASE}/x86_64/APKINDEX.tar.gz", index)
        self.server.put(f"{BASE}/x86_64/a-1.0-r0.apk", A.data)
        arches = (("x86_64", hashlib.sha256(index).hexdigest(), len(index), 1),)
        listed = hashlib.sha256(sums if signed is None else signed).hexdigest()
        document = document_bytes(Described("os", 7, 6, "", 1, 2000, "0" * 64, arches, listed, (), "c"))
        if has_generation:
            self.server.put(f"{BASE}/generation.json", document)
            self.server.put(f"{BASE}/generation.json.sig", signature_bytes(document, [SIGNER]))
            self.server.put(f"{BASE}/packages.sha256", sums)

    def acquire(self) -> AcquiredPackage:
        transfer = RoutedTransfer(memory_transfer(self.server), LocalTransfer(self.files))
        access = Access(self.store, transfer, self.files, now=1000, pins=Pins())
        loaded = load_indexes(parse_repositories([BASE]), "x86_64", keyring_of(SIGNER), access)[0]
        item = SelectedPackage(loaded.records[0], loaded.repository, "x86_64")
        (found,) = acquire_packages([item], access)
        return found

    def refused(self) -> str:
        with pytest.raises(ApkilnError) as caught:
            self.acquire()
        assert not self.store.get("packages", A.record.identity.hex()), "nothing is kept"
        return caught.value.reason


def test_a_listed_file_is_taken() -> None:
    assert World().acquire().digest.value == hashlib.sha256(A.data).digest()


def test_a_file_whose_identity_agrees_and_whose_bytes_do_not() -> None:
    """SHA-1 of the control section and the size are all that an index says."""
    world = World(sum_line(A).replace(hashlib.sha256(A.data).hexdigest().encode(), b"0" * 64))
    assert world.refused() == "sum-mismatch"


def test_a_file_that_the_list_has_not() -> None:
    assert World(b"").refused() == "sum-missing"
    assert World(sum_line(A, "aarch64")).refused() == "sum-missing"


def test_noarch_packages_are_listed_once() -> None:
    assert World(sum_line(A, "noarch")).acquire()


def test_another_list_than_the_signed_one() -> None:
    assert World(sum_line(A), signed=b"other").refused() == "sums-missing"


def test_a_list_that_is_withheld() -> None:
    world = World()
    world.server.misbehave(f"{BASE}/packages.sha256", *[Misbehaviour(status=404)] * 9)
    assert world.refused() == "sums-missing"


def test_the_pointer_moves_between_index_and_list() -> None:
    """The list of this run's generation is where generations are kept."""
    world = World()
    world.server.put(f"{BASE}/packages.sha256", b"that of generation 8\n")
    assert world.refused() == "sums-missing"
    world.server.put(f"{BASE}@7/packages.sha256", sum_line(A))
    assert world.acquire()


def test_repositories_without_generations_are_as_before() -> None:
    assert World(has_generation=False).acquire()


def test_what_is_kept_needs_no_list_again() -> None:
    world = World()
    world.acquire()
    world.server.misbehave(f"{BASE}/packages.sha256", *[Misbehaviour(status=404)] * 9)
    assert world.acquire()
