"""What every `apkiln deb` command needs: architecture, sources, overrides, and the objects that reach the archive."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.debian.converting import ImportAccess
    from apkiln.debian.override_file import Overrides
    from apkiln.formats.deb.sources import Source
    from apkiln.system.files import DiskFiles

_OVERRIDE_LIMIT = 4 << 20


def source_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that say which archive, suites and exceptions hold."""
    parser.add_argument(
        "--suite",
        metavar="NAME",
        action="append",
        default=[],
        help="such as `bookworm` (default: the suite of this machine); again for one beside it, such as `bookworm-backports`",
    )
    parser.add_argument("--sources", metavar="FILE", help="apt source list to use instead of the machine's")
    parser.add_argument("--keyring", metavar="FILE", help="keyring of the archives that `--sources` names without one")
    parser.add_argument(
        "--overrides", metavar="FILE", action="append", default=[], help="reviewed exceptions (YAML); wins over ours"
    )
    parser.add_argument("--allow-skew", action="store_true", help="use dated snapshots of different days together")


def architecture(name: str) -> Arch:
    """An architecture that Debian has; `host` is this machine's."""
    from os import uname

    from apkiln.core.arch import KNOWN, Arch
    from apkiln.core.errors import UsageError

    arch = Arch.parse(uname().machine if name == "host" else name)
    if arch not in KNOWN:
        raise UsageError(f"Debian has no architecture `{name}`", reason="unknown-architecture")
    return arch


def access_for(context: Context, arch: Arch, sources: tuple[Source, ...]) -> ImportAccess:
    from pathlib import Path

    from apkiln.debian.converting import ImportAccess
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.system.apt import AptArchive
    from apkiln.system.clock import SystemClock
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.files import DiskFiles
    from apkiln.system.process import SystemRunner

    settings = context.settings
    cache = Path(settings.cache_directory)
    store = DirectoryStore(cache)
    files = DiskFiles(durable=False)
    archive = AptArchive(
        SystemRunner(), files, store, cache / "apt", sources, arch.debian,
        settings.environment, offline=settings.offline,
    )  # fmt: skip
    return ImportAccess(
        archive, store, context.reporter, canonical_codec(), settings.limits, settings.jobs, int(SystemClock().now())
    )


def chosen_sources(arguments: argparse.Namespace, context: Context, files: DiskFiles, here: Path) -> tuple[Source, ...]:
    """The sources of the suites that are asked for: the machine's own archives, or those of a list that is named."""
    from apkiln.debian.suites import check_instants, with_further_suites

    listed = _listed_sources(arguments, context, files, here)
    sources = with_further_suites(listed, arguments.suite)
    if not arguments.allow_skew:
        check_instants(sources)
    return sources


def _listed_sources(arguments: argparse.Namespace, context: Context, files: DiskFiles, here: Path) -> tuple[Source, ...]:
    from dataclasses import replace
    from pathlib import Path

    from apkiln.core.errors import UsageError
    from apkiln.system.apt_sources import machine_sources, read_list

    if not arguments.sources:
        if arguments.keyring:
            raise UsageError("`--keyring` belongs to `--sources`", reason="bad-arguments")
        found = machine_sources(files, Path("/etc/apt"))
        for skipped in found.skipped if context.settings.verbosity > 0 else ():
            context.reporter.note(skipped)
        return found.sources
    keyring = str((here / arguments.keyring).absolute()) if arguments.keyring else ""
    listed = [replace(source, signed_by=source.signed_by or keyring) for source in read_list(files, here / arguments.sources)]
    if not all(source.signed_by for source in listed):
        raise UsageError("a source names no keyring", reason="missing-keyring", hint="give it with `--keyring FILE`")
    return tuple(listed)


def all_overrides(arguments: argparse.Namespace, files: DiskFiles, here: Path) -> Overrides:
    """The reviewed exceptions that come with the product, then the user's."""
    from pathlib import Path

    import apkiln.debian
    from apkiln.debian.override_file import read_overrides

    shipped = Path(apkiln.debian.__file__).parent / "overrides"
    ours = [(name, shipped / name) for name in sorted(files.list(shipped)) if name.endswith(".yaml")]
    theirs = [(name, here / name) for name in arguments.overrides]
    return read_overrides((name, files.read(path, _OVERRIDE_LIMIT)) for name, path in [*ours, *theirs])
