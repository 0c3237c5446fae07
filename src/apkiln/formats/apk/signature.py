"""v2 signatures of packages and indexes: the section that carries them, and their check (spec apk.md §2.2, §12.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.apk.keys import Keyring, PublicKey, is_key_name
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

PREFIX = ".SIGN."
ALGORITHMS = {"RSA": "sha1", "RSA256": "sha256", "RSA512": "sha512"}
"""Digest behind each algorithm name; all are RSA PKCS#1 v1.5."""
_NAME = pattern(r"\.SIGN\.([A-Z0-9]+)\.(.+)", re.DOTALL)
_MOST = 64


class Signature(NamedTuple):
    """One `.SIGN.<algorithm>.<key name>` entry."""

    algorithm: str
    key_name: str
    value: bytes

    @property
    def entry_name(self) -> str:
        return f"{PREFIX}{self.algorithm}.{self.key_name}"


class SignedBy(NamedTuple):
    """The good signature."""

    key_name: str
    algorithm: str

    @property
    def weak(self) -> bool:
        """It rests on SHA-1: accepted by default on reading, and worth a remark."""
        return self.algorithm == "RSA"


def read_section(reader: TarReader, first: Entry, limit: int) -> tuple[Signature, ...]:
    """The entries of a signature section, `first` having been read.

    Reasons: `signature-foreign-entry`, `signature-type`, `signature-key-name`, `signature-algorithm`, `signature-too-large`,
    `signature-repeated`, `section-end-blocks`; a tolerant reader reports some of them.
    """
    found: list[Signature] = []
    entry: Entry | None = first
    while entry is not None:
        signature = _signature(reader, entry, limit)
        if any(signature[:2] == other[:2] for other in found) or len(found) >= _MOST:
            raise reader.fault(f"`{entry.path}` stands twice", "signature-repeated")
        found.append(signature)
        entry = reader.next_entry()
    if reader.end_blocks:
        reader.soft("the signature section has end-of-archive blocks", "section-end-blocks")
    return tuple(found)


def _signature(reader: TarReader, entry: Entry, limit: int) -> Signature:
    match = _NAME.fullmatch(entry.path)
    if match is None:
        raise reader.fault(f"`{entry.path}` does not belong into a signature section", "signature-foreign-entry")
    algorithm, key_name = match.groups()
    if entry.type is not EntryType.FILE:
        raise reader.fault("a signature is a regular file", "signature-type")
    if not is_key_name(key_name):
        raise reader.fault(f"{key_name!r} cannot name a key", "signature-key-name")
    if algorithm not in ALGORITHMS:
        reader.soft(f"signatures of kind `{algorithm}` are not accepted", "signature-algorithm")
    if entry.size > limit:
        raise reader.fault(f"a signature is larger than {limit} bytes", "signature-too-large")
    return Signature(algorithm, key_name, b"".join(reader.content()))


def verify(
    signatures: Sequence[tuple[str, str, bytes]], signed_bytes: bytes, keyring: Keyring, *, allow_sha1: bool = True
) -> str:
    """The file name of the key that signed; see `signer_of`."""
    return signer_of(signatures, signed_bytes, keyring, allow_sha1=allow_sha1).key_name


def signer_of(
    signatures: Sequence[tuple[str, str, bytes]], signed_bytes: bytes, keyring: Keyring, *, allow_sha1: bool = True
) -> SignedBy:
    """Who signed `signed_bytes`.

    As apk does, the first signature whose key is known decides and no other is tried; without `allow_sha1` those of kind
    `RSA` do not count.  VerificationError: `signature-missing`, `signature-unknown-key`, `signature-sha1`,
    `signature-key-kind`, `signature-bad`.
    """
    if not signatures:
        raise VerificationError("there is no signature", reason="signature-missing")
    known = [Signature(*item) for item in signatures if item[0] in ALGORITHMS and keyring.named(item[1])]
    if not known:
        names = ", ".join(f"`{name}`" for _, name, _ in signatures)
        have = ", ".join(f"`{key.name}`" for key in keyring.keys) or "none"
        message = f"no trusted key made the signature (made by {names})"
        raise VerificationError(message, reason="signature-unknown-key", hint=f"trusted keys: {have}")
    accepted = [item for item in known if allow_sha1 or item.algorithm != "RSA"]
    if not accepted:
        hint = "allow SHA-1 for this repository, or have it signed with RSA256"
        raise VerificationError("the only good signature rests on SHA-1", reason="signature-sha1", hint=hint)
    chosen = accepted[0]
    key = keyring.named(chosen.key_name)
    assert key is not None, "chosen among known keys"
    _check(chosen, signed_bytes, key)
    return SignedBy(chosen.key_name, chosen.algorithm)


def _check(signature: Signature, signed_bytes: bytes, key: PublicKey) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    origin = Origin(member=f"signature/{signature.entry_name}")
    loaded = key.load()
    if not isinstance(loaded, RSAPublicKey):
        raise VerificationError(f"`{key.name}` is not an RSA key", reason="signature-key-kind", origin=origin)
    try:
        loaded.verify(signature.value, signed_bytes, PKCS1v15(), _hash(signature.algorithm))
    except InvalidSignature:
        message = f"the signature by `{key.name}` does not fit"
        raise VerificationError(message, reason="signature-bad", origin=origin) from None


def _hash(algorithm: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    by_name: dict[str, HashAlgorithm] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha512": hashes.SHA512()}
    return by_name[ALGORITHMS[algorithm]]
