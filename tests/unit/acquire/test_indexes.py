"""Indexes over a server in memory: verified, revalidated, remembered, offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pytest
from tests.sample_packages import keyring_of, sample_index, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import LoadedIndex, load_indexes
from apkiln.acquire.repositories import UNSIGNED, parse_repositories
from apkiln.core.errors import ApkilnError
from apkiln.core.value import replace
from apkiln.formats.apk.index import index_text, read_index
from apkiln.formats.apk.index_text import format_record
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.signing import signature_section, signatures_of
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_writer import archive
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.formats.deflate.deflater import compress_member
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, Misbehaviour, Resource, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer, OfflineTransfer, RoutedTransfer

BASE = "https://host.example/os"
URL = BASE + "/x86_64/APKINDEX.tar.gz"
SIGNER, OTHER = sample_signer(), sample_signer("other.rsa.pub")
KEYS = keyring_of(SIGNER)
A, B = sample_package("a"), sample_package("b")
INDEX = sample_index([A], SIGNER)


class World:
    """A server, local files, and the cache of one user."""

    def __init__(self, index: bytes | Resource = INDEX) -> None:
        self.server = MemoryServer({URL: index})
        self.files = MemoryFiles()
        self.store = MemoryStore()

    @property
    def online(self) -> Access:
        return Access(self.store, RoutedTransfer(memory_transfer(self.server), LocalTransfer(self.files)), self.files)

    @property
    def offline(self) -> Access:
        transfer = RoutedTransfer(OfflineTransfer(), LocalTransfer(self.files))
        return replace(self.online, transfer=transfer, offline=True)

    def load(self, lines: Sequence[str] = (BASE,), keys: Keyring = KEYS, access: Access | None = None) -> tuple[LoadedIndex, ...]:
        return load_indexes(parse_repositories(lines), "x86_64", keys, access or self.online)

    def refused(self, lines: Sequence[str] = (BASE,), keys: Keyring = KEYS, access: Access | None = None) -> ApkilnError:
        with pytest.raises(ApkilnError) as caught:
            self.load(lines, keys, access)
        return caught.value


def names(index: LoadedIndex) -> list[str]:
    return [record.name for record in index.records]


def test_a_signed_index_is_loaded() -> None:
    (index,) = World().load()
    assert (names(index), index.signed_by, index.weak, index.arch) == (["a"], SIGNER.name, False, "x86_64")
    assert index.records[0] == A.record


@pytest.mark.parametrize("etag", ["", '"v1"'])
def test_a_second_run_says_the_same_and_revalidates(etag: str) -> None:
    world = World(Resource(INDEX, etag))
    first = world.load()
    assert world.load() == first
    assert world.server.asked[-1].headers.get("if-none-match", "") == etag


def test_a_changed_index_is_seen() -> None:
    world = World(Resource(INDEX, '"v1"'))
    world.load()
    world.server.put(URL, Resource(sample_index([A, B], SIGNER), '"v2"'))
    assert names(world.load()[0]) == ["a", "b"]


def test_one_address_is_fetched_once_and_repositories_keep_their_order_and_tags() -> None:
    world = World()
    world.files.put("/srv/x86_64/APKINDEX.tar.gz", sample_index([B], SIGNER))
    loaded = world.load(["/srv", BASE, f"@edge {BASE}"])
    assert [(names(index), index.repository.tag, index.repository.number) for index in loaded] == [
        (["b"], "", 0),
        (["a"], "", 1),
        (["a"], "edge", 2),
    ]
    assert [item.url for item in world.server.asked].count(URL) == 1


@pytest.mark.parametrize(
    ("index", "keys", "reason"),
    [
        (INDEX, keyring_of(OTHER), "signature-unknown-key"),
        (INDEX, Keyring(), "signature-unknown-key"),
        (sample_index([A], OTHER), keyring_of(sample_signer(), OTHER), ""),
        (sample_index([A], None), KEYS, "signature-missing"),
        (b"", KEYS, "gzip-truncated"),
    ],
)
def test_verification_fails_closed(index: bytes, keys: Keyring, reason: str) -> None:
    world = World(index)
    if not reason:
        assert world.load(keys=keys)[0].signed_by == OTHER.name
        return
    fault = world.refused(keys=keys)
    assert fault.origin.source == URL
    assert reason == "gzip-truncated" or fault.reason == reason


def test_a_wrong_key_under_the_right_name_is_refused() -> None:
    impostor = type(OTHER)(SIGNER.name, OTHER._key)
    assert World(sample_index([A], impostor)).refused().reason == "signature-bad"


def test_every_changed_byte_is_noticed() -> None:
    """Refused, unless it is one of the bits of the signature's own wrapper that mean nothing; the signed bytes have none."""
    accepted = []
    for position in range(len(INDEX)):
        changed = bytearray(INDEX)
        changed[position] ^= 0x20
        try:
            loaded = World(bytes(changed)).load()
        except ApkilnError:
            continue
        accepted.append(position)
        assert list(loaded[0].records) == [A.record]
    assert all(position < len(INDEX) - len(read_index(INDEX).signed_bytes) for position in accepted)


def test_a_verdict_belongs_to_its_keys() -> None:
    world = World()
    world.load()
    assert world.refused(keys=keyring_of(OTHER)).reason == "signature-unknown-key"


def test_a_verdict_without_signatures_is_worth_nothing_to_a_strict_run() -> None:
    world = World(sample_index([A], None))
    lax = load_indexes(parse_repositories([BASE], trust=UNSIGNED), "x86_64", KEYS, world.online)
    assert (names(lax[0]), lax[0].signed_by) == (["a"], "")
    assert load_indexes(parse_repositories([BASE]), "x86_64", KEYS, world.online, ignore_signatures=True)[0].signed_by == ""
    assert world.refused().reason == "signature-missing"


def test_offline_uses_the_last_index_and_lists_what_is_missing() -> None:
    world = World()
    online = world.load()
    asked = len(world.server.asked)
    assert world.load(access=world.offline) == online
    fault = world.refused([BASE, BASE + "/more", BASE + "/even"], access=world.offline)
    assert fault.reason == "offline"
    assert fault.details == (BASE + "/even/x86_64/APKINDEX.tar.gz", BASE + "/more/x86_64/APKINDEX.tar.gz")
    assert len(world.server.asked) == asked


@pytest.mark.parametrize("offline", [True, False])
def test_a_damaged_cached_index_is_refused(offline: bool) -> None:
    world = World(Resource(INDEX, '"v1"'))
    (index,) = world.load()
    blob = index.digest
    world.store.damage(blob, 50)
    fault = world.refused(access=world.offline if offline else world.online)
    assert (fault.reason, fault.origin.source, fault.origin.digest) == ("cache-entry-damaged", URL, str(blob))
    assert names(world.load()[0]) == ["a"]


def test_a_lost_table_is_made_anew() -> None:
    world = World()
    (index,) = world.load()
    for blob in world.store.blobs():
        if blob != index.digest:
            world.store.discard(blob)
    assert names(world.load(access=world.offline)[0]) == ["a"]


def test_trust_in_one_line_does_not_spread_to_another_of_the_same_address() -> None:
    world = World(sample_index([A], None))
    repositories = (*parse_repositories([BASE], trust=UNSIGNED), *parse_repositories([BASE], first=1))
    for ordered in (repositories, repositories[::-1]):
        with pytest.raises(ApkilnError) as caught:
            load_indexes(ordered, "x86_64", KEYS, world.online)
        assert caught.value.reason == "signature-missing"


def test_records_that_must_not_be_chosen_are_left_out_and_told_also_from_the_cache() -> None:
    odd = A.record._replace(version="1.0-beta", identity=b"o" * 20)
    text = index_text([A.record]) + (format_record(odd) + "\n").encode()
    world = World()
    world.server.put(URL, signed_index(text))
    for _ in range(2):
        (index,) = world.load()
        assert list(index.records) == [A.record]
        assert [(warning.reason, warning.item) for warning in index.warnings] == [("version-invalid", "1.0-beta")]


def signed_index(text: bytes) -> bytes:
    """An index of ours around any text."""
    codec = canonical_codec()
    entry = Entry("APKINDEX", EntryType.FILE, 0o644, size=len(text))
    signed = compress_member(codec, archive([(entry, text)]))
    return signature_section(signatures_of(signed, [SIGNER], ["RSA256"]), codec) + signed


def test_a_damaged_verdict_is_made_anew() -> None:
    world = World()
    world.load()
    for table, key in list(world.store._rows):
        world.store.damage_row(table, key)
    assert names(world.load()[0]) == ["a"]


@pytest.mark.parametrize(
    "page",
    [
        Resource(b"anything", headers=(("content-type", "text/html; charset=utf-8"),)),
        Resource(b"\n <!DOCTYPE html><html>"),
        Resource(b"<HTML><head>"),
    ],
)
def test_a_web_page_is_called_one(page: Resource) -> None:
    world = World(page)
    fault = world.refused()
    assert (fault.reason, fault.origin.source) == ("html-instead-of-index", URL)
    world.server.put(URL, INDEX)
    assert names(world.load()[0]) == ["a"]


def test_missing_indexes_are_explained() -> None:
    world = World()
    world.files.put("/with/x86_64/a-1.0-r0.apk", A.data)
    world.files.make_directory(PurePosixPath("/empty"))
    remote = world.refused([BASE + "/none"])
    assert (remote.reason, remote.origin.source) == ("index-missing", BASE + "/none/x86_64/APKINDEX.tar.gz")
    assert "apkiln repo index /with" in world.refused(["/with"]).hint
    assert world.refused(["/empty"]).reason == "index-missing"
    assert "no directory" in world.refused(["/absent"]).message


def test_passing_faults_are_retried() -> None:
    world = World()
    world.server.misbehave(URL, Misbehaviour(status=503), Misbehaviour(cut=100))
    assert names(world.load()[0]) == ["a"]


def test_credentials_stay_out_of_errors_and_tables() -> None:
    world = World()
    world.load([BASE.replace("https://", "https://me:secret@")])
    rows = b"".join(world.store._rows.values())
    assert b"secret" not in rows
    fault = world.refused([BASE.replace("https://", "https://me:secret@") + "/none"])
    assert "secret" not in f"{fault} {fault.hint} {fault.details}"
    assert world.server.asked[0].headers["authorization"].startswith("Basic ")
