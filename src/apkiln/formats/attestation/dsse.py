"""DSSE envelopes: a payload with its type, and signatures over both (spec supply-chain.md §5)."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Sequence
from typing import Any, Protocol

from apkiln.core import canonical_json
from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin

IN_TOTO = "application/vnd.in-toto+json"
"""Type of payloads that are in-toto statements."""
_MOST_SIGNATURES = 64


class EnvelopeSigner(Protocol):
    """What makes signatures: the part of `system.signer.Signer` that is needed here."""

    @property
    def name(self) -> str:
        """Names the key to those who verify."""

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """The raw signature."""


class EnvelopeSignature(NamedTuple):
    """One signature."""

    key: str
    """A hint at the key; nothing is promised of it."""
    value: bytes


class Envelope(NamedTuple):
    """A payload and its signatures."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """What signatures are made over."""
        return signed_bytes(self.payload_type, self.payload)


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: version, type and payload, each with its length in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, signers: Sequence[EnvelopeSigner], algorithm: str = "RSA256") -> Envelope:
    """An envelope signed by each signer, in that order."""
    data = signed_bytes(payload_type, payload)
    return Envelope(payload_type, payload, tuple(EnvelopeSignature(item.name, item.sign(data, algorithm)) for item in signers))


def write(envelope: Envelope) -> bytes:
    """One line of JSON with its line feed: the form of `.jsonl` files."""
    value = {
        "payloadType": envelope.payload_type,
        "payload": b64encode(envelope.payload).decode(),
        "signatures": [{"keyid": item.key, "sig": b64encode(item.value).decode()} for item in envelope.signatures],
    }
    return canonical_json.encode(value) + b"\n"


def read(content: bytes, origin: Origin = NOWHERE, limits: Limits = DEFAULT_LIMITS) -> Envelope:
    """Read an envelope; nothing is verified.  Base64 of either alphabet.  FormatError `bad-envelope`, `document-too-large`."""
    if len(content) > limits.document:
        raise FormatError(f"the envelope is larger than {limits.document} bytes", reason="document-too-large", origin=origin)
    try:
        value = json.loads(content)
        rows = value["signatures"]
        if not isinstance(rows, list) or not 1 <= len(rows) <= _MOST_SIGNATURES:
            raise ValueError(f"there are not between 1 and {_MOST_SIGNATURES} signatures")
        signatures = tuple(EnvelopeSignature(str(row.get("keyid", "")), _decoded(row["sig"])) for row in rows)
        return Envelope(_text(value["payloadType"]), _decoded(value["payload"]), signatures)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"this is no DSSE envelope: {error}", reason="bad-envelope", origin=origin) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


def _decoded(value: Any) -> bytes:
    text = _text(value)
    if "-" in text or "_" in text:
        return urlsafe_b64decode(text)
    return b64decode(text, validate=True)
