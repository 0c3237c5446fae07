"""Locks as bytes: two-space indent, keys in apko's order with ours behind them, final newline.  One value, one form."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from apkiln.acquire.facts import Member
from apkiln.core import canonical_json
from apkiln.image.lock.document import VERSION, Lock, LockedPackage, LockedRepository


def write_lock(lock: Lock) -> bytes:
    """The document.  apko reads it: its decoder passes over keys that it does not know."""
    contents = {
        "keyring": [_without_empty(key._asdict(), ("discovered",)) for key in lock.keyring],
        "build_repositories": [_repository(item) for item in lock.build_repositories],
        "runtime_repositories": [_repository(item) for item in lock.runtime_repositories],
        "repositories": [_repository(item) for item in lock.repositories],
        "packages": [_package(item) for item in lock.packages],
    }
    config = {"name": lock.configuration_name, "checksum": lock.configuration_checksum}
    document: dict[str, Any] = {"version": VERSION}
    if lock.configuration_checksum:
        document["config"] = config
    document["contents"] = contents
    if lock.is_ours:
        document["requested"] = {arch: list(world) for arch, world in lock.requested}
        document["flags"] = list(lock.flags)
        document["drift"] = list(lock.drift)
        document["files"] = [item._asdict() for item in lock.files]
        if lock.bases:
            document["baseimage"] = {item.architecture: item.digest for item in lock.bases}
    return canonical_json.encode_pretty(document)


def _repository(item: LockedRepository) -> dict[str, Any]:
    return _without_empty(item._asdict(), ("index_sha256", "fetched", "generation"))


def _package(item: LockedPackage) -> dict[str, Any]:
    document = {
        "name": item.name,
        "url": item.url,
        "version": item.version,
        "architecture": item.architecture,
        "signature": _member(item.signature, "sha1"),
        "control": _member(item.control, "sha1"),
        "data": _member(item.data, "sha256"),
        "checksum": f"Q1{b64encode(item.identity).decode()}",
        "sha256": item.sha256,
        "size": item.size,
        "origin": item.origin,
        "depends_on": list(item.depends_on),
        "requested_by": list(item.requested_by),
        "tag": item.tag,
        "listed_architecture": item.listed_architecture,
        "order": item.order,
    }
    if not item.sha256:
        return {key: value for key, value in document.items() if key in _V1}
    return _without_empty(document, ("origin", "requested_by", "tag", "listed_architecture", "order"))


_V1 = ("name", "url", "version", "architecture", "signature", "control", "data", "checksum")


def _member(member: Member, algorithm: str) -> dict[str, str]:
    if not member.length:
        return {"range": "", "checksum": ""}
    last = member.offset + member.length - 1
    return {"range": f"bytes={member.offset}-{last}", "checksum": f"{algorithm}-{b64encode(member.digest).decode()}"}


def _without_empty(document: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value or key not in keys}
