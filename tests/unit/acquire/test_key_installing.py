"""Keys of repositories written into a root."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from apkiln.acquire.key_discovery import DiscoveredKey
from apkiln.acquire.key_installing import install_keys, installed_repositories, pinned_keys
from apkiln.acquire.repositories import Layout
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.apk.keys import parse_public_key
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.signer import generate_key_pair

FIRST, SECOND = (generate_key_pair(f"{name}.rsa.pub", bits=2048).signer.public_key() for name in ("first", "second"))
KEYS = PurePosixPath("/etc/apk/keys")
ROOT = PurePosixPath("/")


def offered(name: str, pem: bytes) -> DiscoveredKey:
    return DiscoveredKey(parse_public_key(name, pem), f"https://packages.example/os/{name}", "https://packages.example/os")


BOTH = (offered("first.rsa.pub", FIRST), offered("second.rsa.pub", SECOND))


def test_keys_are_written_once() -> None:
    files = MemoryFiles()
    first = install_keys(BOTH, KEYS, files)
    assert [(str(item.path), item.written) for item in first] == [
        ("/etc/apk/keys/first.rsa.pub", True), ("/etc/apk/keys/second.rsa.pub", True),
    ]  # fmt: skip
    before = files.snapshot()
    assert before == {"/etc/apk/keys/first.rsa.pub": FIRST, "/etc/apk/keys/second.rsa.pub": SECOND}
    status = files.status(KEYS / "first.rsa.pub")
    assert status is not None and status.mode == 0o644
    assert [item.written for item in install_keys(BOTH, KEYS, files)] == [False, False]
    assert files.snapshot() == before


def test_the_same_key_in_another_form_is_left_alone() -> None:
    key = load_pem_public_key(FIRST)
    assert isinstance(key, RSAPublicKey)
    old = key.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    files = MemoryFiles({"/etc/apk/keys/first.rsa.pub": old})
    assert [item.written for item in install_keys(BOTH[:1], KEYS, files)] == [False]
    assert files.snapshot() == {"/etc/apk/keys/first.rsa.pub": old}


@pytest.mark.parametrize("there", [SECOND, b"", b"no key", FIRST + SECOND])
def test_another_content_is_refused_and_nothing_is_written(there: bytes) -> None:
    files = MemoryFiles({"/etc/apk/keys/second.rsa.pub": there})
    with pytest.raises(ApkilnError) as caught:
        install_keys((BOTH[0], offered("second.rsa.pub", generate_key_pair("x", bits=2048).signer.public_key())), KEYS, files)
    assert caught.value.reason == "key-differs"
    assert files.snapshot() == {"/etc/apk/keys/second.rsa.pub": there}


def test_all_names_that_are_taken_are_told() -> None:
    files = MemoryFiles({"/etc/apk/keys/first.rsa.pub": SECOND, "/etc/apk/keys/second.rsa.pub": FIRST})
    with pytest.raises(FaultGroup) as caught:
        install_keys(BOTH, KEYS, files)
    assert [fault.reason for fault in caught.value.faults] == ["key-differs"] * 2


def test_no_keys_leave_no_directory() -> None:
    files = MemoryFiles()
    assert install_keys((), KEYS, files) == ()
    assert files.status(KEYS) is None


def test_pins_choose_and_must_be_offered() -> None:
    pin = BOTH[1].key.fingerprint
    assert pinned_keys(BOTH, ()) == BOTH
    assert pinned_keys(BOTH, {pin}) == BOTH[1:]
    with pytest.raises(ApkilnError) as caught:
        pinned_keys(BOTH, {pin, Digest.sha256(bytes(32))})
    assert caught.value.reason == "pin-not-offered"
    assert str(Digest.sha256(bytes(32))) in str(caught.value) and str(pin) not in str(caught.value)


def test_repositories_of_a_root() -> None:
    text = (
        b"# mine\nhttps://user:secret@packages.example/os/\n@edge https://packages.example/${APK_ARCH} a b\n/srv/repo\n"
        b"ndx https://packages.example/x/APKINDEX.tar.gz\n"
    )
    found = installed_repositories(ROOT, "x86_64", MemoryFiles({"/etc/apk/repositories": text}))
    assert [(item.url, item.is_local, item.layout is Layout.INDEX) for item in found] == [
        ("https://packages.example/os", False, False),
        ("https://packages.example/x86_64/a", False, False),
        ("https://packages.example/x86_64/b", False, False),
        ("/srv/repo", True, False),
        ("https://packages.example/x/APKINDEX.tar.gz", False, True),
    ]
    assert found[0].generation_location("f") == "https://user:secret@packages.example/os/f"
    assert "secret" not in repr(found)


def test_bad_lists_of_repositories_are_refused_with_file_and_line() -> None:
    with pytest.raises(ApkilnError) as caught:
        installed_repositories(ROOT, "x86_64", MemoryFiles({"/etc/apk/repositories": b"\nrelative/path\nftp://x/y\n"}))
    assert isinstance(caught.value, FaultGroup)
    assert [(fault.reason, fault.origin.source, fault.origin.line) for fault in caught.value.faults] == [
        ("repository-url", "/etc/apk/repositories", 2), ("repository-url", "/etc/apk/repositories", 3),
    ]  # fmt: skip
    with pytest.raises(ApkilnError) as caught:
        installed_repositories(ROOT, "x86_64", MemoryFiles())
    assert caught.value.reason == "missing-file"
