"""`apkiln apk index`: one index file from package files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.signing_arguments import add_key_argument, signers

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "apk index"
HELP = """Write an index of package files, each read completely.  For a repository that others use `apkiln repo` is the safer
way: it also keeps files and index together.

With `--merge` the entries of an older index stay; a package that is given again replaces its entry."""
EPILOG = """examples:
  apkiln apk index -o APKINDEX.tar.gz --signing-key build.rsa *.apk
  apkiln apk index --merge --prune --dir packages/x86_64 -o packages/x86_64/APKINDEX.tar.gz -a x86_64
  apkiln melange index -o APKINDEX.tar.gz *.apk
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", metavar="FILE", help="package files")
    parser.add_argument("-o", "--output", default="APKINDEX.tar.gz", metavar="FILE", help="default: %(default)s")
    parser.add_argument("-s", "--source", default="", metavar="FILE", help="older index for `--merge` (default: the output)")
    parser.add_argument("-a", "--arch", default="", metavar="ARCH", help="pass over packages of other architectures")
    parser.add_argument("-m", "--merge", action="store_true", help="keep the entries of the older index")
    parser.add_argument("--dir", default="", metavar="DIR", help="all packages in this directory, too")
    parser.add_argument("--prune", action="store_true", help="drop entries whose file is not beside the index")
    parser.add_argument("--description", default="", metavar="TEXT", help="what the index says of itself")
    add_key_argument(parser, "-k", "--signing-key", default="")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.arch import Arch
    from apkiln.core.errors import UsageError
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.repository.index_file import IndexRequest, make_index
    from apkiln.system.files import DiskFiles

    here, files = Path(context.settings.working_directory), DiskFiles()
    paths = [here / name for name in arguments.packages]
    if arguments.dir:
        paths += [here / arguments.dir / name for name in files.list(here / arguments.dir) if name.endswith(".apk")]
    if not paths and not arguments.merge:
        raise UsageError("no package is named", reason="no-packages", hint="name files, or `--dir DIR`")
    target = here / arguments.output
    request = IndexRequest(
        packages=tuple(dict.fromkeys(paths)),
        target=target,
        older=(here / arguments.source if arguments.source else target) if arguments.merge else None,
        arch=Arch.parse(arguments.arch).apk if arguments.arch else "",
        prune=arguments.prune,
        description=arguments.description,
    )
    settings = context.settings
    made = make_index(request, signers(arguments, context), files, canonical_codec(), settings.limits, settings.jobs)
    for path in made.passed_over:
        context.reporter.note(f"`{path}` is of another architecture and is passed over")
    if settings.json:
        context.output.json({"index": arguments.output, "packages": made.records, "digest": str(made.digest),
                             "added": list(made.added), "pruned": list(made.pruned)})  # fmt: skip
    else:
        context.reporter.note(f"{arguments.output}: {made.records} packages")
    return 0
