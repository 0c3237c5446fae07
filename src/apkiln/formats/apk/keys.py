"""Public keys by which indexes and packages are trusted (spec apk.md §2.2, §5 "Keys").

v2 signatures name a key by its file name, so the name belongs to the key.  `cryptography` is imported when a key is parsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError
from apkiln.core.limits import KIB
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_LARGEST = 64 * KIB
_SMALLEST_RSA = 2048
_NAME = pattern(r"[^\x00-\x20\x7f/.-][^\x00-\x20\x7f/]*")
_BLOCK = pattern(rb"-----BEGIN ([A-Z ]+)-----")


def is_key_name(name: str) -> bool:
    """Whether `name` may be the file name of a key: no `/`, space or control character, no leading dot or hyphen, at most
    255 bytes (it becomes part of paths and of archive entries)."""
    return _NAME.fullmatch(name) is not None and len(name.encode("utf-8", "surrogateescape")) <= 240


@value
class PublicKey:
    """A trusted key.  Make it with `parse_public_key`."""

    name: str
    """File name, for example `wolfi-signing.rsa.pub`."""
    pem: bytes
    """Canonical PEM: SubjectPublicKeyInfo, 64 columns, `\\n`, final newline."""
    kind: str
    """`rsa` or `ec`."""
    bits: int
    """Size of the modulus or of the curve."""
    fingerprint: Digest
    """SHA-256 of the DER form: the same key under another file name has the same one."""

    def load(self) -> PublicKeyTypes:
        """The key as `cryptography` has it."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return load_pem_public_key(self.pem)


@value
class Keyring:
    """Trusted keys; names are unique."""

    keys: tuple[PublicKey, ...] = ()

    @classmethod
    def of(cls, keys: Iterable[PublicKey]) -> Keyring:
        """Keys sorted by name.  FormatError (`key-name-twice`) when one name stands for two different keys."""
        found: dict[str, PublicKey] = {}
        for key in keys:
            if found.setdefault(key.name, key) != key:
                message = f"`{key.name}` is the name of two different keys"
                raise FormatError(message, reason="key-name-twice", origin=Origin(source=key.name))
        return cls(tuple(found[name] for name in sorted(found)))

    def named(self, name: str) -> PublicKey | None:
        return next((key for key in self.keys if key.name == name), None)


def parse_public_key(name: str, content: bytes) -> PublicKey:
    """Read one PEM file.  FormatError: `key-name`, `key-too-large`, `key-private`, `key-not-one`, `key-invalid`, `key-kind`,
    `key-too-small` (RSA below 2,048 bits)."""
    origin = Origin(source=name)
    if not is_key_name(name):
        raise FormatError(f"{name!r} cannot name a key", reason="key-name", origin=origin)
    if len(content) > _LARGEST:
        raise FormatError(f"a key file is larger than {_LARGEST} bytes", reason="key-too-large", origin=origin)
    labels = _BLOCK.findall(content)
    if any(b"PRIVATE" in label for label in labels):
        hint = "give the public half, usually the file that ends in `.pub`"
        raise FormatError("this is a private key", reason="key-private", origin=origin, hint=hint)
    if len(labels) != 1:
        raise FormatError(f"a key file holds one PEM block, not {len(labels)}", reason="key-not-one", origin=origin)
    return _key(name, content, origin)


def _key(name: str, content: bytes, origin: Origin) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError("this is not a public key in PEM form", reason="key-invalid", origin=origin) from error
    if not isinstance(key, (RSAPublicKey, EllipticCurvePublicKey)):
        raise FormatError("only RSA and elliptic curve keys are used", reason="key-kind", origin=origin)
    is_rsa = isinstance(key, RSAPublicKey)
    if is_rsa and key.key_size < _SMALLEST_RSA:
        message = f"an RSA key of {key.key_size} bits is too small"
        raise FormatError(message, reason="key-too-small", origin=origin, hint=f"use {_SMALLEST_RSA} bits or more")
    form = PublicFormat.SubjectPublicKeyInfo
    digest = Digest.sha256(hashlib.sha256(key.public_bytes(Encoding.DER, form)).digest())
    return PublicKey(name, key.public_bytes(Encoding.PEM, form), "rsa" if is_rsa else "ec", key.key_size, digest)
