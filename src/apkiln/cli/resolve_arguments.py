"""Arguments of every command that solves an image definition, and the resolution they give (spec image.md §3)."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from apkiln.cli.definition_arguments import add_definition_arguments, load_definition
from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.acquire.access import Access
    from apkiln.acquire.packages import SinkFactory
    from apkiln.cli.context import Context
    from apkiln.core.limits import Limits
    from apkiln.image.configuration.loading import LoadedConfiguration
    from apkiln.image.lock.replaying import LockFile
    from apkiln.image.place import Place
    from apkiln.image.resolving import Resolution, ResolveOptions

_LIMITS = (
    ("--max-apkindex-decompressed-size", "index_decompressed", "an index, unpacked"),
    ("--max-apk-control-size", "control_decompressed", "a package's control section, unpacked"),
    ("--max-apk-data-size", "data_decompressed", "a package's files, unpacked"),
    ("--max-http-response-size", "http_response", "an HTTP response"),
)
_DISCOVERY = (
    "also trust the keys that https repositories offer by themselves (`apk-configuration`; for Alpine the list of its website): "
    "whoever controls those hosts is believed; a lock pins what was found"
)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NO_LIMIT = 1 << 62


class Resolved(NamedTuple):
    """A definition and its plan."""

    loaded: LoadedConfiguration
    resolution: Resolution
    access: Access


def add_resolve_arguments(parser: argparse.ArgumentParser) -> None:
    """`CONFIG`, the flags that add to it, and those that decide about packages."""
    add_definition_arguments(parser)
    group = parser.add_argument_group("packages")
    group.add_argument("--ignore-signatures", action=argparse.BooleanOptionalAction, default=False, help="take unsigned indexes")
    group.add_argument("--discover-keys", action="store_true", help=_DISCOVERY)
    group.add_argument("--build-date", metavar="TIME", default="", help="RFC 3339; dates what no package dates")
    group.add_argument(
        "--drift", metavar="NAME", action="append", default=[], help="may differ between architectures; `allow` = all may"
    )
    limits = parser.add_argument_group("limits, in bytes or with K, M, G; 0 = default, -1 = none")
    for flag, _, what in _LIMITS:
        limits.add_argument(flag, metavar="SIZE", default="0", help=what)


def add_lock_arguments(parser: argparse.ArgumentParser) -> None:
    """`--lockfile` and `--locked`, for commands that resolve and can do without."""
    group = parser.add_argument_group("lock")
    group.add_argument("--lockfile", metavar="FILE", help="take the packages from this lock; no index is opened")
    group.add_argument("--locked", action="store_true", help="the same with the lock beside CONFIG (`image.lock.json`)")


def resolve_definition(
    arguments: argparse.Namespace, context: Context, sinks: Callable[[Access], SinkFactory] | None = None
) -> Resolved:
    """Load the definition and decide its packages, from the indexes or from a lock; remarks go to the reporter.

    `sinks`: who sees the packages that are fetched for a lock.
    """
    from apkiln.cli.access import open_access
    from apkiln.image.resolving import resolve

    loaded = load_definition(arguments, context)
    access = open_access(context, limits_of(arguments, context.settings.limits))
    options = resolve_options(arguments, context)
    path = lock_path(arguments)
    if path:
        from apkiln.image.lock.replaying import resolve_locked

        file = read_lock(path, arguments, context)
        resolution = resolve_locked(file, loaded, options, access, sinks(access) if sinks else None, base_opener(context))
    else:
        resolution = resolve(loaded.configuration, loaded.checksum, options, access, base_opener(context))
    for notice in resolution.notices:
        context.reporter.note(notice)
    return Resolved(loaded, resolution, access)


def base_opener(context: Context) -> Callable[[str], Place]:
    """`open_base_place` for one run."""
    return lambda text: open_base_place(text, context)


def open_base_place(text: str, context: Context) -> Place:
    """The place of a base image: a layout or archive, or `registry:HOST/NAME@DIGEST` (the word before the colon may be left
    out).  Raises UsageError (`base-without-digest`) and what `open_named_place` raises."""
    from apkiln.cli.places import open_named_place
    from apkiln.image.registry_place import PREFIX

    if not text.startswith(PREFIX) and "@sha256:" not in text:
        return open_named_place(text, context)
    if "@sha256:" not in text:
        hint = "write `registry:HOST/NAME@sha256:…`, so that the same definition always means the same image"
        raise UsageError(f"`{text}` names a base image without a digest", reason="base-without-digest", hint=hint)
    return open_named_place(PREFIX + text.removeprefix(PREFIX), context)


def resolve_options(arguments: argparse.Namespace, context: Context) -> ResolveOptions:
    """What the flags and the environment decide."""
    from os import uname

    from apkiln.core.arch import Arch
    from apkiln.image.plan import parse_build_date, parse_epoch
    from apkiln.image.resolving import ResolveOptions

    epoch = context.settings.environment.get("SOURCE_DATE_EPOCH", "")
    return ResolveOptions(
        Arch.parse(uname().machine),
        parse_epoch(epoch) if epoch else None,
        parse_build_date(arguments.build_date) if arguments.build_date else 0,
        arguments.ignore_signatures,
        tuple(name for value in arguments.drift for name in value.split(",") if name),
        arguments.discover_keys,
    )


def lock_path(arguments: argparse.Namespace) -> str:
    """The lock to build from; empty = none.  Raises UsageError (`bad-arguments`)."""
    given: str = getattr(arguments, "lockfile", None) or ""
    if not getattr(arguments, "locked", False):
        return given
    if given:
        raise UsageError("give either `--lockfile` or `--locked`", reason="bad-arguments")
    return default_lock_path(arguments.config)


def default_lock_path(config: str) -> str:
    """`image.yaml` → `image.lock.json`."""
    directory, slash, name = config.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return f"{directory}{slash}{stem}.lock.json"


def read_lock(path: str, arguments: argparse.Namespace, context: Context) -> LockFile:
    """The lock at `path`.  Raises what `parse_lock` raises, and UnavailableError (`missing-file`)."""
    from pathlib import Path

    from apkiln.image.lock.reading import parse_lock
    from apkiln.image.lock.replaying import LockFile
    from apkiln.system.files import DiskFiles

    limits = context.settings.limits
    content = DiskFiles().read(Path(context.settings.working_directory, path), limits.document)
    return LockFile(parse_lock(content, path, limits), path, definition_directory(arguments, context))


def definition_directory(arguments: argparse.Namespace, context: Context) -> Path:
    """Where CONFIG lies."""
    from pathlib import Path

    return Path(context.settings.working_directory, arguments.config).parent


def limits_of(arguments: argparse.Namespace, limits: Limits) -> Limits:
    """The limits with what the flags say.  Raises UsageError (`bad-size`)."""
    changed = {}
    for flag, field, _ in _LIMITS:
        size = _size(getattr(arguments, flag.removeprefix("--").replace("-", "_")), flag)
        if size:
            changed[field] = _NO_LIMIT if size < 0 else size
    return replace(limits, **changed)


def _size(text: str, flag: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    if unit not in _UNITS or not number.removeprefix("-").isdecimal() or (number.startswith("-") and text != "-1"):
        raise UsageError(f"`{text}` is no size", reason="bad-size", hint=f"write {flag} as bytes or with K, M, G")
    return int(number) * _UNITS[unit]
