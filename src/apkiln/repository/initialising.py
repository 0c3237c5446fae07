"""A new repository: its directory, its key, the empty indexes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.apk.index import write_index
from apkiln.formats.apk.keys import is_key_name, parse_public_key
from apkiln.formats.apk.pkginfo import is_safe_name
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.layout import INDEX, NOARCH, PUBLIC_SUFFIX, private_key_directory
from apkiln.repository.publishing import DESCRIPTION
from apkiln.system.files import Files, exists_already
from apkiln.system.signer import KEY_BITS, Signer, generate_key_pair, load_signer, write_key_pair

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}")


@dataclass(frozen=True, slots=True)
class NewRepository:
    """What `initialise` made."""

    directory: PurePath
    key_name: str
    """File name of the public key in the directory."""
    private_key: PurePath
    architectures: tuple[str, ...]
    """Those that have an empty index."""


def initialise(
    directory: PurePath,
    files: Files,
    *,
    key_name: str = "",
    private_key: PurePath | None = None,
    architectures: Sequence[str] = (),
    bits: int = KEY_BITS,
) -> NewRepository:
    """Make `directory` with a public key and an empty signed index for each architecture; all of it or nothing.

    `private_key`: an existing key to use; otherwise one is made in `keys/` beside the directory (mode 0600), named
    `key_name` or after the directory and the key itself, so that names of different keys do not collide at clients.
    Raises ConflictError `output-exists` when the directory (unless empty) or the key exists, FormatError `bad-key-name`,
    `bad-architecture`.
    """
    for arch in architectures:
        if not is_safe_name(arch) or arch == NOARCH:
            raise FormatError(f"`{arch}` is not an architecture", reason="bad-architecture", origin=Origin(source=arch))
    in_place = _is_empty_directory(directory, files)
    signer, path = (load_signer(private_key, files), private_key) if private_key else _new_key(directory, files, key_name, bits)
    contents = {signer.name: signer.public_key()}
    for arch in sorted(set(architectures)):
        contents[f"{arch}/{INDEX}"] = write_index([], DESCRIPTION, canonical_codec(), [signer])
    _write(directory, contents, in_place, files)
    return NewRepository(directory, signer.name, path, tuple(sorted(set(architectures))))


def _is_empty_directory(directory: PurePath, files: Files) -> bool:
    status = files.status(directory)
    if status is None:
        return False
    if not status.is_directory or files.list(directory):
        raise exists_already(directory)
    return True


def _new_key(directory: PurePath, files: Files, key_name: str, bits: int) -> tuple[Signer, PurePath]:
    pair = generate_key_pair("unnamed", bits)
    name = (key_name or _default_name(directory, pair.signer.public_key())).removesuffix(PUBLIC_SUFFIX)
    if not is_key_name(name):
        raise FormatError(f"{name!r} cannot name a key", reason="bad-key-name", origin=Origin(source=name))
    keys = private_key_directory(directory)
    files.make_directory(keys, 0o700)
    write_key_pair(pair, keys / name, keys / (name + PUBLIC_SUFFIX), files)
    return load_signer(keys / name, files), keys / name


def _default_name(directory: PurePath, public_key: bytes) -> str:
    stem = directory.name if _PLAIN.fullmatch(directory.name) else "repository"
    return f"{stem}-{parse_public_key('key', public_key).fingerprint.hex[:8]}.rsa"


def _write(directory: PurePath, contents: dict[str, bytes], in_place: bool, files: Files) -> None:
    if not in_place:
        files.make_directory(directory.parent)
        with files.tree(directory) as tree:
            for path, data in contents.items():
                tree.write(path, data)
        return
    for path, data in contents.items():
        files.make_directory((directory / path).parent)
        with files.create(directory / path) as stream:
            stream.write(data)
