"""Statements of origin: what fits is accepted, everything else refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.package_workshop import DEMO, file, read, request, tree, written
from tests.sample_packages import keyring_of, sample_signer

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.attestation import dsse
from apkiln.package.emission.request import BuildFacts, GuestPackage
from apkiln.package.emission.verifying import VerifiedOrigin, verify_origin

SIGNER, OTHER = sample_signer(), sample_signer("other.rsa.pub")
GUEST = GuestPackage(IndexRecord("gcc", "13-r0", "x86_64", b"\1" * 20, 1, 1))
TEXT = (
    DEMO
    + """environment: {contents: {packages: [gcc]}, environment: {A: "1"}}
pipeline: [{name: build, runs: "echo 1  # text\\nif x; then\\n  y\\nfi\\n"}]
test: {pipeline: [{runs: "true"}]}
"""
)


def made(**fields: Any) -> tuple[bytes, bytes, bytes]:
    """Package, statement, definition inside the package."""
    import io

    from apkiln.formats.apk.control import read_control

    files = written(request(TEXT, provenance=True, guest=(GUEST,), **fields), tree(file("a", b"1")), signers=(SIGNER,))
    package = files["demo-1.2-r3.apk"]
    inside = dict(read_control(io.BytesIO(package)).other_files)[".melange.yaml"]
    assert read(package)[0].info.name == "demo"
    return package, files["demo-1.2-r3.apk.intoto.jsonl"], inside


PACKAGE, STATEMENT, DEFINITION = made()


def verify(
    statement: bytes = STATEMENT, package: bytes = PACKAGE, definition: bytes = DEFINITION, keyring: Keyring | None = None
) -> VerifiedOrigin:
    return verify_origin(statement, "s.jsonl", hashlib.sha256(package).digest(), keyring or keyring_of(SIGNER), definition)


def test_what_fits() -> None:
    found = verify()
    assert found == VerifiedOrigin(
        SIGNER.name, "urn:apkiln:builder:local:v1", "urn:apkiln:build-type:package:v1", True, (), ("gcc-13-r0",)
    )
    assert verify(definition=b"") == found


def test_why_a_build_was_not_hermetic() -> None:
    package, statement, definition = made(facts=BuildFacts(impurities=("network",)), builder="https://b.example/1")
    found = verify(statement, package, definition)
    assert (found.hermetic, found.reasons, found.builder) == (False, ("network",), "https://b.example/1")


def changed(change: Callable[[dict[str, Any]], object], signer: Any = SIGNER, kind: str = dsse.IN_TOTO) -> bytes:
    """The statement with a change, signed again."""
    value = json.loads(dsse.read(STATEMENT).payload)
    change(value)
    return dsse.write(dsse.sign(kind, json.dumps(value).encode(), (signer,)))


def tampered() -> bytes:
    envelope = dsse.read(STATEMENT)
    return dsse.write(envelope._replace(payload=envelope.payload.replace(b"demo", b"dem0")))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"package": PACKAGE + b"x"}, "statement-subject"),
        ({"statement": tampered()}, "signature-bad"),
        ({"statement": changed(lambda value: None, OTHER)}, "signature-unknown-key"),
        ({"keyring": keyring_of(OTHER)}, "signature-unknown-key"),
        ({"statement": changed(lambda value: None, kind="text/plain")}, "statement-type"),
        ({"statement": changed(lambda value: value.update(_type="x"))}, "statement-type"),
        ({"statement": changed(lambda value: value.update(predicateType="x"))}, "statement-type"),
        ({"statement": changed(lambda value: value.update(subject=[]))}, "statement-subject"),
        ({"statement": changed(lambda value: value.update(subject="x"))}, "statement-subject"),
        ({"statement": changed(lambda value: value["subject"][0].update(digest="x"))}, "statement-subject"),
        ({"definition": DEFINITION.replace(b"echo 1", b"echo 2")}, "statement-definition"),
        ({"statement": b"{}"}, "bad-envelope"),
        ({"statement": dsse.write(dsse.sign(dsse.IN_TOTO, b"[" * 4000, (SIGNER,)))}, "statement-type"),
        ({"statement": dsse.write(dsse.sign(dsse.IN_TOTO, b"[]", (SIGNER,)))}, "statement-type"),
    ],
)
def test_what_does_not_fit(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ApkilnError) as error:
        verify(**arguments)
    assert error.value.reason == reason and error.value.origin.source == "s.jsonl"


def test_a_statement_of_little_is_not_taken_for_more() -> None:
    found = verify(changed(lambda value: value.update(predicate="x")))
    assert found.hermetic is False and found.builder == "" and found.dependencies == ()
