"""`apkiln image lock`: the packages of an image written down, so that it can be built again without any index."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.resolve_arguments import (
    add_resolve_arguments,
    base_opener,
    default_lock_path,
    definition_directory,
    limits_of,
    read_lock,
    resolve_definition,
    resolve_options,
)
from apkiln.core.errors import UsageError
from apkiln.core.secret import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apkiln.cli.context import Context
    from apkiln.cli.resolve_arguments import Resolved
    from apkiln.image.difference.comparing import Difference
    from apkiln.image.lock.document import Lock

NAME = "image lock"
HELP = """Write down which packages an image is made of: addresses, sizes, digests, keys, indexes, for all architectures together.

The lock is the document that apko writes, with more in it; apko reads ours, and we build from apko's.  `apkiln image build
--locked` builds from it without opening an index.  Every package is fetched and verified.  The same indexes give the same
bytes."""
EPILOG = """examples:
  apkiln image lock image.yaml
  apkiln image lock image.yaml --output locks/image.lock.json --arch x86_64,aarch64
  apkiln image lock image.yaml --check            exit code 10 when the lock is not what would be resolved now
  apkiln image lock image.yaml --update openssl   newer versions of the packages named, everything else as it is
"""
_DIFFERENT = 10
_FLAGS = (
    ("--build-repository-append", "build_repository_append"),
    ("--drift", "drift"),
    ("--keyring-append", "keyring_append"),
    ("--package-append", "package_append"),
    ("--repository-append", "repository_append"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    add_resolve_arguments(parser)
    group = parser.add_argument_group("lock")
    group.add_argument("--output", metavar="FILE", default="", help="the lock (default: beside CONFIG, `image.lock.json`)")
    group.add_argument("--check", action="store_true", help="write nothing; tell what would be different")
    group.add_argument("--update", metavar="NAME", nargs="+", action="extend", default=[], help="packages to be newer")


def run(arguments: argparse.Namespace, context: Context) -> int:
    path = arguments.output or default_lock_path(arguments.config)
    if arguments.check and arguments.update:
        raise UsageError("give either `--check` or `--update`", reason="bad-arguments")
    if arguments.check:
        return _check(path, arguments, context)
    resolved = _updated(path, arguments, context) if arguments.update else resolve_definition(arguments, context)
    _write(path, resolved, arguments, context)
    return 0


def _check(path: str, arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.difference.comparing import compare_contents
    from apkiln.image.difference.reading import contents_of_lock, contents_of_resolution

    lock = read_lock(path, arguments, context).lock
    resolution = resolve_definition(arguments, context).resolution
    now = contents_of_resolution(resolution, arguments.config, with_requests=lock.is_ours)
    difference = compare_contents(contents_of_lock(lock, path, with_indexes=False), now)
    _print(difference, context)
    return _DIFFERENT if difference else 0


def _print(difference: Difference, context: Context) -> None:
    from apkiln.image.difference.rendering import lines, value

    if context.settings.json:
        context.output.json(value(difference))
        return
    for line in lines(difference):
        context.output.print(line)


def _updated(path: str, arguments: argparse.Namespace, context: Context) -> Resolved:
    from apkiln.cli.access import open_access
    from apkiln.cli.definition_arguments import load_definition
    from apkiln.cli.resolve_arguments import Resolved
    from apkiln.image.lock.locking import resolve_update

    file = read_lock(path, arguments, context)
    names = [name for value in arguments.update for name in value.split(",") if name]
    loaded = load_definition(arguments, context)
    access = open_access(context, limits_of(arguments, context.settings.limits))
    resolution = resolve_update(file, names, loaded, resolve_options(arguments, context), access, base_opener(context))
    for notice in resolution.notices:
        context.reporter.note(notice)
    return Resolved(loaded, resolution, access)


def _write(path: str, resolved: Resolved, arguments: argparse.Namespace, context: Context) -> None:
    from pathlib import Path

    from apkiln.image.lock.locking import lock_image
    from apkiln.image.lock.writing import write_lock
    from apkiln.system.files import DiskFiles

    directory = definition_directory(arguments, context)
    flags = tuple(_flags(arguments))
    lock = lock_image(arguments.config, resolved.loaded, resolved.resolution, directory, resolved.access, flags)
    content = write_lock(lock)
    with DiskFiles().create(Path(context.settings.working_directory, path), replace=True) as stream:
        stream.write(content)
    _report(path, lock, content, context)


def _flags(arguments: argparse.Namespace) -> Iterator[str]:
    """The flags that decided about packages, without credentials."""
    for flag, name in _FLAGS:
        for value in getattr(arguments, name):
            for part in filter(None, value.split(",")):
                tag, space, address = part.rpartition(" ")
                yield f"{flag}={tag}{space}{redact_url(address)}"
    if arguments.ignore_signatures:
        yield "--ignore-signatures"
    if arguments.discover_keys:
        yield "--discover-keys"


def _report(path: str, lock: Lock, content: bytes, context: Context) -> None:
    import hashlib

    counts = {arch: len(lock.of(arch)) for arch in lock.architectures}
    if context.settings.json:
        digest = hashlib.sha256(content).hexdigest()
        context.output.json({"lock": path, "sha256": digest, "packages": counts, "drift": list(lock.drift)})
        return
    listed = ", ".join(f"{count} packages for {arch}" for arch, count in counts.items())
    context.output.print(f"{path}: {listed}")
