"""Signing keys in files or in memory.  The library for them is loaded with the first key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from apkiln.core.errors import EnvironmentFault, FormatError
from apkiln.core.limits import KIB
from apkiln.core.origin import Origin
from apkiln.system.files import FileReader, FileWriter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_BITS = 4096
"""Size of a new key."""
_SMALLEST = 2048
_KEY_FILE = 64 * KIB
_HASHES = {"RSA": "SHA1", "RSA256": "SHA256", "RSA512": "SHA512"}


class Signer(Protocol):
    """Makes signatures with one key."""

    @property
    def name(self) -> str:
        """File name of the public key at those who verify, for example `build.rsa.pub`."""

    def public_key(self) -> bytes:
        """PEM SubjectPublicKeyInfo."""

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """The raw PKCS#1 v1.5 signature; `algorithm` is `RSA256`, `RSA512` or, for old clients, `RSA` (SHA-1) (apk.md §2.2)."""


class RsaSigner:
    """An RSA private key that is in memory.  PKCS#1 v1.5 has no randomness: equal data gives equal signatures."""

    def __init__(self, name: str, key: RSAPrivateKey) -> None:
        self._name = name
        self._key = key

    @property
    def name(self) -> str:
        return self._name

    def public_key(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data: bytes, algorithm: str) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        return self._key.sign(data, PKCS1v15(), getattr(hashes, _HASHES[algorithm])())

    def sign_digest(self, digest: bytes, algorithm: str) -> bytes:
        """The signature of data whose digest is known."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        return self._key.sign(digest, PKCS1v15(), Prehashed(getattr(hashes, _HASHES[algorithm])()))


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key."""

    signer: RsaSigner
    private_key: bytes
    """PEM, PKCS#8 or PKCS#1, not encrypted."""


def generate_key_pair(name: str, bits: int = KEY_BITS, *, pkcs1: bool = False) -> KeyPair:
    """A new RSA key for public key file `name`, its private half as PKCS#8, or as PKCS#1 for tools that read nothing else.
    Costs about a second for 4,096 bits."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(public_exponent=65537, key_size=bits)
    form = PrivateFormat.TraditionalOpenSSL if pkcs1 else PrivateFormat.PKCS8
    return KeyPair(RsaSigner(name, key), key.private_bytes(Encoding.PEM, form, NoEncryption()))


def write_key_pair(pair: KeyPair, private: PurePath, public: PurePath, files: FileWriter, *, replace: bool = False) -> None:
    """Both files; neither may exist (ConflictError `output-exists`), unless `replace`.  The private one gets mode 0600 and comes
    first."""
    with files.create(private, 0o600, replace=replace) as stream:
        stream.write(pair.private_key)
    with files.create(public, 0o644, replace=replace) as stream:
        stream.write(pair.signer.public_key())


def load_signer(path: PurePath, files: FileReader, name: str = "") -> RsaSigner:
    """The private key in `path`; the public name is `name`, or the file's own with `.pub` (`x.rsa` → `x.rsa.pub`).

    Raises EnvironmentFault `key-file-exposed` when others than its owner may read or change the file, FormatError
    `bad-private-key` (not PEM, encrypted, not RSA, under 2,048 bits), UnavailableError `missing-file`.
    """
    status = files.status(path)
    if status is not None and status.mode & 0o077:
        raise EnvironmentFault(
            f"private key `{path}` is open to others (mode {status.mode:04o})",
            reason="key-file-exposed",
            origin=Origin(source=str(path)),
            hint=f"chmod 600 {path}",
        )
    return signer_from_pem(files.read(path, _KEY_FILE), name or public_name(path.name), str(path))


def public_name(private_name: str) -> str:
    """The name of the public key file that belongs to a private one."""
    return private_name.removesuffix(".pem") + ".pub"


def signer_from_pem(pem: bytes, name: str, source: str) -> RsaSigner:
    """A signer from PEM text; `source` names it in errors (FormatError `bad-private-key`)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        # The library's own check of a key looks for primes, for 40 ms at every start of a command; ours compares its numbers.
        key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        raise _bad_key(source, "is encrypted", "give a key without a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_key(source, "is not a PEM private key", "`apkiln repo init` makes one") from error
    if not isinstance(key, RSAPrivateKey):
        raise _bad_key(source, "is not an RSA key", "apk v2 signatures need RSA")
    if key.key_size < _SMALLEST:
        raise _bad_key(source, f"has only {key.key_size} bits", f"use {_SMALLEST} or more")
    if not _is_consistent(key):
        raise _bad_key(source, "holds numbers that do not belong together", "`apkiln repo init` makes one")
    return RsaSigner(name, key)


def _is_consistent(key: RSAPrivateKey) -> bool:
    """Whether the parts of a key fit each other, so that it makes the signatures that its public half accepts."""
    numbers = key.private_numbers()
    public = numbers.public_numbers
    p, q, d = numbers.p, numbers.q, numbers.d
    return (
        p * q == public.n
        and all(d * public.e % (prime - 1) == 1 for prime in (p, q))
        and (numbers.dmp1, numbers.dmq1) == (d % (p - 1), d % (q - 1))
        and numbers.iqmp * q % p == 1
    )


def _bad_key(source: str, what: str, hint: str) -> FormatError:
    return FormatError(f"`{source}` {what}", reason="bad-private-key", origin=Origin(source=source), hint=hint)
