"""`apkiln repo check`: compare what a repository intends with what is there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo check"
HELP = """Compare ledger, blobs, generation and served index of a repository; name every difference.

Exit code 10 when something is wrong that somebody must look at."""
EPILOG = """examples:
  apkiln repo check
  apkiln repo check --deep --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="also read every byte, solve for every package, refold the ledger")
    add_service_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.cli.service_arguments import open_named_service
    from apkiln.repository.reconciling import compare

    service = open_named_service(arguments, context)
    found = sorted(compare(service, deep=arguments.deep))
    if context.settings.json:
        context.output.json([item._asdict() for item in found])
    else:
        for item in found:
            context.output.print(f"{item.kind:18} {item.subject}  {item.detail}".rstrip())
        context.output.print(f"generation {service.state.current}: {len(found)} differences")
    return 10 if any(item.kind != "orphan" for item in found) else 0
