"""Documents by which repositories offer their keys (spec image.md §11.2): `apk-configuration`, key sets, lists of releases.

Nothing here makes a key trusted.  `cryptography` is imported when a key set holds an RSA key.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator

from apkiln.core.errors import ApkilnError, FaultCollector, FormatError
from apkiln.core.limits import KIB, MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.apk.keys import Keyring, PublicKey, is_key_name, parse_public_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST_CONFIGURATION = 64 * KIB
LARGEST_KEY_SET = 256 * KIB
LARGEST_RELEASES = 4 * MIB
MOST_KEYS = 64
"""Keys of one set, and of one branch and architecture of a list of releases."""
_SUFFIX = ".rsa.pub"
_BASE64URL = pattern(r"[A-Za-z0-9_-]+")
_ADDRESS = pattern(r"[^\x00-\x20\x7f]{1,4096}")
_LONGEST_MODULUS, _LONGEST_EXPONENT = 2048, 8
"""Bytes: 16,384 bits, and what any program takes as an exponent."""


class OfferedKeys(NamedTuple):
    """The keys of a set."""

    keys: tuple[PublicKey, ...]
    """Sorted by name, which is `<kid>.rsa.pub`."""
    remarks: tuple[str, ...]
    """What was passed over, and why."""


def parse_key_configuration(content: bytes, source: str = "") -> str:
    """The `jwks_uri` of an `apk-configuration` document: an https URL.

    FormatError: `key-document-too-large`, `key-document` (not JSON, no object, no usable address), `key-address-not-https`.
    """
    document = _object(content, LARGEST_CONFIGURATION, source)
    address = document.get("jwks_uri")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise _fault("`jwks_uri` must be a URL", "key-document", source, "jwks_uri")
    _check_address(address, source, "jwks_uri")
    return address


def parse_key_set(content: bytes, source: str = "") -> OfferedKeys:
    """The RSA keys of a JSON Web Key set (RFC 7517).  Keys of other kinds and uses are passed over with a remark.

    All faults of the document at once, each with its place (`keys[3].kid`).  FormatError: `key-document-too-large`,
    `key-document`, `key-set-too-large`, `key-name`, `key-encoding`, `key-invalid`, `key-private`, `key-too-small`,
    `key-name-twice` (two keys under one `kid`).
    """
    rows = _object(content, LARGEST_KEY_SET, source).get("keys")
    if not isinstance(rows, list):
        raise _fault("`keys` must be a list", "key-document", source, "keys")
    if len(rows) > MOST_KEYS:
        raise _fault(f"{len(rows)} keys are more than the limit of {MOST_KEYS}", "key-set-too-large", source, "keys")
    faults = FaultCollector.empty()
    found: dict[str, PublicKey] = {}
    remarks: list[str] = []
    for number, row in enumerate(rows):
        place = f"keys[{number}]"
        try:
            remark = _passed_over(row, source, place)
            if remark:
                remarks.append(f"{place} {remark}")
                continue
            key = _rsa_key(row, source, place)
            if found.setdefault(key.name, key) != key:
                raise _fault(f"`{key.name}` is the name of two different keys", "key-name-twice", source, f"{place}.kid")
        except ApkilnError as fault:
            faults.add(fault)
    faults.raise_if_any()
    return OfferedKeys(Keyring.of(found.values()).keys, tuple(remarks))


def parse_release_keys(content: bytes, branch: str, arch: str, source: str = "") -> tuple[str, ...] | None:
    """Addresses (https) of the keys with which a distribution signs `branch` for `arch` now, in the order of its list of
    releases; None when the list has no such branch.  Keys with a date of deprecation are left out, whatever the date.

    `arch`: apk name.  FormatError: `key-document-too-large`, `key-document`, `key-set-too-large`, `key-address-not-https`.
    """
    branches = _object(content, LARGEST_RELEASES, source).get("release_branches")
    if not isinstance(branches, list):
        raise _fault("`release_branches` must be a list", "key-document", source, "release_branches")
    for number, row in enumerate(branches):
        if isinstance(row, dict) and row.get("rel_branch") == branch:
            return _addresses(row, arch, source, f"release_branches[{number}].keys")
    return None


def _addresses(row: dict[str, Any], arch: str, source: str, place: str) -> tuple[str, ...]:
    keys = row.get("keys", {})
    rows = keys.get(arch, []) if isinstance(keys, dict) else None
    if not isinstance(rows, list):
        raise _fault(f"`{place}` must hold a list for each architecture", "key-document", source, place)
    if len(rows) > MOST_KEYS:
        raise _fault(f"{len(rows)} keys are more than the limit of {MOST_KEYS}", "key-set-too-large", source, place)
    faults = FaultCollector.empty()
    found: list[str] = []
    for number, item in enumerate(rows):
        try:
            found += _address(item, source, f"{place}.{arch}[{number}]")
        except FormatError as fault:
            faults.add(fault)
    faults.raise_if_any()
    return tuple(dict.fromkeys(found))


def _address(item: Any, source: str, place: str) -> Iterator[str]:
    address = item.get("url") if isinstance(item, dict) else None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise _fault("a key must have a `url`", "key-document", source, place)
    if not item.get("deprecated_since"):
        _check_address(address, source, f"{place}.url")
        yield address


def _check_address(address: str, source: str, place: str) -> None:
    scheme, separator, rest = address.partition("://")
    authority = rest.partition("/")[0]
    if not separator or scheme.lower() != "https" or not authority:
        raise _fault("the address of keys must be an https URL", "key-address-not-https", source, place)
    if "@" in authority:
        raise _fault("the address of keys holds credentials", "key-document", source, place)


def _passed_over(row: Any, source: str, place: str) -> str:
    """Why a key is none for signatures of indexes; empty = it is one."""
    if not isinstance(row, dict) or not isinstance(row.get("kty"), str):
        raise _fault("a key must be an object with a `kty`", "key-document", source, place)
    if row["kty"] != "RSA":
        return f"is of the kind {row['kty'][:20]!r}, only RSA keys sign indexes"
    if row.get("use", "sig") != "sig":
        return "is not for signatures"
    return ""


def _rsa_key(row: dict[str, Any], source: str, place: str) -> PublicKey:
    if "d" in row:
        raise _fault("this is a private key", "key-private", source, place)
    kid = row.get("kid")
    name = f"{kid}{_SUFFIX}"
    if not isinstance(kid, str) or not kid or not is_key_name(name):
        raise _fault(f"{kid!r:.60} cannot name a key", "key-name", source, f"{place}.kid")
    modulus = _number(row.get("n"), _LONGEST_MODULUS, source, f"{place}.n")
    exponent = _number(row.get("e"), _LONGEST_EXPONENT, source, f"{place}.e")
    try:
        return parse_public_key(name, _pem(modulus, exponent))
    except ValueError as error:
        raise _fault("the numbers are no RSA key", "key-invalid", source, place) from error
    except FormatError as fault:
        fault.origin = Origin(source, member=place)
        raise


def _number(value: Any, longest: int, source: str, place: str) -> int:
    """A number in base64url without padding (RFC 7518 §2)."""
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value) or len(value) % 4 == 1:
        raise _fault("a number must be in base64url without padding", "key-encoding", source, place)
    if len(value) > longest * 4 // 3 + 3:
        raise _fault(f"a number is longer than {longest} bytes", "key-encoding", source, place)
    try:
        return int.from_bytes(urlsafe_b64decode(value + "=" * (-len(value) % 4)), "big")
    except binascii.Error as error:
        raise _fault("a number must be in base64url without padding", "key-encoding", source, place) from error


def _pem(modulus: int, exponent: int) -> bytes:
    """Raises ValueError on numbers that cannot be a key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if modulus % 2 == 0:
        raise ValueError("even modulus")
    key = RSAPublicNumbers(exponent, modulus).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _object(content: bytes, largest: int, source: str) -> dict[str, Any]:
    if len(content) > largest:
        message = f"{len(content)} bytes are more than the limit of {largest}"
        raise _fault(message, "key-document-too-large", source)
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _fault("the document is not JSON", "key-document", source) from error
    if not isinstance(value, dict):
        raise _fault("the document must be an object", "key-document", source)
    return value


def _fault(message: str, reason: str, source: str, place: str = "") -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(source, member=place))
