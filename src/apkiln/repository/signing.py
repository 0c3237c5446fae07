"""The keys of a repository directory: which it publishes, and with which it signs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from apkiln.core.errors import ConflictError, UnavailableError
from apkiln.core.limits import KIB
from apkiln.core.origin import Origin
from apkiln.formats.apk.keys import Keyring, PublicKey, parse_public_key
from apkiln.repository.layout import PUBLIC_SUFFIX, private_key_directory
from apkiln.system.files import FileReader, Files
from apkiln.system.signer import Signer, load_signer

_LARGEST = 64 * KIB


class PublishedKey(NamedTuple):
    """A public key in the repository."""

    key: PublicKey
    private: PurePath | None
    """Its private half, where one was found."""


def published_keys(directory: PurePath, files: FileReader) -> tuple[PublishedKey, ...]:
    """Every public key of the repository, by name."""
    found = []
    for name in files.list(directory):
        if name.endswith(PUBLIC_SUFFIX):
            key = parse_public_key(name, files.read(directory / name, _LARGEST))
            private = private_key_directory(directory) / name.removesuffix(PUBLIC_SUFFIX)
            found.append(PublishedKey(key, private if files.status(private) is not None else None))
    return tuple(found)


def keyring(directory: PurePath, files: FileReader) -> Keyring:
    """What the repository's own indexes must verify with."""
    return Keyring.of(item.key for item in published_keys(directory, files))


def signers(directory: PurePath, named: Sequence[PurePath], files: FileReader) -> tuple[Signer, ...]:
    """The private keys to sign with: the `named` ones, else those beside the repository that fit its public keys.

    Raises UnavailableError `signing-key-missing`, ConflictError `key-name-taken` when a public key of that name in the
    repository is another key, and the errors of `load_signer`.
    """
    paths = list(named) or [item.private for item in published_keys(directory, files) if item.private is not None]
    if not paths:
        raise UnavailableError(
            f"no private key to sign `{directory}` with",
            reason="signing-key-missing",
            origin=Origin(source=str(private_key_directory(directory))),
            hint="name one with `--key FILE`",
        )
    found = tuple(load_signer(path, files) for path in paths)
    for signer, path in zip(found, paths, strict=True):
        _check_public(directory, signer, path, files)
    return found


def publish_keys(directory: PurePath, found: Sequence[Signer], files: Files) -> None:
    """Put public keys that the repository does not have yet in place; they come before an index that needs them."""
    for signer in found:
        if files.status(directory / signer.name) is None:
            with files.create(directory / signer.name) as stream:
                stream.write(signer.public_key())


def _check_public(directory: PurePath, signer: Signer, path: PurePath, files: FileReader) -> None:
    place = directory / signer.name
    if files.status(place) is None:
        return
    published = parse_public_key(signer.name, files.read(place, _LARGEST))
    if published.fingerprint != parse_public_key(signer.name, signer.public_key()).fingerprint:
        raise ConflictError(
            f"`{place}` is not the public half of `{path}`",
            reason="key-name-taken",
            origin=Origin(source=str(path)),
            hint="a new key needs a new name",
        )
