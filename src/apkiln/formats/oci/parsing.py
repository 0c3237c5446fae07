"""Foreign manifests, indexes and configurations to values, strictly: what is needed must be there and of its type.

Unknown members are ignored: the documents are other people's.  Every refusal is a FormatError `bad-document` that names the
document and the member, or the reason of what it contains (`bad-digest`).
"""

from __future__ import annotations

import json
from hashlib import new

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import (
    Configuration,
    Descriptor,
    Healthcheck,
    History,
    Index,
    Manifest,
    Pairs,
    Platform,
    Process,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

NOWHERE = Origin()
_LARGEST_SIZE = 1 << 50


def check_content(descriptor: Descriptor, content: bytes, origin: Origin = NOWHERE) -> None:
    """VerificationError `size-mismatch` or `digest-mismatch` unless `content` is what the descriptor refers to."""
    place = origin.filled(Origin(digest=str(descriptor.digest)))
    if len(content) != descriptor.size:
        message = f"{len(content)} bytes where the descriptor says {descriptor.size}"
        raise VerificationError(message, reason="size-mismatch", origin=place)
    if new(descriptor.digest.algorithm, content).digest() != descriptor.digest.value:
        raise VerificationError("other bytes than the descriptor says", reason="digest-mismatch", origin=place)


def parse_index(content: bytes, origin: Origin = NOWHERE, limits: Limits = DEFAULT_LIMITS) -> Index:
    """An image index or a Docker manifest list."""
    document = _Member.document(content, origin, limits)
    _check_schema(document)
    return Index(
        manifests=tuple(_descriptor(row) for row in document.members("manifests")),
        annotations=document.pairs("annotations"),
        artifact_type=document.text("artifactType"),
        subject=_descriptor(document.member("subject", dict)) if document.has("subject") else None,
        media_type=document.text("mediaType") or media_types.INDEX,
    )


def parse_manifest(content: bytes, origin: Origin = NOWHERE, limits: Limits = DEFAULT_LIMITS) -> Manifest:
    """An image manifest, OCI's or Docker's; also that of another artifact."""
    document = _Member.document(content, origin, limits)
    _check_schema(document)
    return Manifest(
        config=_descriptor(document.member("config", dict)),
        layers=tuple(_descriptor(row) for row in document.members("layers")),
        annotations=document.pairs("annotations"),
        artifact_type=document.text("artifactType"),
        subject=_descriptor(document.member("subject", dict)) if document.has("subject") else None,
        media_type=document.text("mediaType") or media_types.MANIFEST,
    )


def parse_configuration(content: bytes, origin: Origin = NOWHERE, limits: Limits = DEFAULT_LIMITS) -> Configuration:
    """An image configuration."""
    document = _Member.document(content, origin, limits)
    rootfs = document.member("rootfs", dict)
    history = document.members("history") if document.has("history") else []
    process = document.member("config", dict) if document.has("config") else document.empty("config")
    return Configuration(
        platform=_platform(document),
        created=document.text("created"),
        author=document.text("author"),
        diff_ids=tuple(Digest.parse(text) for text in rootfs.texts("diff_ids")),
        history=tuple(_history(row) for row in history),
        process=_process(process),
    )


class DockerRow(NamedTuple):
    """One image of a Docker archive's `manifest.json`."""

    configuration: str
    """Name of the configuration file in the archive."""
    layers: tuple[str, ...]
    """Names of the layer files, lowest first."""
    tags: tuple[str, ...]


def parse_docker_manifest(content: bytes, origin: Origin = NOWHERE, limits: Limits = DEFAULT_LIMITS) -> tuple[DockerRow, ...]:
    """The table of images of a Docker archive."""
    rows = _Member(_decoded(content, origin, limits), "", origin)
    if not isinstance(rows.value, list):
        rows.refuse("must be a list")
    found = [_Member(row, f"[{number}]", origin) for number, row in enumerate(rows.value)]
    return tuple(
        DockerRow(row.required_text("Config"), row.texts("Layers"), row.texts("RepoTags") if row.has("RepoTags") else ())
        for row in found
    )


class _Member:
    """A JSON value and where it stands in its document."""

    __slots__ = ("origin", "path", "value")

    def __init__(self, value: Any, path: str, origin: Origin) -> None:
        self.value = value
        self.path = path
        self.origin = origin

    @classmethod
    def document(cls, content: bytes, origin: Origin, limits: Limits) -> _Member:
        found = cls(_decoded(content, origin, limits), "", origin)
        if not isinstance(found.value, dict):
            found.refuse("must be an object")
        return found

    def refuse(self, why: str) -> NoReturn:
        what = f"`{self.path}`" if self.path else "the document"
        raise FormatError(f"{what} {why}", reason="bad-document", origin=self.origin)

    def empty(self, key: str) -> _Member:
        return _Member({}, self._below(key), self.origin)

    def has(self, key: str) -> bool:
        self._must_be(dict)
        return self.value.get(key) is not None

    def member(self, key: str, kind: type) -> _Member:
        self._must_be(dict)
        found = _Member(self.value.get(key), self._below(key), self.origin)
        if found.value is None:
            found.refuse("is missing")
        found._must_be(kind)
        return found

    def members(self, key: str) -> list[_Member]:
        found = self.member(key, list)
        rows = [_Member(row, f"{found.path}[{number}]", self.origin) for number, row in enumerate(found.value)]
        for row in rows:
            row._must_be(dict)
        return rows

    def text(self, key: str) -> str:
        return str(self.member(key, str).value) if self.has(key) else ""

    def required_text(self, key: str) -> str:
        return str(self.member(key, str).value)

    def number(self, key: str) -> int:
        return int(self.member(key, int).value) if self.has(key) else 0

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.member(key, list)
        if not all(isinstance(item, str) for item in found.value):
            found.refuse("must be a list of texts")
        return tuple(found.value)

    def optional_texts(self, key: str) -> tuple[str, ...]:
        return self.texts(key) if self.has(key) else ()

    def pairs(self, key: str) -> Pairs:
        if not self.has(key):
            return ()
        found = self.member(key, dict)
        if not all(isinstance(value, str) for value in found.value.values()):
            found.refuse("must be a map of texts")
        return tuple(sorted(found.value.items()))

    def keys(self, key: str) -> tuple[str, ...]:
        return tuple(sorted(self.member(key, dict).value)) if self.has(key) else ()

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _must_be(self, kind: type) -> None:
        names = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            self.refuse(f"must be {names[kind]}")


def _decoded(content: bytes, origin: Origin, limits: Limits) -> Any:
    if len(content) > limits.document:
        message = f"{len(content)} bytes are more than the limit of {limits.document}"
        raise FormatError(message, reason="document-too-large", origin=origin)
    try:
        return json.loads(content.decode(), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}", reason="bad-document", origin=origin) from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Members as a dict; a repeated one is refused, as readers differ in which they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member occurs twice")
    return found


def _check_schema(document: _Member) -> None:
    if document.number("schemaVersion") != 2:
        document.refuse("must have `schemaVersion` 2")


def _descriptor(row: _Member) -> Descriptor:
    size = int(row.member("size", int).value)
    if not 0 <= size <= _LARGEST_SIZE:
        row.refuse(f"has the size {size}")
    try:
        digest = Digest.parse(row.required_text("digest"))
    except FormatError as error:
        raise error.located(row.origin) from None
    return Descriptor(
        media_type=row.required_text("mediaType"),
        digest=digest,
        size=size,
        platform=_platform(row.member("platform", dict)) if row.has("platform") else None,
        annotations=row.pairs("annotations"),
        artifact_type=row.text("artifactType"),
        urls=row.optional_texts("urls"),
    )


def _platform(row: _Member) -> Platform:
    return Platform(
        architecture=row.required_text("architecture"),
        os=row.required_text("os"),
        variant=row.text("variant"),
        os_version=row.text("os.version"),
        os_features=row.optional_texts("os.features"),
    )


def _history(row: _Member) -> History:
    return History(
        created=row.text("created"),
        created_by=row.text("created_by"),
        author=row.text("author"),
        comment=row.text("comment"),
        empty_layer=row.has("empty_layer") and bool(row.member("empty_layer", bool).value),
    )


def _process(row: _Member) -> Process:
    return Process(
        cmd=row.optional_texts("Cmd"),
        entrypoint=row.optional_texts("Entrypoint"),
        env=row.optional_texts("Env"),
        labels=row.pairs("Labels"),
        user=row.text("User"),
        volumes=row.keys("Volumes"),
        working_dir=row.text("WorkingDir"),
        exposed_ports=row.keys("ExposedPorts"),
        stop_signal=row.text("StopSignal"),
        healthcheck=_healthcheck(row.member("Healthcheck", dict)) if row.has("Healthcheck") else None,
    )


def _healthcheck(row: _Member) -> Healthcheck:
    return Healthcheck(
        test=row.optional_texts("Test"),
        interval=row.number("Interval"),
        timeout=row.number("Timeout"),
        start_period=row.number("StartPeriod"),
        start_interval=row.number("StartInterval"),
        retries=row.number("Retries"),
    )
