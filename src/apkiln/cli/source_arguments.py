"""Arguments of every command that fetches sources, and what they fetch with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.package.sources.access import SourceAccess
    from apkiln.package.sources.source_map import SourceMap


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Where sources come from and where they are kept."""
    group = parser.add_argument_group("sources")
    group.add_argument(
        "--source-cache", metavar="DIR", help="directory of fetched sources, as melange's cache (default: in the cache directory)"
    )
    group.add_argument(
        "--source-map",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML with `digests` and `prefixes`: other places for sources; may be repeated, the first wins",
    )
    group.add_argument("--allow-unpinned", action="store_true", help="also fetch what has no digest or commit")


def source_cache(arguments: argparse.Namespace, context: Context) -> Path:
    """The cache directory: the flag, else `sources` in the product's cache."""
    from pathlib import Path

    named = arguments.source_cache
    settings = context.settings
    return Path(settings.working_directory) / named if named else Path(settings.cache_directory) / "sources"


def source_map(arguments: argparse.Namespace, context: Context) -> SourceMap:
    """The maps on the command line, as one."""
    from pathlib import Path

    from apkiln.core.limits import MIB
    from apkiln.package.sources.source_map import merged_maps, read_source_map
    from apkiln.system.files import DiskFiles

    paths = [Path(context.settings.working_directory) / name for name in arguments.source_map]
    named = zip(arguments.source_map, paths, strict=True)
    return merged_maps(tuple(read_source_map(DiskFiles().read(path, 16 * MIB), name, path.parent) for name, path in named))


def source_access(arguments: argparse.Namespace, context: Context) -> SourceAccess:
    """What `package.sources.fetching.fetch_sources` needs.  Opens nothing."""
    from pathlib import Path

    from apkiln.package.sources.access import SourceAccess
    from apkiln.system.clock import SystemClock
    from apkiln.system.files import DiskFiles
    from apkiln.system.git_program import ProgramGit
    from apkiln.system.network import open_transfer
    from apkiln.system.process import SystemRunner

    settings = context.settings
    files = DiskFiles(durable=False)
    mirrors = Path(settings.cache_directory) / "git"
    # What is fetched is compared with its digest, so a server may send us to any other.
    environment = {**settings.environment, "APKILN_REDIRECT_HOSTS": "*"}
    return SourceAccess(
        cache=source_cache(arguments, context),
        files=files,
        transfer=open_transfer(environment, files, offline=settings.offline, jobs=settings.jobs),
        git=ProgramGit(SystemRunner(), files, mirrors, environment, SystemClock(), offline=settings.offline),
        places=source_map(arguments, context),
        reporter=context.reporter,
        jobs=max(4, settings.jobs),
        allow_unpinned=arguments.allow_unpinned,
    )
