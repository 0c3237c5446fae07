"""`apkiln repo add`: verify packages and publish them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo add"
HELP = """Verify packages completely, copy them into a repository and list them in its signed index.

All or nothing: with one bad package nothing changes.  A published version keeps its bytes: the same file again is
accepted and changes nothing, another file of the same version is refused.  Several adds may run at once; they wait for
each other."""
EPILOG = """examples:
  apkiln repo add os packages/x86_64/*.apk
  apkiln repo add os hello-1.0-r0.apk --strict --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the repository")
    parser.add_argument("packages", metavar="FILE", nargs="+", help="package files")
    add_publishing_arguments(parser)
    parser.add_argument(
        "--arch", metavar="ARCH", action="append", default=[], help="list `noarch` packages for it too; may be repeated"
    )


def add_publishing_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that writes an index."""
    parser.add_argument(
        "--key",
        metavar="FILE",
        action="append",
        default=[],
        help="private key to sign with; may be repeated (default: those in `keys/` beside DIR)",
    )
    parser.add_argument("--strict", action="store_true", help="refuse when a dependency has no provider in the repository")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.repository_output import open_workshop, report_publication
    from apkiln.core.arch import Arch
    from apkiln.repository.publishing import add_packages

    here = Path(context.settings.working_directory)
    publication = add_packages(
        here / arguments.directory,
        [here / name for name in arguments.packages],
        [here / name for name in arguments.key],
        open_workshop(context, strict=arguments.strict),
        [Arch.parse(name).apk for word in arguments.arch for name in word.split(",")],
    )
    report_publication(publication, context)
    return 0
