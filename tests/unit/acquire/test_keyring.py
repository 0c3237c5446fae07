from __future__ import annotations

import hashlib

import pytest

from apkiln.acquire.access import Access
from apkiln.acquire.keyring import KeySource, fingerprint, key_name, load_keyring
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.value import replace
from apkiln.formats.apk.keys import Keyring
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.signer import generate_key_pair
from apkiln.system.transfer import LocalTransfer, OfflineTransfer, RoutedTransfer

URL = "https://host.example/keys/remote.rsa.pub"
FIRST, SECOND = (generate_key_pair(f"{name}.rsa.pub", bits=2048).signer.public_key() for name in ("first", "second"))
PIN = hashlib.sha256(FIRST).hexdigest()


def access(server: MemoryServer | None = None) -> Access:
    files = MemoryFiles({"keys/local.rsa.pub": SECOND, "keys/bad.rsa.pub": b"nonsense"})
    transfer = RoutedTransfer(memory_transfer(server or MemoryServer({URL: FIRST})), LocalTransfer(files))
    return Access(MemoryStore(), transfer, files)


def offline(before: Access) -> Access:
    return replace(before, offline=True, transfer=RoutedTransfer(OfflineTransfer(), LocalTransfer(before.files)))


def names(keyring: Keyring) -> list[str]:
    return [key.name for key in keyring.keys]


def test_keys_are_named_by_their_file() -> None:
    keyring = load_keyring(["keys/local.rsa.pub", URL], access())
    assert names(keyring) == ["local.rsa.pub", "remote.rsa.pub"]
    assert key_name("https://host.example/a%20b.pub?x=/y") == "a b.pub"
    assert key_name("file:///etc/apk/keys/a.pub") == "a.pub"


def test_a_second_run_gives_the_same_keys_from_the_cache() -> None:
    run = access()
    assert load_keyring([URL, "keys/local.rsa.pub"], run) == load_keyring(["keys/local.rsa.pub", URL], run)


def test_a_fetched_key_serves_offline() -> None:
    run = access()
    online = load_keyring([URL], run)
    assert load_keyring([URL], offline(run)) == online
    with pytest.raises(ApkilnError) as caught:
        load_keyring([URL], offline(access()))
    assert (caught.value.reason, caught.value.details) == ("offline", (URL,))


def test_a_pin_must_fit() -> None:
    assert names(load_keyring([KeySource(URL, PIN)], access())) == ["remote.rsa.pub"]
    with pytest.raises(ApkilnError) as caught:
        load_keyring([KeySource("keys/local.rsa.pub", PIN)], access())
    assert caught.value.reason == "key-digest-mismatch"


def test_a_key_over_plain_http_must_be_pinned() -> None:
    url = URL.replace("https", "http")
    run = access(MemoryServer({url: FIRST}))
    with pytest.raises(ApkilnError) as caught:
        load_keyring([url], run)
    assert caught.value.reason == "key-not-pinned"
    assert names(load_keyring([KeySource(url, PIN)], run)) == ["remote.rsa.pub"]


def test_all_bad_keys_are_reported_with_their_place() -> None:
    with pytest.raises(FaultGroup) as caught:
        load_keyring(["keys/absent.rsa.pub", "keys/bad.rsa.pub", URL + "x"], access())
    assert [fault.reason for fault in caught.value.faults] == ["missing-file", "key-not-one", "not-found"]
    assert [fault.origin.source for fault in caught.value.faults] == ["keys/absent.rsa.pub", "keys/bad.rsa.pub", URL + "x"]


def test_the_fingerprint_follows_names_and_keys() -> None:
    run = access(MemoryServer({URL: FIRST, "https://other.example/remote.rsa.pub": SECOND, "https://other.example/x.pub": FIRST}))
    seen = {
        fingerprint(load_keyring(sources, run))
        for sources in (
            [],
            [URL],
            ["https://other.example/remote.rsa.pub"],
            ["https://other.example/x.pub"],
            [URL, "keys/local.rsa.pub"],
        )
    }
    assert len(seen) == 5


def test_a_damaged_cached_key_is_refused() -> None:
    store = MemoryStore()
    run = replace(access(), store=store)
    load_keyring([URL], run)
    (blob,) = store.blobs()
    store.damage(blob)
    with pytest.raises(ApkilnError) as caught:
        load_keyring([URL], offline(run))
    assert caught.value.reason == "cache-entry-damaged"
