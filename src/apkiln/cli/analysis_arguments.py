"""Arguments of commands that analyse packages."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.package.analysis.rules import AnalysisRules


def add_rules_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--rules", default="", metavar="NAME|FILE", help="rules of a distribution: `wolfi`, or a TOML file (default: none)"
    )


def analysis_rules(arguments: argparse.Namespace, context: Context) -> AnalysisRules:
    """The rules that `--rules` names.  Raises ConfigurationError `bad-rules`, UnavailableError `missing-file`."""
    from pathlib import Path

    from apkiln.core.limits import MIB
    from apkiln.package.analysis.rules import DEFAULT_RULES, SHIPPED, read_rules
    from apkiln.system.files import DiskFiles

    name: str = arguments.rules
    if not name:
        return DEFAULT_RULES
    files, shipped = DiskFiles(), SHIPPED / f"{name}.toml"
    is_shipped = "/" not in name and files.status(shipped) is not None
    path = shipped if is_shipped else Path(context.settings.working_directory, name)
    return read_rules(files.read(path, MIB), name)
