"""Arguments of every command that fetches sources, and what they fetch with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.debian.obtaining_sources import ObtainedFile, SourceShop
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
    group.add_argument(
        "--debian", action="store_true", help="look for files, by digest, in the source packages of this machine's archives, too"
    )


def add_debian_arguments(parser: argparse.ArgumentParser) -> None:
    """Which archives of source packages are looked into."""
    group = parser.add_argument_group("source packages of Debian")
    group.add_argument("--suite", action="append", default=[], metavar="NAME", help="such as `trixie` (default: this machine's)")
    group.add_argument("--sources", metavar="FILE", help="apt source list to use instead of the machine's")
    group.add_argument("--keyring", metavar="FILE", help="keyring of the archives that `--sources` names without one")


def debian_shop(arguments: argparse.Namespace, context: Context) -> SourceShop:
    """Source packages of the machine's archives.  Nothing is fetched before the first question."""
    from pathlib import Path

    from apkiln.cli.debian_access import chosen_sources
    from apkiln.debian.obtaining_sources import SourceShop
    from apkiln.debian.source_packages import SourceCatalogue
    from apkiln.debian.verified_lists import verified_lists
    from apkiln.system.apt import SOURCE, AptArchive
    from apkiln.system.clock import SystemClock
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.files import DiskFiles
    from apkiln.system.openpgp import SignatureVerifier
    from apkiln.system.process import SystemRunner

    settings, files, runner = context.settings, DiskFiles(durable=False), SystemRunner()
    cache, here = Path(settings.cache_directory), Path(settings.working_directory)
    # Files are found by digest or name, not solved together, so suites of different days may stand side by side.
    named = {"suite": [], "sources": None, "keyring": None} | vars(arguments) | {"allow_skew": True}
    sources = chosen_sources(argparse.Namespace(**named), context, files, here)
    store = DirectoryStore(cache)
    archive = AptArchive(runner, files, store, cache / "apt", sources, SOURCE, settings.environment, offline=settings.offline)
    verifier = SignatureVerifier(runner, files, cache / "apt" / "upstream-openpgp", settings.environment)

    def catalogue() -> SourceCatalogue:
        return SourceCatalogue(verified_lists(archive, SOURCE, (), int(SystemClock().now()), context.reporter))

    return SourceShop(archive, catalogue, store, files, verifier, cache / "apt" / "upstream")


def keep_record(obtained: ObtainedFile, cache: Path) -> None:
    """Write beside a cached file where it is from: `sha256:HEX.origin`."""
    from apkiln.core import canonical_json
    from apkiln.system.files import DiskFiles

    with DiskFiles(durable=False).create(cache / f"{obtained.digest}.origin", replace=True) as stream:
        stream.write(canonical_json.encode_pretty(obtained.record()))


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


def source_access(arguments: argparse.Namespace, context: Context, shop: SourceShop | None = None) -> SourceAccess:
    """What `package.sources.fetching.fetch_sources` needs; `shop`: files are looked for there, too.  Opens nothing."""
    from pathlib import Path

    from apkiln.package.sources.access import SourceAccess
    from apkiln.system.clock import SystemClock
    from apkiln.system.files import DiskFiles
    from apkiln.system.git_program import ProgramGit
    from apkiln.system.network import open_transfer
    from apkiln.system.process import SystemRunner

    settings = context.settings
    files = DiskFiles(durable=False)
    if shop is None and arguments.debian:
        shop = debian_shop(arguments, context)
    mirrors = Path(settings.cache_directory) / "git"
    # What is fetched is compared with its digest, so a server may send us to any other.
    environment = {**settings.environment, "APKILN_REDIRECT_HOSTS": "*"}
    return SourceAccess(
        cache=source_cache(arguments, context),
        files=files,
        transfer=open_transfer(environment, files, offline=settings.offline, jobs=settings.jobs),
        git=ProgramGit(SystemRunner(), files, mirrors, environment, SystemClock(), offline=settings.offline),
        places=source_map(arguments, context),
        finders=() if shop is None else (shop,),
        reporter=context.reporter,
        jobs=max(4, settings.jobs),
        allow_unpinned=arguments.allow_unpinned,
    )
