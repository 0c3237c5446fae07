"""`apkiln repo gc`: collect what nothing needs any more."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo gc"
HELP = """Mark blobs that no retained generation, hold, lock or open transaction needs; remove those marked a week ago.

Both are rows of the ledger.  A run that would mark more than a twentieth of all blobs stops unless `--large` is given."""
EPILOG = """examples:
  apkiln repo gc --plan
  apkiln repo gc --locked digests.txt
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", action="store_true", help="say what would be marked and removed; change nothing")
    parser.add_argument("--large", action="store_true", help="allow a large sweep")
    parser.add_argument("--locked", metavar="FILE", action="append", default=[], help="hex digests that stay, one a line")
    add_service_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.service_arguments import author_of, open_named_service
    from apkiln.repository.collecting import collect
    from apkiln.system.files import DiskFiles

    here, limit = Path(context.settings.working_directory), context.settings.limits.document
    locked = [word for name in arguments.locked for word in DiskFiles().read(here / name, limit).decode().split()]
    service = open_named_service(arguments, context)
    done = collect(service, author_of(context, "collect"), locked, plan_only=arguments.plan, large=arguments.large)
    if context.settings.json:
        context.output.json({"kept": done.kept, "marked": list(done.marked), "removed": list(done.removed)})
    else:
        context.output.print(f"kept     {done.kept}")
        context.output.print(f"marked   {len(done.marked)}")
        context.output.print(f"removed  {len(done.removed)}")
    return 0
