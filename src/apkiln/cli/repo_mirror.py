"""`apkiln repo mirror`: take over an existing repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo mirror"
HELP = """Publish everything that another repository lists in a repository of the service.

Its indexes must verify, and each package must fit its record to the last byte; all is published in one transaction, through
the same gate as any other.  Run again, it brings what is new.  What was withdrawn here does not come back."""
EPILOG = """examples:
  apkiln repo mirror https://packages.wolfi.dev/os --keyring-append wolfi-signing.rsa.pub --arch x86_64
  apkiln repo mirror ../old-repository --keyring-append ../old-repository/old.rsa.pub --override closure
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("upstream", metavar="URL", nargs="+", help="repositories to take packages from")
    parser.add_argument("--arch", metavar="ARCH", action="append", default=[], help="may be repeated (default: those of ours)")
    parser.add_argument("--keyring-append", "-k", metavar="KEY", action="append", default=[], help="trusted key, may be repeated")
    parser.add_argument(
        "--override",
        choices=["closure", "breaks", "downgrade"],
        action="append",
        default=[],
        help="let findings through; needs a second person",
    )
    add_service_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.acquire.keyring import load_keyring
    from apkiln.acquire.repositories import parse_repositories
    from apkiln.cli.access import open_access
    from apkiln.cli.service_arguments import author_of, open_named_service, report_transaction
    from apkiln.core.arch import Arch
    from apkiln.repository.adopting import adopt

    access = open_access(context)
    service = open_named_service(arguments, context)
    arches = [Arch.parse(name).apk for word in arguments.arch for name in word.split(",")] or service.state.arches
    upstream = parse_repositories(arguments.upstream)
    keyring = load_keyring(arguments.keyring_append, access)
    author = author_of(context, f"taken over from {', '.join(item.url for item in upstream)}")
    transaction = adopt(service, author, upstream, arches, keyring, access, arguments.override)
    if transaction is None:
        context.reporter.note("nothing is new there")
        if context.settings.json:
            context.output.json(None)
        return 0
    return report_transaction(service, transaction, context)
