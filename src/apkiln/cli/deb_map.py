"""`apkiln deb map`: one Debian package and the package it becomes, side by side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.debian_access import access_for, all_overrides, architecture, chosen_sources, source_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.debian.ledger import LedgerRow
    from apkiln.debian.side_by_side import PackageMapping

NAME = "deb map"
HELP = """Show a Debian package and the apk package it becomes, field by field.

Relations are shown with the alternative that is taken, maintainer scripts with the steps they are translated into.  Nothing
is written; with `--repo` the versions are those of that repository."""
EPILOG = """examples:
  apkiln deb map nginx-common
  apkiln deb map libssl3 --repo repo --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    source_arguments(parser)
    parser.add_argument("name", metavar="NAME", help="Debian package")
    parser.add_argument("--repo", metavar="DIR", help="repository whose versions are to be shown")
    parser.add_argument("--arch", metavar="ARCH", default="host", help="architecture (default: the one of this machine)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.debian.importing import ImportRequest
    from apkiln.debian.lock import LEDGER, read_ledger
    from apkiln.debian.side_by_side import map_package
    from apkiln.debian.suites import ORIGINS
    from apkiln.system.files import DiskFiles

    here, files = Path(context.settings.working_directory), DiskFiles()
    arch = architecture(arguments.arch)
    sources = chosen_sources(arguments, context, files, here)
    rows: tuple[LedgerRow, ...] = ()
    if arguments.repo:
        ledger = here / arguments.repo / "debian" / LEDGER
        rows = read_ledger(files.read(ledger, 1 << 30) if files.status(ledger) else b"", str(ledger))
    overrides = all_overrides(arguments, files, here)
    request = ImportRequest((arguments.name,), arch, origins=() if arguments.sources else ORIGINS, overrides=overrides)
    _report(map_package(arguments.name, request, rows, access_for(context, arch, sources)), context)
    return 0


def _report(mapping: PackageMapping, context: Context) -> None:
    if context.settings.json:
        context.output.json({"name": mapping.name, "rows": [row._asdict() for row in mapping.rows], "notes": list(mapping.notes)})
        return
    cells = [("", "Debian", "apk", ""), *mapping.rows]
    widths = [min(60, max(len(row[column]) for row in cells)) for column in range(3)]
    for row in cells:
        context.output.print("  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip())
    for note in mapping.notes:
        context.reporter.note(note)
