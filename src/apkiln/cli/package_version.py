"""`apkiln package version`: what the packages of a definition will be called."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_arguments import add_evaluation_arguments, evaluation_settings, load_path

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "package version"
HELP = "Print `NAME-VERSION-rEPOCH` of the main package of a definition, without a line feed."
EPILOG = """examples:
  apkiln package version hello.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="FILE", help="package definition, a melange YAML file")
    add_evaluation_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    package = load_path(arguments.config, evaluation_settings(arguments, context), context).evaluated.definition.package
    name, version = package.name.text, package.full_version
    if context.settings.json:
        context.output.json({"name": name, "version": version})
    else:
        context.output.bytes(f"{name}-{version}".encode())
    return 0
