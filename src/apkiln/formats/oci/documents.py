"""Descriptors, manifests, indexes and image configurations as values, and their exact bytes (spec image.md §7, §9).

The byte form is that of Go's encoder, field by field: fixed key order, no spaces, no final newline, maps sorted by key, `<`, `>`
and `&` escaped.  The same image made by apko and by us therefore has the same configuration digest.
"""

from __future__ import annotations

import json
from hashlib import sha256

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.oci import media_types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Pairs = tuple[tuple[str, str], ...]
"""A map, sorted by key."""


class Platform(NamedTuple):
    """What an image runs on."""

    architecture: str
    os: str = "linux"
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def of(cls, arch: Arch) -> Platform:
        return cls(arch.oci_architecture, variant=arch.oci_variant)

    @property
    def arch(self) -> Arch:
        """The architecture as apk knows it."""
        return Arch.parse(f"{self.architecture}/{self.variant}" if self.variant else self.architecture)


class Descriptor(NamedTuple):
    """A reference to content by digest."""

    media_type: str
    digest: Digest
    size: int
    """Bytes."""
    platform: Platform | None = None
    annotations: Pairs = ()
    artifact_type: str = ""
    urls: tuple[str, ...] = ()


class Manifest(NamedTuple):
    """One image, or another artifact of the same shape."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    """Lowest first."""
    annotations: Pairs = ()
    artifact_type: str = ""
    subject: Descriptor | None = None
    media_type: str = media_types.MANIFEST


class Index(NamedTuple):
    """Several images or indexes."""

    manifests: tuple[Descriptor, ...]
    annotations: Pairs = ()
    artifact_type: str = ""
    subject: Descriptor | None = None
    media_type: str = media_types.INDEX


class History(NamedTuple):
    """How one layer came about."""

    created: str = ""
    """RFC 3339."""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Healthcheck(NamedTuple):
    """Docker's health check; durations in nanoseconds, 0 = not given."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Process(NamedTuple):
    """The `config` member: how a container is started."""

    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """`NAME=value`, in order."""
    labels: Pairs = ()
    user: str = ""
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None


@value
class Configuration:
    """An image configuration."""

    platform: Platform
    created: str
    """RFC 3339."""
    author: str
    diff_ids: tuple[Digest, ...]
    """Digests of the uncompressed layers, lowest first."""
    history: tuple[History, ...]
    process: Process


def describe(media_type: str, content: bytes, platform: Platform | None = None, annotations: Pairs = ()) -> Descriptor:
    """The descriptor of bytes at hand."""
    return Descriptor(media_type, Digest.sha256(sha256(content).digest()), len(content), platform, annotations)


def encode_manifest(manifest: Manifest) -> bytes:
    value: dict[str, Any] = {"schemaVersion": 2, "mediaType": manifest.media_type}
    if manifest.artifact_type:
        value["artifactType"] = manifest.artifact_type
    value["config"] = _descriptor(manifest.config)
    value["layers"] = [_descriptor(layer) for layer in manifest.layers]
    return _encode(value | _tail(manifest.annotations, manifest.subject))


def encode_index(index: Index) -> bytes:
    value: dict[str, Any] = {"schemaVersion": 2, "mediaType": index.media_type}
    if index.artifact_type:
        value["artifactType"] = index.artifact_type
    value["manifests"] = [_descriptor(row) for row in index.manifests]
    return _encode(value | _tail(index.annotations, index.subject))


def encode_configuration(configuration: Configuration) -> bytes:
    platform = configuration.platform
    value: dict[str, Any] = {"architecture": platform.architecture}
    value |= _filled({"author": configuration.author, "created": configuration.created})
    value["history"] = [_history(row) for row in configuration.history]
    value["os"] = platform.os
    value["rootfs"] = {"type": "layers", "diff_ids": [str(digest) for digest in configuration.diff_ids]}
    value["config"] = _process(configuration.process)
    value |= _filled({"os.version": platform.os_version, "variant": platform.variant, "os.features": list(platform.os_features)})
    return _encode(value)


def created_time(epoch: int) -> str:
    """Unix seconds as the documents write them: `2023-11-14T22:13:20Z`.  Pure; years 1970 to 9999."""
    days, seconds = divmod(epoch, 86400)
    year, month, day = _civil(days)
    return f"{year:04}-{month:02}-{day:02}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def _civil(days: int) -> tuple[int, int, int]:
    """Days since 1970-01-01 to year, month, day; eras of 400 years that begin in March keep leap days at the end."""
    era, day_of_era = divmod(days + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def _encode(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "&<>\u2028\u2029":
        if char in text:
            text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


def _descriptor(descriptor: Descriptor) -> dict[str, Any]:
    value: dict[str, Any] = {"mediaType": descriptor.media_type, "size": descriptor.size, "digest": str(descriptor.digest)}
    value |= _filled({"urls": list(descriptor.urls), "annotations": dict(sorted(descriptor.annotations))})
    if descriptor.platform is not None:
        value["platform"] = _platform(descriptor.platform)
    return value | _filled({"artifactType": descriptor.artifact_type})


def _platform(platform: Platform) -> dict[str, Any]:
    value = {"architecture": platform.architecture, "os": platform.os}
    return value | _filled(
        {"os.version": platform.os_version, "os.features": list(platform.os_features), "variant": platform.variant}
    )


def _tail(annotations: Pairs, subject: Descriptor | None) -> dict[str, Any]:
    value: dict[str, Any] = {"annotations": dict(sorted(annotations))} if annotations else {}
    return value | ({"subject": _descriptor(subject)} if subject is not None else {})


def _history(row: History) -> dict[str, Any]:
    value = {"author": row.author, "created": row.created, "created_by": row.created_by, "comment": row.comment}
    return _filled(value | {"empty_layer": row.empty_layer})


def _process(process: Process) -> dict[str, Any]:
    return _filled(
        {
            "Cmd": list(process.cmd),
            "Healthcheck": None if process.healthcheck is None else _healthcheck(process.healthcheck),
            "Entrypoint": list(process.entrypoint),
            "Env": list(process.env),
            "Labels": dict(sorted(process.labels)),
            "User": process.user,
            "Volumes": {volume: {} for volume in sorted(process.volumes)},
            "WorkingDir": process.working_dir,
            "ExposedPorts": {port: {} for port in sorted(process.exposed_ports)},
            "StopSignal": process.stop_signal,
        }
    )


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    return _filled(
        {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        }
    )


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
