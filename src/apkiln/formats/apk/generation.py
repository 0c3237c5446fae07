"""`generation.json`: what a repository signs beside its indexes, so that old, mixed and withheld ones are noticed (spec
repository.md §4.4).  Plain apk repositories have none."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.signature import Signature, verify

FILE = "generation.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_SIGNATURES = 64
_LARGEST = 1 << 62


class GenerationDocument(NamedTuple):
    """A verified document."""

    repository: str
    generation: int
    created: int
    """Unix seconds."""
    expires: int
    indexes: tuple[tuple[str, str], ...]
    """(architecture, hex SHA-256 of its index), sorted."""
    sums: str
    """Hex SHA-256 of `packages.sha256`."""


def read_generation(document: bytes, signatures: bytes, keyring: Keyring) -> GenerationDocument:
    """The content of a document that a key of `keyring` signed; nothing in it is believed before that.

    VerificationError as `signature.verify`; FormatError `generation-format`.
    """
    check_signatures(document, signatures, keyring)
    value = _object(document)
    if value.get("schema") != 1:
        raise _bad(f"schema {value.get('schema')!r} is not known")
    arches = value.get("arches")
    if not isinstance(arches, dict) or not all(isinstance(item, dict) for item in arches.values()):
        raise _bad("`arches` is not a table")
    indexes = tuple((arch, _digest(item.get("sha256"), f"arches.{arch}.sha256")) for arch, item in sorted(arches.items()))
    repository = value.get("repo")
    if not isinstance(repository, str) or not repository:
        raise _bad("`repo` is not a name")
    number, created, expires = (_count(value.get(name), name) for name in ("generation", "created", "expires"))
    return GenerationDocument(
        repository, number, created, expires, indexes, _digest(value.get("packages_sha256"), "packages_sha256")
    )


def check_signatures(document: bytes, signatures: bytes, keyring: Keyring) -> str:
    """The name of the key that signed; `signatures` is the content of `generation.json.sig`."""
    found = _list(signatures)
    if len(found) > _MOST_SIGNATURES:
        raise _bad(f"it has {len(found)} signatures")
    try:
        given = [Signature(item["algorithm"], item["key"], b64decode(item["signature"], validate=True)) for item in found]
    except (TypeError, KeyError, ValueError) as error:
        raise _bad("its signatures cannot be read") from error
    return verify(given, document, keyring, allow_sha1=False)


def _object(data: bytes) -> dict[str, Any]:
    value = _json(data)
    if not isinstance(value, dict):
        raise _bad("it is not an object")
    return value


def _list(data: bytes) -> list[Any]:
    value = _json(data)
    if not isinstance(value, list):
        raise _bad("its signatures are not a list")
    return value


def _json(data: bytes) -> object:
    try:
        return json.loads(data, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not JSON: {error}") from error


def _refuse(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _count(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LARGEST:
        raise _bad(f"`{name}` is not a positive number")
    return value


def _digest(value: object, name: str) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise _bad(f"`{name}` is not a SHA-256")
    return value


def _bad(why: str) -> FormatError:
    return FormatError(f"the document of the generation: {why}", reason="generation-format", origin=Origin(member=FILE))
