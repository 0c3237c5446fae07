"""`apkiln repo restore`: restore builds of a served repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo restore"
HELP = """Restore withdrawn builds, with the same bytes.

Always waits for a second person, who approves it over the interface."""
EPILOG = """examples:
  apkiln repo restore zlib-1.3.1-r0 --reason "the report was wrong"
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
    manifest = Manifest(restore=chosen, overrides=tuple(arguments.override))
    transaction = service.run(author_of(context, arguments.reason), manifest)
    return report_transaction(service, transaction, context)
