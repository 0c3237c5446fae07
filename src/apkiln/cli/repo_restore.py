"""`apkiln repo restore`: restore builds of a served repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_change_arguments, run_change

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo restore"
HELP = """Restore withdrawn builds, with the same bytes.

Always waits for a second person, who approves it over the interface."""
EPILOG = """examples:
  apkiln repo restore zlib-1.3.1-r0 --reason "the report was wrong"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_change_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    return run_change(arguments, context, "restore")
