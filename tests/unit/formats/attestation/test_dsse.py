"""DSSE envelopes: the recorded encoding, round trips, refusals."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.core.limits import Limits
from apkiln.formats.attestation import dsse
from apkiln.formats.attestation.dsse import Envelope, EnvelopeSignature
from apkiln.formats.attestation.statement import Resource, statement


def test_the_example_of_the_specification() -> None:
    assert (
        dsse.signed_bytes("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.signed_bytes("ü", b"") == "DSSEv1 2 ü 0 ".encode()


SIGNATURES = st.lists(st.builds(EnvelopeSignature, st.text(max_size=9), st.binary(max_size=40)), min_size=1, max_size=4)


@given(st.text(max_size=30), st.binary(max_size=200), SIGNATURES)
def test_what_is_written_can_be_read(kind: str, payload: bytes, signatures: list[EnvelopeSignature]) -> None:
    envelope = Envelope(kind, payload, tuple(signatures))
    content = dsse.write(envelope)
    assert dsse.read(content) == envelope and content.count(b"\n") == 1


def test_both_alphabets_are_read() -> None:
    payload = bytes(range(256))
    value = {
        "payloadType": "t",
        "payload": urlsafe_b64encode(payload).decode(),
        "signatures": [{"sig": b64encode(payload).decode()}],
    }
    envelope = dsse.read(json.dumps(value).encode())
    assert envelope.payload == payload and envelope.signatures[0] == EnvelopeSignature("", payload)


GOOD: dict[str, Any] = {"payloadType": "t", "payload": "eA==", "signatures": [{"sig": "eA=="}]}
BAD: tuple[dict[str, Any], ...] = (
    {"payloadType": 1},
    {"payload": "x"},
    {"payload": "e A=="},
    {"signatures": []},
    {"signatures": {}},
    {"signatures": ["x"]},
    {"signatures": [{}]},
    {"signatures": [{"sig": "eA=="}] * 65},
)
TEXTS = (b"", b"[]", b"{}", b"\xff", b"[" * 5000, *(json.dumps(GOOD | change).encode() for change in BAD))


@pytest.mark.parametrize("content", TEXTS)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as error:
        dsse.read(content)
    assert error.value.reason == "bad-envelope"


def test_size_has_a_limit() -> None:
    with pytest.raises(FormatError) as error:
        dsse.read(json.dumps(GOOD).encode(), limits=Limits(document=10))
    assert error.value.reason == "document-too-large"


def test_a_statement_is_about_something() -> None:
    with pytest.raises(AssertionError):
        statement((Resource("x"),), "t", {})
    content = json.loads(statement((Resource("x", digests=(("sha256", "00"),)),), "t", {"a": 1}))
    assert content["subject"] == [{"name": "x", "digest": {"sha256": "00"}}] and content["predicate"] == {"a": 1}
