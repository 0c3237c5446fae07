"""JSON Web Keys of given public keys, for every test of repositories that offer theirs."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def jwk(pem: bytes, kid: str = "one", **changes: Any) -> dict[str, Any]:
    """The key under `kid`; fields of `changes` replace its own, None takes them out."""
    key = load_pem_public_key(pem)
    assert isinstance(key, RSAPublicKey)
    numbers = key.public_numbers()
    row = {"kty": "RSA", "kid": kid, "n": _encoded(numbers.n), "e": _encoded(numbers.e)} | changes
    return {name: value for name, value in row.items() if value is not None}


def key_set(*rows: Any) -> bytes:
    """The document that holds `rows`."""
    return json.dumps({"keys": rows}).encode()


def _encoded(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
