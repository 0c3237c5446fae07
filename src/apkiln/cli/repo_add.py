"""`apkiln repo add`: verify packages and publish them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.remote_arguments import add_remote_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo add"
HELP = """Verify packages completely, copy them into a repository and list them in its signed index.

With the address of a served repository they are uploaded to it, and published in one transaction: its receipt is printed, and
nothing else means that they are published.  What broke off goes on where it was when the command is run again.

All or nothing: with one bad package nothing changes.  A published version keeps its bytes: the same file again is
accepted and changes nothing, another file of the same version is refused.  Several adds may run at once; they wait for
each other."""
EPILOG = """examples:
  apkiln repo add os packages/x86_64/*.apk
  apkiln repo add os hello-1.0-r0.apk --strict --json
  APKILN_TOKEN=... apkiln repo add https://packages.example.com/os/musl packages/*/*.apk
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR|URL", help="the repository: a directory, or the address of a served one")
    parser.add_argument("packages", metavar="FILE", nargs="+", help="package files")
    add_publishing_arguments(parser)
    parser.add_argument(
        "--arch", metavar="ARCH", action="append", default=[], help="list `noarch` packages for it too; may be repeated"
    )
    add_remote_arguments(parser)


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
    from apkiln.system.urls import is_http

    if is_http(arguments.directory):
        return _publish(arguments, context)
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


def _publish(arguments: argparse.Namespace, context: Context) -> int:
    """To a served repository, which signs by itself and judges by its own rules."""
    from pathlib import Path

    from apkiln.cli.remote_arguments import open_remote, report_progress
    from apkiln.cli.repository_output import open_workshop
    from apkiln.core.arch import Arch
    from apkiln.core.errors import UsageError
    from apkiln.repository.remote_publishing import publish_files

    if arguments.key or arguments.strict or arguments.arch:
        raise UsageError("`--key`, `--strict` and `--arch` are for repositories in directories", reason="not-for-served")
    here = Path(context.settings.working_directory)
    found = publish_files(
        [here / name for name in arguments.packages],
        open_remote(arguments, context),
        open_workshop(context, strict=False),
        complete=[Arch.parse(name).apk for word in arguments.complete for name in word.split(",")],
        reason=arguments.reason,
        patience=arguments.wait,
    )
    return report_progress(found, context)
