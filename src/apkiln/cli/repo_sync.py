"""`apkiln repo sync`: copy a repository directory to where it is served from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo sync"
HELP = """Copy a repository to the directory it is served from: packages first, indexes last.

Every package is read and compared with its index before anything is written.  What is there already is compared by content:
a file of the same name and size that is another one is replaced."""
EPILOG = """examples:
  apkiln repo sync os /srv/www/os
  apkiln repo sync os /srv/www/os --plan
  apkiln repo sync os /srv/www/os --delete
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the repository")
    parser.add_argument("target", metavar="TARGET", help="where it is served from; made when it is not there")
    parser.add_argument("--delete", action="store_true", help="remove packages that only the target has, after everything else")
    parser.add_argument("--plan", action="store_true", help="say what would be copied and removed; change nothing")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.repository_output import open_workshop
    from apkiln.repository.copying import copy_repository

    here = Path(context.settings.working_directory)
    source, target = ((here / name).resolve() for name in (arguments.directory, arguments.target))
    plan = copy_repository(
        source, target, open_workshop(context, strict=False), delete=arguments.delete, plan_only=arguments.plan
    )
    if context.settings.json:
        done = {"copied": list(plan.uploads), "unchanged": len(plan.unchanged), "removed": list(plan.removals)}
        context.output.json({**done, "plan": arguments.plan})
        return 0
    for path in plan.uploads:
        context.output.print(f"copy    {path}")
    for path in plan.removals:
        context.output.print(f"remove  {path}")
    context.output.print(f"{len(plan.unchanged)} unchanged")
    return 0
