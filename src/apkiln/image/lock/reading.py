"""Locks read back, apko's and ours; every fault of a document is told at once (spec image.md §4.1)."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from apkiln.acquire.facts import Member
from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk.dependency import is_package_name
from apkiln.formats.apk.version import is_valid
from apkiln.image.lock.document import (
    NO_MEMBER,
    VERSION,
    Lock,
    LockedBase,
    LockedFile,
    LockedKey,
    LockedPackage,
    LockedRepository,
)

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ARCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_URL = re.compile(r"[^\x00-\x20\x7f@][^\x00-\x20\x7f]{0,4095}")
_LENGTHS = {"sha1": 20, "sha256": 32}
_AGAIN = "make the lock again with `apkiln image lock`"


def parse_lock(content: bytes, source: str = "", limits: Limits = DEFAULT_LIMITS) -> Lock:
    """The lock.  Keys that nobody knows are passed over.

    Raises FormatError or a FaultGroup: `lock-invalid` (not JSON, wrong type, missing or malformed value), `lock-version`,
    `lock-row-without-checksum` (locks older than apko 0.13), `lock-row-twice`, `lock-too-large`.
    """
    origin = Origin(source)
    if len(content) > limits.document:
        message = f"{len(content)} bytes are more than the limit of {limits.document}"
        raise FormatError(message, reason="lock-too-large", origin=origin)
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as cause:
        raise FormatError(f"the lock is not JSON: {cause}", reason="lock-invalid", origin=origin, hint=_AGAIN) from None
    faults = FaultCollector.empty()
    lock = _lock(_Node(value, "", origin, faults))
    faults.raise_if_any()
    return lock


class _Node:
    """A JSON value and where it stands.  Reading a wrong value adds a fault and goes on with an empty one."""

    def __init__(self, value: Any, path: str, origin: Origin, faults: FaultCollector) -> None:
        self.value = value
        self.path = path
        self._origin = origin
        self._faults = faults

    def refuse(self, message: str, reason: str = "lock-invalid", package: str = "") -> None:
        place = Origin(self._origin.source, member=self.path, package=package)
        self._faults.add(FormatError(message, reason=reason, origin=place, hint=_AGAIN))

    def has(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def member(self, key: str, kind: type, *, required: bool = True) -> _Node:
        """The value under `key`, or an empty one of its kind."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        found = _Node(value, f"{self.path}.{key}" if self.path else key, self._origin, self._faults)
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return found
        if value is not None or required:
            names = {dict: "an object", list: "a list", str: "a text", int: "a whole number", bool: "true or false"}
            found.refuse(f"`{found.path}` {'is missing' if value is None else f'must be {names[kind]}'}")
        found.value = kind()
        return found

    def text(self, key: str, *, required: bool = True) -> str:
        return str(self.member(key, str, required=required).value)

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.member(key, list, required=False)
        if not all(isinstance(item, str) for item in found.value):
            found.refuse(f"`{found.path}` must be a list of texts")
            return ()
        return tuple(found.value)

    def rows(self, key: str, *, required: bool = True) -> Iterator[_Node]:
        found = self.member(key, list, required=required)
        for number, value in enumerate(found.value):
            row = _Node(value, f"{found.path}[{number}]", self._origin, self._faults)
            if isinstance(value, dict):
                yield row
            else:
                row.refuse(f"`{row.path}` must be an object")


def _lock(document: _Node) -> Lock:
    if not isinstance(document.value, dict):
        document.refuse("the lock must be an object")
    elif document.value.get("version") != VERSION:
        found = document.value.get("version")
        document.refuse(f"the lock has version {found!r}, known is `{VERSION}`", "lock-version")
    config = document.member("config", dict, required=False)
    contents = document.member("contents", dict)
    requested = document.member("requested", dict, required=False)
    return Lock(
        config.text("name", required=False),
        config.text("checksum", required=False),
        tuple(_key(row) for row in contents.rows("keyring")),
        tuple(_repository(row) for row in contents.rows("build_repositories", required=False)),
        tuple(_repository(row) for row in contents.rows("runtime_repositories", required=False)),
        tuple(_repository(row) for row in contents.rows("repositories", required=False)),
        _packages(contents),
        tuple((arch, requested.texts(arch)) for arch in requested.value),
        document.texts("flags"),
        document.texts("drift"),
        tuple(_file(row) for row in document.rows("files", required=False)),
        _bases(document.member("baseimage", dict, required=False)),
    )


def _key(row: _Node) -> LockedKey:
    discovered = row.member("discovered", bool, required=False).value
    return LockedKey(row.text("name"), row.text("url"), row.text("content"), discovered)


def _bases(node: _Node) -> tuple[LockedBase, ...]:
    found = []
    for arch in node.value:
        text = node.text(arch)
        if not _DIGEST.fullmatch(text):
            node.refuse(f"`{node.path}.{arch}` must be `sha256:` and 64 hex digits")
        found.append(LockedBase(arch, text))
    return tuple(found)


def _repository(row: _Node) -> LockedRepository:
    ours = {key: row.text(key, required=False) for key in ("index_sha256", "fetched", "generation")}
    return LockedRepository(row.text("name"), row.text("url"), row.text("architecture"), **ours)


def _file(row: _Node) -> LockedFile:
    return LockedFile(row.text("path"), row.text("kind"), _hex(row, "sha256"))


def _packages(contents: _Node) -> tuple[LockedPackage, ...]:
    """Equal rows count once; two different ones for one name on one architecture are a fault."""
    found: dict[tuple[str, str], LockedPackage] = {}
    for row in contents.rows("packages"):
        package = _package(row)
        key = package.architecture, package.name
        if found.setdefault(key, package) != package:
            row.refuse(f"`{package.name}` stands twice for {package.architecture}", "lock-row-twice", package.name_version)
    return tuple(found.values())


def _package(row: _Node) -> LockedPackage:
    name, version, arch = row.text("name"), row.text("version"), row.text("architecture")
    package = f"{name}-{version}"
    if not is_package_name(name):
        row.refuse(f"{name!r} is no package name", package=package)
    if not is_valid(version):
        row.refuse(f"{version!r} is no version", package=package)
    if not _ARCH.fullmatch(arch):
        row.refuse(f"{arch!r} is no architecture", package=package)
    if not _URL.fullmatch(row.text("url")):
        row.refuse(f"`{row.path}.url` must be a path or a URL without spaces", package=package)
    data = _member(row, "data", "sha256")
    size = row.member("size", int, required=False).value or data.offset + data.length
    if not data.length:
        row.refuse(f"{package} has no range for its data, so its size is not known", package=package)
    elif size != data.offset + data.length:
        row.refuse(f"{package} has a size of {size}, its data ends at {data.offset + data.length}", package=package)
    return LockedPackage(
        name,
        row.text("url"),
        version,
        arch,
        _member(row, "signature", "sha1"),
        _member(row, "control", "sha1"),
        data,
        _identity(row, package),
        _hex(row, "sha256", required=False),
        size,
        row.text("origin", required=False),
        row.texts("depends_on"),
        row.texts("requested_by"),
        row.text("tag", required=False),
        row.text("listed_architecture", required=False),
        row.member("order", int, required=False).value,
    )


def _identity(row: _Node, package: str) -> bytes:
    text = row.text("checksum", required=False)
    if not text:
        row.refuse(f"{package} has no checksum", "lock-row-without-checksum", package)
        return b""
    value = _base64(text.removeprefix("Q1")) if text.startswith("Q1") else b""
    if len(value) != _LENGTHS["sha1"]:
        row.refuse(f"`{text}` is no checksum", package=package)
    return value


def _member(row: _Node, key: str, algorithm: str) -> Member:
    found = row.member(key, dict)
    span, checksum = found.text("range", required=False), found.text("checksum", required=False)
    if not span and not checksum:
        return NO_MEMBER
    matched = _RANGE.fullmatch(span)
    value = _base64(checksum.removeprefix(f"{algorithm}-")) if checksum.startswith(f"{algorithm}-") else b""
    if matched is None or int(matched[2]) < int(matched[1]):
        found.refuse(f"`{found.path}.range` must be `bytes=FIRST-LAST`")
        return NO_MEMBER
    if len(value) != _LENGTHS[algorithm]:
        found.refuse(f"`{found.path}.checksum` must be `{algorithm}-` and base64")
    return Member(int(matched[1]), int(matched[2]) - int(matched[1]) + 1, value)


def _hex(row: _Node, key: str, *, required: bool = True) -> str:
    text = row.text(key, required=required)
    if text and not _SHA256.fullmatch(text):
        row.refuse(f"`{row.path}.{key}` must be 64 lower-case hex digits")
    return text


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
