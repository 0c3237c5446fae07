"""`apkiln package new`: a first definition from a package of another system."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.source_arguments import add_debian_arguments, add_source_arguments, debian_shop, source_access, source_cache

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.package.new.draft import Draft

NAME = "package new"
HELP = """Write a first definition from what others publish: a Python source distribution, a Ruby gem, an npm package, an APKBUILD
or a Debian source package.  SOURCE is a file, a URL, or `debian:NAME[=VERSION]` for a source package of this machine's archives.
Nothing in it is run.  What was guessed stands at the top of the definition, as comments, and is told.

Patches go into the directory named after the definition."""
EPILOG = """examples:
  apkiln package new requests-2.32.3.tar.gz --uri https://example.org/requests-2.32.3.tar.gz
  apkiln package new https://example.org/rack-3.1.0.gem -o ruby3.4-rack.yaml
  apkiln package new aports/main/zlib/APKBUILD
  apkiln package new debian:zlib
"""
_LARGEST = 1 << 30


def configure(parser: argparse.ArgumentParser) -> None:
    from apkiln.package.new.reading import KINDS

    parser.add_argument("source", metavar="SOURCE", help="file, URL, or debian:NAME[=VERSION]")
    parser.add_argument("--kind", choices=KINDS, default="", help="what SOURCE is (default: told by name and content)")
    parser.add_argument("--uri", default="", metavar="URI", help="where a build fetches the sources (default: SOURCE, if a URL)")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="default: NAME.yaml; `-` prints it")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_source_arguments(parser)
    add_debian_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.package.compilation.resolving import load
    from apkiln.package.new.draft import render_draft
    from apkiln.system.files import DiskFiles

    draft = _draft(arguments, context)
    text = render_draft(draft).encode()
    load(text, f"{draft.name}.yaml")  # what we write must read back
    if arguments.output == "-":
        context.output.bytes(text)
        return 0
    files, here = DiskFiles(), Path(context.settings.working_directory)
    path = here / (arguments.output or f"{draft.name}.yaml")
    with files.create(path, replace=arguments.force) as stream:
        stream.write(text)
    if draft.side_files:
        files.make_directory(path.with_suffix(""))
    for name, content in draft.side_files:
        with files.create(path.with_suffix("") / name, replace=arguments.force) as stream:
            stream.write(content)
    for guess in draft.guesses:
        context.reporter.note(guess)
    if context.settings.json:
        patches = [name for name, _ in draft.side_files]
        context.output.json({"file": str(path), "name": draft.name, "version": draft.version, "patches": patches,
                             "guesses": list(draft.guesses)})  # fmt: skip
    else:
        context.output.print(str(path))
    return 0


def _draft(arguments: argparse.Namespace, context: Context) -> Draft:
    from pathlib import Path

    from apkiln.package.new.reading import read_draft
    from apkiln.system.files import DiskFiles
    from apkiln.system.urls import is_http

    files = DiskFiles()
    if arguments.source.startswith("debian:"):
        return _debian(arguments, context)
    if is_http(arguments.source):
        path = _fetched(arguments, context)
        return read_draft(path, arguments.uri or arguments.source, arguments.kind, files)
    return read_draft(Path(context.settings.working_directory) / arguments.source, arguments.uri, arguments.kind, files)


def _fetched(arguments: argparse.Namespace, context: Context) -> Path:
    """The file behind a URL, in a directory of the cache under its own name."""
    import hashlib

    from apkiln.package.sources.plan import file_name

    access = source_access(arguments, context)
    directory = source_cache(arguments, context) / "new" / hashlib.sha256(arguments.source.encode()).hexdigest()[:16]
    access.files.make_directory(directory)
    path = directory / file_name(arguments.source)
    with access.files.create(path, replace=True) as stream:
        access.transfer.fetch(arguments.source, stream.write, limit=_LARGEST)
    return path


def _debian(arguments: argparse.Namespace, context: Context) -> Draft:
    from apkiln.core.errors import FormatError
    from apkiln.package.new.reading import read_draft
    from apkiln.system.files import DiskFiles

    shop = debian_shop(arguments, context)
    name, _, version = arguments.source.removeprefix("debian:").partition("=")
    package = shop.catalogue.package(name, version)
    description = next((file for file in package.files if file.name.endswith(".dsc")), None)
    if description is None or not package.originals:
        raise FormatError(f"`{name}` has no upstream archive", reason="unknown-package-kind")
    files = DiskFiles(durable=False)
    directory = source_cache(arguments, context) / "new" / f"{package.name}_{package.version}".replace(":", "_")
    files.make_directory(directory)
    for file in package.files:
        if not file.name.endswith(".asc"):
            obtained = shop.obtain(package, file)
            with files.create(directory / file.name, replace=True) as stream:
                shop.deliver(obtained, stream.write)
    uri = arguments.uri or f"{package.archive}/{package.originals[0].wanted.path}"
    return read_draft(directory / description.name, uri, "debian", files)
