"""`apkiln repo withdraw`: withdraw builds of a served repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo withdraw"
HELP = """Withdraw builds: all packages of each, on all architectures, for ever.

What depends on them is named and refuses it; `--override breaks` lets it through.  Several builds, and overrides, wait for a
second person."""
EPILOG = """examples:
  apkiln repo withdraw zlib-1.3.1-r0 --reason "wrong checksum in the source"
  apkiln repo withdraw zlib-1.3.1-r0 --package zlib-dev --reason "..."
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("builds", metavar="BUILD", nargs="+", help="source package and version, for example zlib-1.3.1-r0")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it is kept and shown")
    parser.add_argument("--package", metavar="NAME", default="", help="only this package of the build")
    parser.add_argument("--arch", metavar="ARCH", default="", help="only on this architecture")
    parser.add_argument("--override", choices=["breaks", "closure"], action="append", default=[], help="let findings through")
    add_service_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.cli.service_arguments import author_of, open_named_service, parse_build, report_transaction
    from apkiln.repository.ledger.actions import Manifest, Selection

    builds = [parse_build(text) for text in arguments.builds]
    chosen = tuple(Selection(origin, version, arguments.package, arguments.arch) for origin, version in builds)
    service = open_named_service(arguments, context)
    manifest = Manifest(withdraw=chosen, overrides=tuple(arguments.override))
    transaction = service.run(author_of(context, arguments.reason), manifest)
    return report_transaction(service, transaction, context)
