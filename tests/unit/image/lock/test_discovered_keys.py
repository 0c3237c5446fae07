"""Keys that repositories offer: trusted when that is asked for, pinned in the lock, kept out of images."""

from __future__ import annotations

import json

import pytest
from tests.image_workshop import AMD64, HERE, Workshop, union
from tests.sample_packages import sample_index, sample_package, sample_signer
from tests.web_keys import jwk, key_set

from apkiln.core.errors import ApkilnError
from apkiln.core.value import replace
from apkiln.image.lock.document import Lock
from apkiln.image.lock.locking import lock_image
from apkiln.image.lock.reading import parse_lock
from apkiln.image.lock.writing import write_lock
from apkiln.image.resolving import Resolution, ResolveOptions, resolve
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.transfer import LocalTransfer, RoutedTransfer

OS, KEYS = "https://packages.example/os", "https://issuer.example/keys"
BASE = {"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n"}
TEXT = f"""
contents:
  repositories: ["{OS}"]
  packages: [base]
archs: [amd64]
"""
LISTED = TEXT.replace("contents:", "contents:\n  keyring: [keys/sample.rsa.pub]")


class Distant(Workshop):
    """A repository on the network that offers its key."""

    def __init__(self, text: str = TEXT) -> None:
        super().__init__({}, text)
        package = sample_package("base", files=BASE)
        self.server = MemoryServer({
            f"{OS}/x86_64/APKINDEX.tar.gz": sample_index([package], sample_signer()),
            f"{OS}/x86_64/{package.file_name}": package.data,
            f"{OS}/apk-configuration": json.dumps({"jwks_uri": KEYS}).encode(),
            KEYS: key_set(jwk(sample_signer().public_key(), "sample")),
        })  # fmt: skip
        self.access = replace(self.access, transfer=RoutedTransfer(memory_transfer(self.server), LocalTransfer(self.files)))

    def discovering(self) -> Resolution:
        loaded = self.loaded()
        return resolve(loaded.configuration, loaded.checksum, ResolveOptions(AMD64, discover_keys=True), self.access)

    def lock_of(self, resolution: Resolution) -> Lock:
        return lock_image("image.yaml", self.loaded(), resolution, HERE, self.access)

    def asked_for_keys(self) -> list[str]:
        return [asked.url for asked in self.server.asked if asked.url in (KEYS, f"{OS}/apk-configuration")]


def keys_in_image(shop: Workshop, resolution: Resolution) -> list[str]:
    shop.written(shop.built(resolution))
    return [path for path in union(shop.layers()) if path.endswith(".rsa.pub")]


def test_without_the_wish_nobody_is_asked_and_nothing_is_trusted() -> None:
    shop = Distant()
    with pytest.raises(ApkilnError) as caught:
        shop.resolved()
    assert caught.value.reason == "signature-unknown-key"
    assert shop.asked_for_keys() == []


def test_a_discovered_key_is_named_and_stays_out_of_the_image() -> None:
    shop = Distant()
    found = shop.discovering()
    assert [item.url for item in found.discovered] == [f"{OS}/sample.rsa.pub"]
    fingerprint = found.keyring.keys[0].fingerprint
    assert f"trusting the key `sample.rsa.pub` ({fingerprint}), as `{OS}` offers it" in found.notices
    assert keys_in_image(shop, found) == []


def test_a_listed_key_is_written_and_not_counted_as_discovered() -> None:
    shop = Distant(LISTED)
    found = shop.discovering()
    assert found.discovered == ()
    assert keys_in_image(shop, found) == ["etc/apk/keys/sample.rsa.pub"]
    assert [(key.url, key.discovered) for key in shop.lock_of(found).keyring] == [("keys/sample.rsa.pub", False)]


def test_a_listed_key_is_not_replaced_by_one_that_is_offered() -> None:
    shop = Distant(LISTED)
    shop.server.put(KEYS, key_set(jwk(sample_signer("other.rsa.pub").public_key(), "sample")))
    with pytest.raises(ApkilnError) as caught:
        shop.discovering()
    assert caught.value.reason == "key-name-twice"


def test_the_lock_pins_what_was_discovered() -> None:
    shop = Distant()
    found = shop.discovering()
    content = write_lock(shop.lock_of(found))
    (row,) = json.loads(content)["contents"]["keyring"]
    pem = sample_signer().public_key().decode()
    url = f"{OS}/sample.rsa.pub"
    assert row == {"name": url.removeprefix("https://"), "url": url, "content": pem, "discovered": True}
    lock = parse_lock(content)
    assert write_lock(lock) == content

    shop.server.put(KEYS, key_set(jwk(sample_signer("other.rsa.pub").public_key(), "sample")))
    shop.server.asked.clear()
    replayed = shop.replayed(lock)
    assert replayed.keyring == found.keyring
    assert shop.asked_for_keys() == []
    assert keys_in_image(shop, replayed) == []


def test_rows_of_keys_that_nobody_listed_or_discovered_are_not_trusted() -> None:
    shop = Distant()
    lock = shop.lock_of(shop.discovering())
    (key,) = lock.keyring
    assert shop.replayed(replace(lock, keyring=(key._replace(discovered=False),))).keyring.keys == ()


@pytest.mark.parametrize("value", ["1", '"yes"', "[]"])
def test_a_mark_of_another_type_is_refused(value: str) -> None:
    shop = Distant()
    content = write_lock(shop.lock_of(shop.discovering())).replace(b'"discovered": true', f'"discovered": {value}'.encode())
    with pytest.raises(ApkilnError) as caught:
        parse_lock(content)
    assert caught.value.reason == "lock-invalid"
