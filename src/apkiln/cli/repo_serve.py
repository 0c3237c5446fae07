"""`apkiln repo serve`: the repository service."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo serve"
HELP = """Serve repositories over HTTP: packages and signed indexes for clients, an interface for publishers.

What is accepted is in the index, or its publisher was told no.  Without a signer process the keys named in the
configuration are loaded into the server itself; give keys of weight to
`python -m apkiln.system.signer_process --socket signer.sock KEY` and name the socket instead."""
EPILOG = """examples:
  apkiln repo serve
  apkiln repo serve --config /etc/apkiln/service.toml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", default="service.toml", help="configuration (default: service.toml)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.cli.service_arguments import read_configuration

    configuration, home = read_configuration(arguments, context)
    from apkiln.web.server import serve

    serve(configuration, home, context.reporter.note)
    return 0
