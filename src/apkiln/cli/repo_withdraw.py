"""`apkiln repo withdraw`: withdraw builds of a served repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_change_arguments, run_change

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
    add_change_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    return run_change(arguments, context, "withdraw")
