"""Keys that repositories offer, over a network in memory."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.web_keys import jwk, key_set

from apkiln.acquire.access import Access
from apkiln.acquire.key_discovery import RELEASES, Discovery, discover_keys
from apkiln.acquire.keyring import key_name
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.value import replace
from apkiln.system.credentials import Credentials, parse_http_auth
from apkiln.system.http import HttpPolicy
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, Misbehaviour, Resource, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.signer import generate_key_pair
from apkiln.system.transfer import OfflineTransfer

FIRST, SECOND = (generate_key_pair(f"{name}.rsa.pub", bits=2048).signer.public_key() for name in ("first", "second"))
OS = "https://packages.example/os"
CONFIGURATION, KEYS = f"{OS}/apk-configuration", "https://issuer.example/keys"
ALPINE = "https://mirror.example/alpine/v3.20/main"
KEY = "https://distribution.example/keys/second.rsa.pub"
OFFER: dict[str, bytes | Resource] = {
    CONFIGURATION: json.dumps({"jwks_uri": KEYS}).encode(),
    KEYS: key_set(jwk(FIRST, "first")),
    RELEASES: json.dumps({"release_branches": [{"rel_branch": "v3.20", "keys": {"x86_64": [{"url": KEY}]}}]}).encode(),
    KEY: SECOND,
}


def access(server: MemoryServer, credentials: str = "", policy: HttpPolicy | None = None) -> Access:
    known = Credentials(parse_http_auth(credentials))
    return Access(MemoryStore(), memory_transfer(server, None, known, policy or HttpPolicy()), MemoryFiles())


def discover(run: Access, *lines: str) -> Discovery:
    return discover_keys(parse_repositories(lines or (OS,)), ("x86_64",), run)


def names(found: Discovery) -> list[str]:
    return [item.key.name for item in found.keys]


def reasons(act: Callable[[], object]) -> list[str]:
    with pytest.raises(ApkilnError) as caught:
        act()
    faults = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
    return [fault.reason for fault in faults]


def test_keys_come_from_the_key_set_that_the_repository_names() -> None:
    (found,) = discover(access(MemoryServer(OFFER))).keys
    assert found.key.pem == FIRST
    assert (found.key.name, found.url, found.repository) == ("first.rsa.pub", f"{OS}/first.rsa.pub", OS)


@pytest.mark.parametrize("kid", ["a", "team@host.example-4a6a", "a?b#c", "100%25", "é", "a+b~c"])
def test_the_address_of_a_key_gives_its_name_back(kid: str) -> None:
    (found,) = discover(access(MemoryServer({**OFFER, KEYS: key_set(jwk(FIRST, kid))}))).keys
    assert found.key.name == f"{kid}.rsa.pub" == key_name(found.url)


def test_keys_of_a_release_come_from_the_distribution() -> None:
    (found,) = discover(access(MemoryServer(OFFER)), ALPINE).keys
    assert (found.key.pem, found.key.name, found.url, found.repository) == (SECOND, "second.rsa.pub", KEY, ALPINE)
    unknown = discover(access(MemoryServer(OFFER)), "https://mirror.example/alpine/v1.0/main")
    assert unknown.keys == () and f"{RELEASES} has no branch `v1.0`" in unknown.remarks


def test_several_repositories_and_the_same_key_twice() -> None:
    server = MemoryServer(OFFER)
    server.put("https://packages.example/more/apk-configuration", OFFER[CONFIGURATION])
    found = discover(access(server), ALPINE, OS, "https://packages.example/more", "@tag https://packages.example/none", "./here")
    assert names(found) == ["first.rsa.pub", "second.rsa.pub"]
    assert found.remarks == ("repository `https://packages.example/none` offers no keys",)


def test_no_address_is_asked_twice() -> None:
    server = MemoryServer(OFFER)
    server.put("https://packages.example/more/apk-configuration", OFFER[CONFIGURATION])
    lines = (ALPINE, ALPINE.replace("main", "community"), OS, f"@tag {OS}", "https://packages.example/more")
    assert names(discover(access(server), *lines)) == ["first.rsa.pub", "second.rsa.pub"]
    urls = [asked.url for asked in server.asked]
    assert sorted(urls) == sorted(set(urls))


def test_local_repositories_are_not_asked() -> None:
    server = MemoryServer(OFFER)
    assert discover(access(server), "./repo", "/srv/repo") == Discovery()
    assert server.asked == []


def test_plain_http_is_refused_without_a_request() -> None:
    server = MemoryServer(OFFER)
    assert reasons(lambda: discover(access(server), OS.replace("https", "http"))) == ["discovery-not-https"]
    assert server.asked == []


def test_a_page_for_everything_is_no_offer() -> None:
    server = MemoryServer({CONFIGURATION: Resource(b"<html>", headers=(("content-type", "text/html; charset=utf-8"),))})
    assert discover(access(server)).remarks == (f"repository `{OS}` offers no keys",)


def test_every_fault_is_told_at_once() -> None:
    server = MemoryServer({**OFFER, "https://bad.example/apk-configuration": b"{", KEYS: key_set("x", jwk(FIRST, "a/b"))})
    assert reasons(lambda: discover(access(server), "https://bad.example", "http://plain.example", OS)) == [
        "key-document", "discovery-not-https", "key-document", "key-name",
    ]  # fmt: skip


def test_two_repositories_with_different_keys_of_one_name_are_refused() -> None:
    server = MemoryServer(OFFER)
    server.put("https://other.example/apk-configuration", json.dumps({"jwks_uri": "https://other.example/keys"}).encode())
    server.put("https://other.example/keys", key_set(jwk(SECOND, "first")))
    assert reasons(lambda: discover(access(server), OS, "https://other.example")) == ["key-name-twice"]


@pytest.mark.parametrize(
    ("url", "fault", "reason"),
    [
        (CONFIGURATION, Misbehaviour(status=401), "unauthorized"),
        (CONFIGURATION, Misbehaviour(status=403), "unauthorized"),
        (CONFIGURATION, Misbehaviour(status=400), "http-status"),
        (KEYS, Misbehaviour(status=404), "not-found"),
        (KEYS, Misbehaviour(status=302, headers=(("location", "http://issuer.example/keys"),)), "insecure-redirect"),
        (KEYS, Misbehaviour(status=302, headers=(("location", "https://else.example/keys"),)), "foreign-redirect"),
    ],
)
def test_what_the_server_refuses_is_told(url: str, fault: Misbehaviour, reason: str) -> None:
    server = MemoryServer(OFFER)
    server.misbehave(url, fault)
    assert reasons(lambda: discover(access(server))) == [reason]


@pytest.mark.parametrize(
    ("url", "content", "reason"),
    [
        (CONFIGURATION, b'{"jwks_uri": "http://issuer.example/keys"}', "key-address-not-https"),
        (CONFIGURATION, b" " * (64 << 10) + b"{}", "response-too-large"),
        (KEYS, b"", "key-document"),
        (KEYS, key_set(jwk(FIRST, "../first")), "key-name"),
        (KEYS, b" " * (256 << 10) + b"{}", "response-too-large"),
    ],
)
def test_bad_documents_are_refused(url: str, content: bytes, reason: str) -> None:
    server = MemoryServer({**OFFER, url: content})
    assert reasons(lambda: discover(access(server))) == [reason]
    assert all(asked.url.startswith("https://") for asked in server.asked)


def test_credentials_of_a_repository_stay_with_its_host() -> None:
    server = MemoryServer(OFFER)
    server.misbehave(KEYS, Misbehaviour(status=302, headers=(("location", "https://else.example/keys"),)))
    server.put("https://else.example/keys", OFFER[KEYS])
    run = access(server, "basic:packages.example:user:secret", HttpPolicy(redirect_hosts=frozenset({"*"})))
    assert names(discover(run)) == ["first.rsa.pub"]
    assert [(asked.url, "authorization" in asked.headers) for asked in server.asked] == [
        (CONFIGURATION, True), (KEYS, False), ("https://else.example/keys", False),
    ]  # fmt: skip
    (found,) = discover(access(MemoryServer(OFFER)), OS.replace("//", "//user:secret@")).keys
    assert "secret" not in repr(found)


def test_offline_takes_what_was_found_before() -> None:
    run = access(MemoryServer(OFFER))
    lines = (OS, ALPINE, "https://packages.example/none")
    before = discover(run, *lines)
    off = replace(run, offline=True, transfer=OfflineTransfer())
    assert discover(off, *lines) == before
    assert reasons(lambda: discover(replace(off, store=MemoryStore()))) == ["offline"]


def test_a_damaged_copy_is_refused() -> None:
    store = MemoryStore()
    run = replace(access(MemoryServer(OFFER)), store=store)
    discover(run)
    for blob in store.blobs():
        store.damage(blob)
    assert reasons(lambda: discover(replace(run, offline=True, transfer=OfflineTransfer()))) == ["cache-entry-damaged"]
