"""Public keys below `/etc/apk/keys`: those the build trusted, and those for the running system (spec image.md §2.1, §11.2)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import ConfigurationError, ConflictError, FaultCollector
from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import NamedContent
from apkiln.image.generated.draft import Draft

DIRECTORY = "etc/apk/keys"
_NAME = pattern(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def build_keys(draft: Draft, keys: Iterable[tuple[str, bytes]]) -> None:
    """Rule `apk-keys`: the keyring of the definition, (file name, content as fetched).  Time 0."""
    for name, content in sorted(keys):
        draft.put("apk-keys", Entry(f"{DIRECTORY}/{name}", EntryType.FILE), content)


def runtime_keys(draft: Draft, keys: Iterable[NamedContent], epoch: int) -> None:
    """Rule `runtime-keys`: keys given inline, re-encoded, dated `epoch`.

    Raises ConfigurationError (`runtime-key-name`, `runtime-key-invalid`) and ConflictError (`runtime-key-collides`) with the
    place in the definition; all faults at once.
    """
    faults = FaultCollector.empty()
    for key in keys:
        path = f"{DIRECTORY}/{key.name}"
        try:
            if not _NAME.fullmatch(key.name):
                message = f"`{key.name}` cannot be a key's file name"
                raise ConfigurationError(message, reason="runtime-key-name", origin=key.origin)
            if draft.exists(path):
                raise ConflictError(f"`/{path}` exists already", reason="runtime-key-collides", origin=key.origin)
            draft.put("runtime-keys", Entry(path, EntryType.FILE, mtime=epoch), _canonical(key))
        except (ConfigurationError, ConflictError) as fault:
            faults.add(fault)
    faults.raise_if_any()


def _canonical(key: NamedContent) -> bytes:
    """The PEM text of an RSA public key with one byte form."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        public = load_pem_public_key(key.content.encode())
    except (ValueError, UnsupportedAlgorithm) as cause:
        message = f"`{key.name}` holds no public key"
        raise ConfigurationError(message, reason="runtime-key-invalid", origin=key.origin) from cause
    if not isinstance(public, RSAPublicKey):
        raise ConfigurationError(f"`{key.name}` is not an RSA key", reason="runtime-key-invalid", origin=key.origin)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
