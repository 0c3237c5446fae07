"""Tokens: who they are, what they may."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest

from apkiln.core.errors import ApkilnError
from apkiln.repository.ledger.actions import DeclaredPackage, KeyChange, Manifest, Selection
from apkiln.web.tokens import Token, authenticated, check_manifest, check_verb


def token(name: str = "ci", secret: str = "s3cret", **fields: object) -> Token:
    values: dict[str, object] = {"verbs": ("publish",)} | fields
    return Token(name, hashlib.sha256(secret.encode()).hexdigest(), **values)  # type: ignore[arg-type]


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize("header", ["Bearer s3cret", "bearer  s3cret ", basic("any:s3cret"), basic(":s3cret")])
def test_good(header: str) -> None:
    assert authenticated([token("x", "other"), token()], header, 0).name == "ci"


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer S3cret", "s3cret", "Digest s3cret", "Basic %%%", basic("s3cret"), basic("s3cret:")],
)
def test_bad(header: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        authenticated([token()], header, 0)
    assert caught.value.reason == "unauthorized"


def test_no_secret_is_not_a_secret() -> None:
    with pytest.raises(ApkilnError):
        authenticated([token(secret="")], "Bearer ", 0)


def test_expiry() -> None:
    short = token(expires=100)
    assert authenticated([short], "Bearer s3cret", 99) == short
    with pytest.raises(ApkilnError):
        authenticated([short], "Bearer s3cret", 100)


FILE = DeclaredPackage("x86_64", "zlib", "1-r0", "0" * 64, 1)


@pytest.mark.parametrize(
    ("fields", "manifest", "allowed"),
    [
        ({}, Manifest(files=(FILE,)), True),
        ({"verbs": ("read",)}, Manifest(files=(FILE,)), False),
        ({"verbs": ("admin",)}, Manifest(files=(FILE,)), True),
        ({"repositories": ("other",)}, Manifest(files=(FILE,)), False),
        ({"prefixes": ("zl", "a")}, Manifest(files=(FILE,)), True),
        ({"prefixes": ("openssl",)}, Manifest(files=(FILE,)), False),
        ({"arches": ("aarch64",)}, Manifest(files=(FILE,)), False),
        ({}, Manifest(withdraw=(Selection("zlib", "1-r0"),)), False),
        ({}, Manifest(rollback=3), False),
        ({"verbs": ("withdraw",)}, Manifest(withdraw=(Selection("zlib", "1-r0"),)), True),
        ({"verbs": ("withdraw",), "prefixes": ("a",)}, Manifest(withdraw=(Selection("zlib", "1-r0"),)), False),
        ({"verbs": ("withdraw",), "arches": ("x86_64",)}, Manifest(withdraw=(Selection("zlib", "1-r0"),)), False),
        ({"verbs": ("withdraw",)}, Manifest(restore=(Selection("zlib", "1-r0"),)), False),
        ({}, Manifest(keys=(KeyChange("k", "active"),)), False),
    ],
)
def test_scopes(fields: dict[str, object], manifest: Manifest, allowed: bool) -> None:
    try:
        check_manifest(token(**fields), "os", manifest)  # type: ignore[arg-type]
    except ApkilnError as error:
        assert (error.reason, allowed) == ("forbidden", False)
    else:
        assert allowed


def test_verbs() -> None:
    check_verb(token(verbs=("read",)), "os", "read")
    with pytest.raises(ApkilnError):
        check_verb(token(verbs=("read",)), "os", "approve")
