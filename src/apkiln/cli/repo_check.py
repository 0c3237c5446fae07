"""`apkiln repo check`: compare what a repository intends with what is there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.repository.expectations import Expectations
    from apkiln.repository.service import RepositoryService

NAME = "repo check"
HELP = """Compare ledger, blobs, generation and served index of a repository; name every difference.

Exit code 10 when something is wrong that somebody must look at."""
EPILOG = """examples:
  apkiln repo check
  apkiln repo check --deep --json
  apkiln repo check --recipes recipes --lock image.lock.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="also read every byte, solve for every package, refold the ledger")
    parser.add_argument("--recipes", metavar="DIR", default="", help="package definitions that should all be live")
    parser.add_argument(
        "--lock", metavar="FILE", action="append", default=[], help="lock of an image that should have what is live"
    )
    add_service_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.cli.service_arguments import open_named_service
    from apkiln.repository.reconciling import compare

    service = open_named_service(arguments, context)
    found = sorted(compare(service, _expected(arguments, service, context), deep=arguments.deep))
    if context.settings.json:
        context.output.json([item._asdict() for item in found])
    else:
        for item in found:
            context.output.print(f"{item.kind:18} {item.subject}  {item.detail}".rstrip())
        context.output.print(f"generation {service.state.current}: {len(found)} differences")
    return 10 if any(item.kind != "orphan" for item in found) else 0


def _expected(arguments: argparse.Namespace, service: RepositoryService, context: Context) -> Expectations:
    """Recipes and images named here are due at once; those of the configuration are for the server."""
    from pathlib import Path

    from apkiln.cli.service_arguments import read_configuration
    from apkiln.system.files import DiskFiles
    from apkiln.web.expecting import ExpectConfiguration, Expecting

    configuration, _ = read_configuration(arguments, context)
    wanted = ExpectConfiguration(arguments.recipes, tuple(arguments.lock), build_minutes=-1, image_hours=-1)
    reader = Expecting(wanted, Path(context.settings.working_directory), DiskFiles())
    now = int(service.equipment.clock.now() * 1000)
    return reader.read(f"{configuration.public_url.rstrip('/')}/{service.name}", now)
