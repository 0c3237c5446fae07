"""The OCI documents of an image, from its definition and what was built (spec image.md §9, column "ours").  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern
from apkiln.core.secret import redact_url
from apkiln.formats.oci.documents import Configuration, Healthcheck, History, Pairs, Platform, Process, created_time
from apkiln.image.configuration.model import Healthcheck as HealthcheckSettings
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.layer_recipe import StoredLayer

AUTHOR = "apkiln"
CREATED = "org.opencontainers.image.created"
SOURCE = "org.opencontainers.image.source"
REVISION = "org.opencontainers.image.revision"
TITLE = "org.opencontainers.image.title"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
VENDOR = "org.opencontainers.image.vendor"
DEFAULT_ENVIRONMENT = (
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin"),
    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
)
_NAMED_PACKAGES = 8
"""Packages that a history row names; more are counted."""
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = pattern(r"(\d+)(?:\.(\d+))?(ns|us|µs|ms|s|m|h)")


class BuiltLayer(NamedTuple):
    """A layer with the packages that it holds."""

    layer: StoredLayer
    packages: tuple[str, ...]
    """Name and version each, in the order of the layer."""


class Below(NamedTuple):
    """The image that this one builds upon."""

    name: str
    """Its reference in a registry; empty = none."""
    digest: Digest | None
    """Of its manifest."""
    configuration: Configuration


def image_annotations(configuration: ImageConfiguration, epoch: int, vcs_url: str = "", below: Below | None = None) -> Pairs:
    """Annotations of manifests and of the index: those of the definition, the time, source and revision, the base image.

    `vcs_url`: what was found beside the definition; `vcs-url` of the definition comes first.
    """
    source, at, revision = redact_url(configuration.vcs_url or vcs_url).rpartition("@")
    found = dict(configuration.annotations) | {CREATED: created_time(epoch)}
    if at and source:
        found |= {SOURCE: source, REVISION: revision}
    if below is not None and below.name:
        found[BASE_NAME] = below.name
    if below is not None and below.digest is not None:
        found[BASE_DIGEST] = str(below.digest)
    return tuple(sorted(found.items()))


def image_configuration(
    configuration: ImageConfiguration,
    arch: Arch,
    layers: Sequence[BuiltLayer],
    epoch: int,
    user: str,
    vcs_url: str = "",
    below: Below | None = None,
) -> Configuration:
    """The configuration blob of one image.  `user`: `run-as` after user names became numbers; `layers`: without the base's."""
    created = created_time(epoch)
    comment = _comment(configuration, len(layers)) if below is None else ""
    started = process(configuration, image_annotations(configuration, epoch, vcs_url), user)
    rows = tuple(History(created, _created_by(item.packages), AUTHOR, comment) for item in layers)
    if below is not None:
        return _upon(below.configuration, configuration, layers, created, rows, started)
    return Configuration(
        platform=Platform.of(arch),
        created=created,
        author=AUTHOR,
        diff_ids=tuple(item.layer.digests.diff_id for item in layers),
        history=rows,
        process=started,
    )


def _upon(
    old: Configuration,
    settings: ImageConfiguration,
    layers: Sequence[BuiltLayer],
    created: str,
    rows: tuple[History, ...],
    started: Process,
) -> Configuration:
    """The configuration of an image upon another: its layers and history first, its process where ours says nothing."""
    past = old.history
    if sum(1 for row in past if not row.empty_layer) != len(old.diff_ids):
        past = tuple(History(old.created, "base image") for _ in old.diff_ids)
    return Configuration(
        platform=old.platform,
        created=created,
        author=AUTHOR,
        diff_ids=(*old.diff_ids, *(item.layer.digests.diff_id for item in layers)),
        history=(*past, *rows),
        process=inherited(old.process, started, settings),
    )


def inherited(old: Process, new: Process, settings: ImageConfiguration) -> Process:
    """`new` with what only the base says: environment, labels, volumes and ports by key, everything else as a whole.

    A new entrypoint drops the command of the base, which was meant for another program.
    """
    variables = dict(DEFAULT_ENVIRONMENT) | dict(text.partition("=")[::2] for text in old.env) | dict(settings.environment)
    return Process(
        cmd=new.cmd or (() if new.entrypoint else old.cmd),
        entrypoint=new.entrypoint or old.entrypoint,
        env=tuple(sorted(f"{name}={text}" for name, text in variables.items())),
        labels=tuple(sorted((dict(old.labels) | dict(new.labels)).items())),
        user=new.user or old.user,
        volumes=tuple(sorted({*old.volumes, *new.volumes})),
        working_dir=new.working_dir or old.working_dir,
        exposed_ports=tuple(sorted({*old.exposed_ports, *new.exposed_ports})),
        stop_signal=new.stop_signal or old.stop_signal,
        healthcheck=new.healthcheck or old.healthcheck,
    )


def process(configuration: ImageConfiguration, found: Pairs, user: str) -> Process:
    """How a container of the image starts.  `found`: the annotations, which are the labels unless `labels` is given."""
    labels = found if configuration.labels is None else configuration.labels
    check = configuration.healthcheck
    return Process(
        cmd=configuration.cmd.split(),
        entrypoint=configuration.entrypoint.arguments(),
        env=environment(configuration.environment),
        labels=labels,
        user=user,
        volumes=configuration.volumes,
        working_dir=configuration.work_dir,
        exposed_ports=tuple(port for text in configuration.ports for port in exposed_ports(text)),
        stop_signal=configuration.stop_signal,
        healthcheck=None if check is None else _healthcheck(check),
    )


def environment(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """`NAME=value`, sorted, with `PATH` and `SSL_CERT_FILE` unless they are set."""
    merged = dict(DEFAULT_ENVIRONMENT) | dict(pairs)
    return tuple(sorted(f"{name}={value}" for name, value in merged.items()))


def exposed_ports(text: str) -> tuple[str, ...]:
    """`80` → `80/tcp`; `8000-8002/udp` → three ports."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    return tuple(f"{port}/{protocol or 'tcp'}" for port in range(int(first), int(last or first) + 1))


def duration(text: str) -> int:
    """Nanoseconds of `1m30s`, `1.5s` …; 0 for an empty text.  The text was checked when the definition was read."""
    total = 0
    for whole, fraction, unit in _DURATION.findall(text):
        total += int(whole) * _UNITS[unit] + int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
    return total


def _healthcheck(check: HealthcheckSettings) -> Healthcheck:
    return Healthcheck(
        check.test,
        duration(check.interval),
        duration(check.timeout),
        duration(check.start_period),
        duration(check.start_interval),
        check.retries,
    )


def _comment(configuration: ImageConfiguration, layers: int) -> str:
    if layers != 1:
        return ""
    found = dict(configuration.annotations)
    if TITLE in found and VENDOR in found:
        return f"{found[TITLE]} by {found[VENDOR]}"
    return "This is an apkiln single-layer image"


def _created_by(packages: Sequence[str]) -> str:
    named = ", ".join(packages[:_NAMED_PACKAGES])
    more = len(packages) - _NAMED_PACKAGES
    return "apkiln" + (f": {named}" if named else "") + (f" and {more} more" if more > 0 else "")
