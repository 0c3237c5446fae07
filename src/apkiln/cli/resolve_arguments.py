"""Arguments of every command that solves an image definition, and the resolution they give (spec image.md §3)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from apkiln.cli.definition_arguments import add_definition_arguments, load_definition
from apkiln.core.errors import UsageError

if TYPE_CHECKING:
    from apkiln.acquire.access import Access
    from apkiln.cli.context import Context
    from apkiln.core.limits import Limits
    from apkiln.image.configuration.loading import LoadedConfiguration
    from apkiln.image.resolving import Resolution

_LIMITS = (
    ("--max-apkindex-decompressed-size", "index_decompressed", "an index, unpacked"),
    ("--max-apk-control-size", "control_decompressed", "a package's control section, unpacked"),
    ("--max-apk-data-size", "data_decompressed", "a package's files, unpacked"),
    ("--max-http-response-size", "http_response", "an HTTP response"),
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
    group.add_argument(
        "--ignore-signatures", action=argparse.BooleanOptionalAction, default=False, help="take unsigned indexes"
    )
    group.add_argument("--build-date", metavar="TIME", default="", help="RFC 3339; dates what no package dates")
    group.add_argument(
        "--drift", metavar="NAME", action="append", default=[], help="may differ between architectures; `allow` = all may"
    )
    limits = parser.add_argument_group("limits, in bytes or with K, M, G; 0 = default, -1 = none")
    for flag, _, what in _LIMITS:
        limits.add_argument(flag, metavar="SIZE", default="0", help=what)


def resolve_definition(arguments: argparse.Namespace, context: Context) -> Resolved:
    """Load the definition and decide its packages; remarks go to the reporter."""
    from os import uname

    from apkiln.cli.access import open_access
    from apkiln.core.arch import Arch
    from apkiln.image.plan import parse_build_date, parse_epoch
    from apkiln.image.resolving import ResolveOptions, resolve

    loaded = load_definition(arguments, context)
    access = open_access(context, limits_of(arguments, context.settings.limits))
    epoch = context.settings.environment.get("SOURCE_DATE_EPOCH", "")
    options = ResolveOptions(
        Arch.parse(uname().machine),
        parse_epoch(epoch) if epoch else None,
        parse_build_date(arguments.build_date) if arguments.build_date else 0,
        arguments.ignore_signatures,
        tuple(name for value in arguments.drift for name in value.split(",") if name),
    )
    resolution = resolve(loaded.configuration, loaded.checksum, options, access)
    for notice in resolution.notices:
        context.reporter.note(notice)
    return Resolved(loaded, resolution, access)


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
