"""Documents by which repositories offer keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web_keys import jwk, key_set

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.apk.key_documents import (
    LARGEST_CONFIGURATION,
    LARGEST_KEY_SET,
    LARGEST_RELEASES,
    parse_key_configuration,
    parse_key_set,
    parse_release_keys,
)
from apkiln.formats.apk.keys import parse_public_key
from apkiln.system.signer import generate_key_pair

PEMS = tuple(
    generate_key_pair(f"{number}.rsa.pub", bits=bits).signer.public_key() for number, bits in enumerate((2048, 2048, 3072))
)
SMALL = json.loads('{"kty": "RSA", "kid": "small", "n": "' + "_" * 170 + '8", "e": "AQAB"}')
EC = {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"}


def reasons(act: Callable[[], object]) -> list[str]:
    with pytest.raises(ApkilnError) as caught:
        act()
    faults = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
    assert all(fault.origin.source == "there" for fault in faults)
    return [fault.reason for fault in faults]


@given(st.permutations(range(len(PEMS))), st.from_regex(r"[A-Za-z0-9_@][A-Za-z0-9_@.-]{0,40}", fullmatch=True))
def test_a_web_key_is_the_key_of_its_numbers(order: list[int], kid: str) -> None:
    found = parse_key_set(key_set(*(jwk(PEMS[number], f"{kid}{number}") for number in order)))
    assert [key.name for key in found.keys] == [f"{kid}{number}.rsa.pub" for number in range(len(PEMS))]
    assert [key.fingerprint for key in found.keys] == [parse_public_key("x", pem).fingerprint for pem in PEMS]
    assert not found.remarks


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(("keys", "kty", "kid", "n", "e", "release_branches", "rel_branch", "url", "jwks_uri", "x86_64")),
                inner,
            )
        ),
    )
)
def test_whatever_the_document_holds_the_refusal_is_ours(value: Any) -> None:
    content = json.dumps(value).encode()
    for act in (
        lambda: parse_key_set(content, "there"),
        lambda: parse_key_configuration(content, "there"),
        lambda: parse_release_keys(content, "", "x86_64", "there"),
    ):
        try:
            act()
        except ApkilnError as fault:
            assert fault.origin.source == "there"


def test_keys_for_other_things_are_passed_over() -> None:
    found = parse_key_set(key_set(EC, jwk(PEMS[0]), jwk(PEMS[1], "two", use="enc"), jwk(PEMS[0])))
    assert [key.name for key in found.keys] == ["one.rsa.pub"]
    assert found.remarks == ("keys[0] is of the kind 'EC', only RSA keys sign indexes", "keys[2] is not for signatures")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "key-document"),
        (b"\xff", "key-document"),
        (b"[" * 100_000, "key-document"),
        (b"[]", "key-document"),
        (b"{}", "key-document"),
        (b" " * LARGEST_KEY_SET + b"{}", "key-document-too-large"),
        (key_set(*[EC] * 65), "key-set-too-large"),
        (key_set("text"), "key-document"),
        (key_set({"kid": "x"}), "key-document"),
        (key_set(jwk(PEMS[0], "../../etc/passwd")), "key-name"),
        (key_set(jwk(PEMS[0], "a/b")), "key-name"),
        (key_set(jwk(PEMS[0], ".hidden")), "key-name"),
        (key_set(jwk(PEMS[0], "a\nb")), "key-name"),
        (key_set(jwk(PEMS[0], "")), "key-name"),
        (key_set(jwk(PEMS[0], "x" * 300)), "key-name"),
        (key_set({**jwk(PEMS[0]), "kid": None}), "key-name"),
        (key_set({**jwk(PEMS[0]), "kid": 7}), "key-name"),
        (key_set(jwk(PEMS[0], n=None)), "key-encoding"),
        (key_set(jwk(PEMS[0], n="a=")), "key-encoding"),
        (key_set(jwk(PEMS[0], n="a+/")), "key-encoding"),
        (key_set(jwk(PEMS[0], n="A" * 4000)), "key-encoding"),
        (key_set(jwk(PEMS[0], e="A" * 40)), "key-encoding"),
        (key_set(jwk(PEMS[0], n=jwk(PEMS[0])["n"][:-8] + "AAAAAAAA")), "key-invalid"),
        (key_set(jwk(PEMS[0], n=jwk(PEMS[0])["n"][:198] + "_")), "key-too-small"),
        (key_set(SMALL), "key-too-small"),
        (key_set(jwk(PEMS[0], e="Ag")), "key-invalid"),
        (key_set(jwk(PEMS[0], e="AQ")), "key-invalid"),
        (key_set(jwk(PEMS[0], d="AQAB")), "key-private"),
        (key_set(jwk(PEMS[0]), jwk(PEMS[1])), "key-name-twice"),
    ],
)
def test_bad_key_sets_are_refused(content: bytes, reason: str) -> None:
    assert reasons(lambda: parse_key_set(content, "there")) == [reason]


def test_all_faults_of_a_set_are_told_with_their_places() -> None:
    with pytest.raises(FaultGroup) as caught:
        parse_key_set(key_set(jwk(PEMS[0], "a/b"), EC, jwk(PEMS[0], n="!"), jwk(PEMS[1])), "there")
    assert [str(fault.origin) for fault in caught.value.faults] == ["there, keys[0].kid", "there, keys[2].n"]


def test_the_address_of_a_key_set() -> None:
    assert parse_key_configuration(b'{"issuer": "x", "jwks_uri": "https://keys.example/set"}') == "https://keys.example/set"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no", "key-document"),
        (b"{}", "key-document"),
        (b'{"jwks_uri": 7}', "key-document"),
        (b'{"jwks_uri": "https://a b"}', "key-document"),
        (b'{"jwks_uri": "https://user:secret@host/"}', "key-document"),
        (b'{"jwks_uri": "http://host/set"}', "key-address-not-https"),
        (b'{"jwks_uri": "file:///etc/passwd"}', "key-address-not-https"),
        (b'{"jwks_uri": "/set"}', "key-address-not-https"),
        (b'{"jwks_uri": "https:///set"}', "key-address-not-https"),
        (b" " * LARGEST_CONFIGURATION + b"{}", "key-document-too-large"),
    ],
)
def test_bad_configurations_are_refused(content: bytes, reason: str) -> None:
    assert reasons(lambda: parse_key_configuration(content, "there")) == [reason]


RELEASE: dict[str, Any] = {
    "rel_branch": "v3.20",
    "keys": {
        "x86_64": [
            {"url": "https://keys.example/old.rsa.pub", "deprecated_since": "2022-11-01"},
            {"url": "https://keys.example/new.rsa.pub"},
            {"url": "https://keys.example/new.rsa.pub", "deprecated_since": ""},
        ]
    },
}


def releases(*rows: Any) -> bytes:
    return json.dumps({"release_branches": rows}).encode()


def test_the_keys_of_a_branch_are_those_that_are_not_deprecated() -> None:
    content = releases({"rel_branch": "edge"}, RELEASE)
    assert parse_release_keys(content, "v3.20", "x86_64") == ("https://keys.example/new.rsa.pub",)
    assert parse_release_keys(content, "v3.20", "riscv64") == ()
    assert parse_release_keys(content, "edge", "x86_64") == ()
    assert parse_release_keys(content, "v3.2", "x86_64") is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", ["key-document"]),
        (b"{}", ["key-document"]),
        (b" " * LARGEST_RELEASES + b"{}", ["key-document-too-large"]),
        (releases({**RELEASE, "keys": []}), ["key-document"]),
        (releases({**RELEASE, "keys": {"x86_64": {}}}), ["key-document"]),
        (releases({**RELEASE, "keys": {"x86_64": [{}] * 65}}), ["key-set-too-large"]),
        (releases({**RELEASE, "keys": {"x86_64": ["x", {"url": "http://a/b"}]}}), ["key-document", "key-address-not-https"]),
    ],
)
def test_bad_lists_of_releases_are_refused(content: bytes, found: list[str]) -> None:
    assert reasons(lambda: parse_release_keys(content, "v3.20", "x86_64", "there")) == found
