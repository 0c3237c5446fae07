"""Freshness of repositories that sign generations: freeze, rollback, mixed and withheld documents are refused."""

from __future__ import annotations

import hashlib

import pytest
from tests.sample_packages import keyring_of, sample_index, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.acquire.generations import Pins
from apkiln.acquire.indexes import LoadedIndex, load_indexes
from apkiln.acquire.repositories import UNSIGNED, parse_repositories
from apkiln.core.errors import ApkilnError
from apkiln.core.value import replace
from apkiln.repository.generations import Described, document_bytes, signature_bytes
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, Misbehaviour, Resource, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.signer import RsaSigner
from apkiln.system.transfer import LocalTransfer, OfflineTransfer, RoutedTransfer

BASE = "https://host.example/os"
SIGNER, STRANGER = sample_signer(), sample_signer("stranger.rsa.pub")
KEYS = keyring_of(SIGNER)
ARCHES = ("x86_64", "aarch64")
NOW = 1_000_000
INDEXES = {
    number: {arch: sample_index([sample_package(f"p{number}", arch=arch)], SIGNER) for arch in ARCHES} for number in range(1, 5)
}


class World:
    """A repository, its mirrors' tricks, and the cache of one user."""

    def __init__(self) -> None:
        self.server = MemoryServer()
        self.store = MemoryStore()
        self.files = MemoryFiles()
        self.pins: Pins | None = None
        self.now = NOW

    @property
    def access(self) -> Access:
        transfer = RoutedTransfer(memory_transfer(self.server), LocalTransfer(self.files))
        return Access(self.store, transfer, self.files, now=self.now, pins=self.pins)

    def publish(self, number: int, created: int = NOW, signer: RsaSigner = SIGNER, repository: str = "os") -> None:
        self.document(number, created, signer, repository)
        for arch in ARCHES:
            self.index(arch, number)

    def index(self, arch: str, number: int) -> None:
        self.server.put(f"{BASE}/{arch}/APKINDEX.tar.gz", Resource(INDEXES[number][arch], f'"{number}"'))
        self.server.put(f"{BASE}@{number}/{arch}/APKINDEX.tar.gz", INDEXES[number][arch])

    def document(
        self, number: int, created: int = NOW, signer: RsaSigner = SIGNER, repository: str = "os", base: str = BASE
    ) -> bytes:
        arches = tuple((arch, hashlib.sha256(data).hexdigest(), len(data), 1) for arch, data in INDEXES[number].items())
        document = document_bytes(
            Described(repository, number, number - 1, "", created, created + 1000, "0" * 64, arches, "0" * 64, (), "c")
        )
        self.server.put(f"{base}/generation.json", document)
        self.server.put(f"{base}/generation.json.sig", signature_bytes(document, [signer]))
        return document

    def load(self, arch: str = "x86_64", access: Access | None = None) -> LoadedIndex:
        return load_indexes(parse_repositories([BASE]), arch, KEYS, access or self.access)[0]

    def refused(self, arch: str = "x86_64", access: Access | None = None) -> str:
        with pytest.raises(ApkilnError) as caught:
            self.load(arch, access)
        return caught.value.reason

    def asked(self) -> list[str]:
        """Addresses since the last call."""
        found = [item.url.removeprefix(BASE) for item in self.server.asked]
        self.server.asked.clear()
        return found


def test_generations_go_forward() -> None:
    world = World()
    world.publish(1)
    assert world.load().generation == 1
    world.publish(3)
    assert world.load().generation == 3
    assert world.load("aarch64").generation == 3


def test_rollback_is_refused_also_by_the_next_process() -> None:
    world = World()
    world.publish(3)
    world.load()
    world.publish(2)
    assert world.refused() == "generation-rollback"
    assert world.refused() == "generation-rollback", "what was refused is not remembered as good"
    world.publish(3)
    assert world.load().generation == 3


def test_an_older_document_of_the_same_generation_is_a_rollback_too() -> None:
    world = World()
    world.publish(2, created=NOW + 10)
    world.load()
    world.publish(2, created=NOW + 20)
    world.load()
    world.document(2, created=NOW + 10)
    assert world.refused() == "generation-rollback"


def test_freeze_is_refused_when_the_document_expires() -> None:
    world = World()
    world.publish(1)
    world.load()
    world.now = NOW + 999
    world.load()
    world.now = NOW + 1000
    assert world.refused() == "generation-expired"
    assert world.load(access=replace(world.access, allow_expired=True)).generation == 1
    world.document(1, created=NOW + 1000)
    assert world.load().generation == 1, "renewed"


def test_an_index_that_is_not_the_one_of_the_document_is_refused() -> None:
    world = World()
    world.publish(1)
    world.load()
    world.publish(2)
    world.server.put(f"{BASE}/x86_64/APKINDEX.tar.gz", Resource(INDEXES[1]["x86_64"], '"1"'))
    assert world.load().generation == 2, "the pointer moved in between: the index is taken by its number"
    world.publish(3)
    world.server.put(f"{BASE}/x86_64/APKINDEX.tar.gz", Resource(INDEXES[1]["x86_64"], '"1"'))
    world.server.put(f"{BASE}@3/x86_64/APKINDEX.tar.gz", INDEXES[1]["x86_64"])
    assert world.refused() == "generation-mixed"


def test_a_plain_mirror_between_two_generations_says_so() -> None:
    world = World()
    world.document(2)
    world.server.put(f"{BASE}/x86_64/APKINDEX.tar.gz", INDEXES[1]["x86_64"])
    assert world.refused() == "generation-mixed"


def test_architectures_of_one_run_come_from_one_generation() -> None:
    world = World()
    world.publish(1)
    world.pins = Pins()
    assert world.load("x86_64").generation == 1
    world.publish(2)
    other = world.load("aarch64")
    assert (other.generation, other.digest.hex) == (1, hashlib.sha256(INDEXES[1]["aarch64"]).hexdigest())
    world.pins = Pins()
    assert world.load("aarch64").generation == 2, "the next run takes the newer one"


@pytest.mark.parametrize("path", ["generation.json", "generation.json.sig"])
def test_what_a_repository_once_declared_is_required(path: str) -> None:
    world = World()
    world.publish(1)
    world.load()
    world.publish(2)
    world.server.misbehave(f"{BASE}/{path}", Misbehaviour(404))
    assert world.refused() in ("generation-missing", "signature-missing")
    world.server.misbehave(f"{BASE}/{path}", Misbehaviour(403))
    assert world.refused() in ("generation-missing", "signature-missing")
    assert world.load().generation == 2


def test_a_document_of_a_stranger_or_of_another_repository_is_refused() -> None:
    world = World()
    world.publish(1, signer=STRANGER)
    assert world.refused() == "signature-unknown-key"
    world.publish(1)
    world.load()
    world.publish(2, repository="other")
    assert world.refused() == "generation-repository"


def test_one_number_has_one_content() -> None:
    world = World()
    world.publish(2)
    world.load()
    INDEXES_OF_TWO = INDEXES[2]
    try:
        INDEXES[2] = INDEXES[3]
        world.publish(2, created=NOW + 1)
        assert world.refused() == "generation-forked"
    finally:
        INDEXES[2] = INDEXES_OF_TWO


@pytest.mark.parametrize(
    "document", [b"{}", b"[", b"\xff", b'{"schema":1}', b'{"schema":1,"schema":1}', b"NaN", b"[" * 100_000, b'{"schema":2}']
)
def test_documents_that_say_nothing_are_refused(document: bytes) -> None:
    world = World()
    world.publish(1)
    world.server.put(f"{BASE}/generation.json", document)
    world.server.put(f"{BASE}/generation.json.sig", signature_bytes(document, [SIGNER]))
    assert world.refused() == "generation-format"


@pytest.mark.parametrize("signatures", [b"[]", b"{}", b"[1]", b"x", b'[{"algorithm":"RSA256","key":"k","signature":"!"}]'])
def test_signatures_that_say_nothing_are_refused(signatures: bytes) -> None:
    world = World()
    world.publish(1)
    world.server.put(f"{BASE}/generation.json.sig", signatures)
    assert world.refused() in ("generation-format", "signature-missing")


def test_sha1_signs_no_generation() -> None:
    world = World()
    world.publish(1)
    document = world.document(1)
    from base64 import b64encode

    weak = b64encode(SIGNER.sign(document, "RSA")).decode()
    text = f'[{{"algorithm":"RSA","key":"{SIGNER.name}","signature":"{weak}"}}]'
    world.server.put(f"{BASE}/generation.json.sig", text.encode())
    assert world.refused() == "signature-sha1"


def test_plain_repositories_are_asked_once_for_each_index() -> None:
    world = World()
    world.index("x86_64", 1)
    assert world.load().generation == 0
    assert world.asked() == ["/x86_64/APKINDEX.tar.gz", "/generation.json"]
    assert world.load().generation == 0
    assert world.asked() == ["/x86_64/APKINDEX.tar.gz"]
    world.index("x86_64", 2)
    world.load()
    assert world.asked() == ["/x86_64/APKINDEX.tar.gz", "/generation.json"]
    world.publish(3)
    assert world.load().generation == 3, "a repository may begin to declare generations"


def test_hosts_that_answer_everything_with_a_page_are_plain() -> None:
    world = World()
    world.index("x86_64", 1)
    world.server.put(f"{BASE}/generation.json", Resource(b"<html>", headers=(("content-type", "text/html"),)))
    assert world.load().generation == 0


def test_a_connection_that_breaks_is_no_plain_repository() -> None:
    world = World()
    world.publish(1)
    world.server.misbehave(f"{BASE}/generation.json", *[Misbehaviour(refuse=True)] * 20)
    assert world.refused() == "connection-failed"


def test_offline_takes_what_was_believed() -> None:
    world = World()
    world.publish(1)
    world.load()
    offline = replace(world.access, transfer=OfflineTransfer(), offline=True)
    assert world.load(access=offline).generation == 1
    world.publish(2)
    world.server.misbehave(f"{BASE}/generation.json", Misbehaviour(404))
    assert world.refused() == "generation-missing"
    assert world.load(access=offline).generation == 1


def test_without_signatures_nobody_asks() -> None:
    world = World()
    world.publish(1, signer=STRANGER)
    loaded = load_indexes(parse_repositories([BASE], trust=UNSIGNED), "x86_64", KEYS, world.access)
    assert loaded[0].generation == 0
    assert load_indexes(parse_repositories([BASE]), "x86_64", KEYS, world.access, ignore_signatures=True)[0].generation == 0


def test_directories_with_a_document_are_checked_too() -> None:
    world = World()
    for arch in ARCHES:
        world.files.put(f"/mirror/{arch}/APKINDEX.tar.gz", INDEXES[1][arch])
    document = world.document(1, base="x")
    world.files.put("/mirror/generation.json", document)
    world.files.put("/mirror/generation.json.sig", signature_bytes(document, [SIGNER]))
    assert load_indexes(parse_repositories(["/mirror"]), "x86_64", KEYS, world.access)[0].generation == 1
    world.files.put("/mirror/x86_64/APKINDEX.tar.gz", INDEXES[2]["x86_64"])
    with pytest.raises(ApkilnError) as caught:
        load_indexes(parse_repositories(["/mirror"]), "x86_64", KEYS, world.access)
    assert caught.value.reason == "generation-mixed"
