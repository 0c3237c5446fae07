"""`apkiln image diff`: what two images or two locks have that is not the same."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "image diff"
HELP = """Tell what differs between two images, two locks, or a lock and an image.

A and B are locks, OCI layouts, OCI archives or docker archives, made by apkiln, apko or others.  Compared are packages
(version, origin, identity, licence), files (type, content, mode, owner, attributes, owning package) and configuration, for
each architecture; a lock has no files.  Files of packages that changed are counted; `--files` lists them."""
EPILOG = """examples:
  apkiln image diff old.lock.json new.lock.json
  apkiln image diff before/ after.tar --arch x86_64
  apkiln image diff before/ after/ --json
  apkiln image diff image.lock.json out/ --exit-code
"""
_DIFFERENT = 10


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help="lock or image")
    parser.add_argument("after", metavar="B", help="lock or image")
    parser.add_argument("--arch", metavar="ARCH", help="compare this architecture only")
    parser.add_argument("--files", action="store_true", help="list the files of packages that changed, too")
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {_DIFFERENT} when there are differences")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.arch import Arch
    from apkiln.image.difference.comparing import compare_contents
    from apkiln.image.difference.reading import read_contents
    from apkiln.image.difference.rendering import lines, value
    from apkiln.system.files import DiskFiles

    settings = context.settings
    arch = Arch.parse(arguments.arch) if arguments.arch else None
    sides = [
        read_contents(DiskFiles(), Path(settings.working_directory, path), settings.limits, arch)
        for path in (arguments.before, arguments.after)
    ]
    difference = compare_contents(*sides)
    if settings.json:
        context.output.json(value(difference))
    else:
        for line in lines(difference, every_file=arguments.files):
            context.output.print(line)
    return _DIFFERENT if difference and arguments.exit_code else 0
