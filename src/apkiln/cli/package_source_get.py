"""`apkiln package source get`: the sources of a definition in a directory, patched, to be looked at and changed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_arguments import (
    add_compilation_arguments,
    add_evaluation_arguments,
    compilation_settings,
    evaluation_settings,
    load_path,
    pipeline_library,
)
from apkiln.cli.source_arguments import (
    add_debian_arguments,
    add_source_arguments,
    debian_shop,
    source_access,
)

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.package.compilation.resolving import LoadedDefinition
    from apkiln.package.sources.workspace import WorkspaceTools

NAME = "package source get"
HELP = """Put the sources of a definition's main pipeline into a directory: files unpacked, commits checked out with those to be
applied, patches applied, in the order of the steps.  In a checkout every patch becomes a commit, so that `apkiln package source
pop` can make patches of what was changed.

FILE is a definition, or a package, whose definition is inside it; a package has no patches inside, so they are left out."""
EPILOG = """examples:
  apkiln package source get zlib.yaml
  apkiln package source get curl.yaml -o ~/src/curl --source-map mirrors.yaml
  apkiln melange source get curl.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="FILE", help="package definition or package")
    parser.add_argument("-o", "--output", default="source", metavar="DIR", help="absent or empty (default: %(default)s)")
    parser.add_argument("--source-dir", default="", metavar="DIR", help="patches (default: the directory named after FILE)")
    parser.add_argument("--arch", metavar="ARCH", help="apk or OCI name (default: this machine's)")
    add_source_arguments(parser)
    add_debian_arguments(parser)
    add_evaluation_arguments(parser)
    add_compilation_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    import os
    from pathlib import Path

    from apkiln.core.arch import Arch
    from apkiln.package.compilation.resolving import resolve
    from apkiln.package.sources.workspace import fill_workspace
    from apkiln.package.sources.workspace_plan import SourceAction, workspace_actions

    loaded = _loaded(arguments, context)
    arch = Arch.parse(arguments.arch if arguments.arch not in (None, "host") else os.uname().machine)
    resolved = resolve(loaded, arch, pipeline_library(arguments, context), compilation_settings(arguments))
    actions = workspace_actions(resolved.definition)
    if arguments.config.endswith(".apk") and not all(isinstance(placed.action, SourceAction) for placed in actions):
        context.reporter.note("patches are not part of packages and are left out")
        actions = tuple(placed for placed in actions if isinstance(placed.action, SourceAction))
    output = Path(context.settings.working_directory) / arguments.output
    done = fill_workspace(actions, output.absolute(), side_directory(arguments, context), _tools(arguments, context))
    if context.settings.json:
        context.output.json({"directory": str(output), "done": list(done)})
    else:
        for line in done:
            context.output.print(line)
    return 0


def side_directory(arguments: argparse.Namespace, context: Context) -> Path | None:
    """The directory with patches of a definition; None when there is none."""
    from pathlib import Path

    from apkiln.system.files import DiskFiles

    here = Path(context.settings.working_directory)
    place = here / (arguments.source_dir or Path(arguments.config).with_suffix(""))
    status = DiskFiles().status(place)
    return place if status is not None and status.is_directory else None


def _loaded(arguments: argparse.Namespace, context: Context) -> LoadedDefinition:
    settings = evaluation_settings(arguments, context)
    if not arguments.config.endswith(".apk"):
        return load_path(arguments.config, settings, context)
    from apkiln.cli.apk_files import open_file
    from apkiln.core.errors import UnavailableError
    from apkiln.core.origin import Origin
    from apkiln.formats.apk.control import read_control
    from apkiln.formats.apk.policy import COMPAT
    from apkiln.package.compilation.resolving import load

    with open_file(arguments.config, context) as stream:
        inside = dict(read_control(stream, context.settings.limits, COMPAT).other_files).get(".melange.yaml")
    if inside is None:
        message = "the package does not hold its definition"
        raise UnavailableError(message, reason="no-definition", origin=Origin(arguments.config))
    return load(inside, f"{arguments.config}/.melange.yaml", settings)


def _tools(arguments: argparse.Namespace, context: Context) -> WorkspaceTools:
    from apkiln.package.sources.workspace import WorkspaceTools
    from apkiln.system.git_worktree import ProgramWorkTrees
    from apkiln.system.process import SystemRunner

    settings = context.settings
    shop = debian_shop(arguments, context) if arguments.debian else None
    access = source_access(arguments, context, shop)
    trees = ProgramWorkTrees(SystemRunner(), access.files, settings.environment)
    date = settings.environment.get("SOURCE_DATE_EPOCH", "0")
    environment = (("LC_ALL", "C"), ("PATH", settings.environment.get("PATH", "/usr/bin:/bin")))
    return WorkspaceTools(access, trees, SystemRunner(), environment, int(date) if date.isdecimal() else 0, settings.limits)
