"""`apkiln package source debian`: upstream's archives from Debian source packages, into the source cache."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.source_arguments import add_debian_arguments, debian_shop, keep_record, source_cache

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.debian.obtaining_sources import ObtainedFile

NAME = "package source debian"
HELP = """Bring upstream's archives of Debian source packages into the source cache and print the `fetch` steps that use them.

Every file is compared with the signed lists of the archive.  Where the package has upstream's own signature and key, that
signature must be good, too, and what was checked is kept beside the file as `sha256:HEX.origin`.  A repacked archive is not
what upstream published; this is said."""
EPILOG = """examples:
  apkiln package source debian zlib
  apkiln package source debian musl=1.2.3 busybox --suite trixie
  apkiln package source debian bash --all-files
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="+", metavar="NAME[=VERSION]", help="source packages")
    parser.add_argument("--all-files", action="store_true", help="also Debian's own files, with its patches")
    parser.add_argument("--source-cache", metavar="DIR", help="directory of fetched sources (default: in the cache directory)")
    add_debian_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.system.files import DiskFiles

    shop, cache, files = debian_shop(arguments, context), source_cache(arguments, context), DiskFiles(durable=False)
    wanted = [shop.catalogue.package(*_named(text)) for text in arguments.packages]
    files.make_directory(cache)
    rows: list[dict[str, object]] = []
    for package in wanted:
        for file in package.files if arguments.all_files else package.originals:
            obtained = shop.obtain(package, file)
            with files.create(cache / str(obtained.digest), replace=True) as stream:
                shop.deliver(obtained, stream.write)
            keep_record(obtained, cache)
            rows.append(obtained.record())
            if not context.settings.json:
                context.output.print(_step(obtained))
    if context.settings.json:
        context.output.json({"files": rows})
    return 0


def _named(text: str) -> tuple[str, str]:
    name, _, version = text.partition("=")
    return name, version


def _step(obtained: ObtainedFile) -> str:
    """The step that takes the file, with what is known of it."""
    package, signature = obtained.package, obtained.signature
    said = {
        "good": "upstream's signature is good: " + " ".join(signature.signed_by),
        "expired-key": "upstream's signature is good, its key expired since: " + " ".join(signature.signed_by),
        "absent": "no signature by upstream",
        "no-key": "a signature by upstream, and no key for it",
    }
    lines = [
        f"# {obtained.shown}; {said[signature.state]}",
        *(["# repacked by Debian: not the file that upstream published"] if package.repacked else []),
        "- uses: fetch",
        "  with:",
        f"    uri: {package.archive}/{obtained.file.wanted.path}",
        f"    expected-sha256: {obtained.file.wanted.sha256}",
    ]
    return "\n".join(lines)
