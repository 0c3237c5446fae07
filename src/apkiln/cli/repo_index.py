"""`apkiln repo index`: write the indexes of a repository anew."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.repo_add import add_publishing_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo index"
HELP = """Read every package of a repository completely and write the signed index of each architecture anew.

For a directory of packages that has no index yet, after files were removed, and to sign with another key.  With one bad
package nothing is written."""
EPILOG = """examples:
  apkiln repo index os
  apkiln repo index os --key old.rsa --key new.rsa
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the repository")
    add_publishing_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.repository_output import open_workshop, report_publication
    from apkiln.repository.publishing import write_indexes

    here = Path(context.settings.working_directory)
    keys = [here / name for name in arguments.key]
    report_publication(write_indexes(here / arguments.directory, keys, open_workshop(context, strict=arguments.strict)), context)
    return 0
