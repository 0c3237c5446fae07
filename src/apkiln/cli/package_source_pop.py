"""`apkiln package source pop`: what was changed in a checkout becomes patches of the definition."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_source_get import side_directory

if TYPE_CHECKING:
    from apkiln.cli.context import Context

_LARGEST = 256 << 20
NAME = "package source pop"
HELP = """Write every commit that stands on top of the sources as a patch into the directory named after the definition, and let
one `git-am` step of the definition apply them, in the place of its `patch` steps.  Nothing else in the file changes.

The checkout is one that `apkiln package source get` made."""
EPILOG = """examples:
  apkiln package source get curl.yaml
  git -C source commit -am 'fix the build'
  apkiln package source pop curl.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="FILE", help="package definition, a melange YAML file")
    parser.add_argument("-o", "--output", default="source", metavar="DIR", help="the checkout (default: %(default)s)")
    parser.add_argument("--source-dir", default="", metavar="DIR", help="for patches (default: the directory named after FILE)")
    parser.add_argument("--base", default="", metavar="COMMIT", help="commits after this one (default: what `get` left)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.package_arguments import read_bytes
    from apkiln.package.editing.patch_steps import with_patches
    from apkiln.system.files import DiskFiles
    from apkiln.system.git_worktree import ProgramWorkTrees
    from apkiln.system.process import SystemRunner

    settings, files = context.settings, DiskFiles()
    here = Path(settings.working_directory)
    path, content = here / arguments.config, read_bytes(arguments.config, context)
    place = here / (arguments.source_dir or Path(arguments.config).with_suffix(""))
    known = side_directory(arguments, context)
    trees = ProgramWorkTrees(SystemRunner(), files, settings.environment)
    checkout = (here / arguments.output).absolute()
    made = checkout / ".git" / "apkiln-patches"
    if files.status(made) is not None:
        for name in files.list(made):
            files.remove(made / name)
    names = trees.patches(checkout, arguments.base, made)
    text = with_patches(content, arguments.config, names)
    files.make_directory(place)
    for name in names:
        with files.create(place / name, replace=True) as stream:
            stream.write(files.read(made / name, _LARGEST))
    status = files.status(path)
    with files.create(path, status.mode if status is not None else 0o644, replace=True) as stream:
        stream.write(text)
    for name in files.list(known) if known is not None else ():
        if name.endswith(".patch") and name not in names:
            context.reporter.note(f"`{place / name}` is no longer applied")
    if settings.json:
        context.output.json({"directory": str(place), "patches": list(names)})
    else:
        for name in names:
            context.output.print(str(place / name))
    return 0
