"""`apkiln package license-check`: the licence files of sources or a package against what a definition says."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.package.definition.model import Copyright
    from apkiln.package.licences.comparing import Comparison, LicenceFile
    from apkiln.package.licences.searching import Texts

NAME = "package license-check"
HELP = """Find licence files, tell which licences they hold, and compare with the `copyright` of a definition.

FILE is a definition, whose sources lie in `--workdir` (`apkiln package source get` puts them there); a package, whose own
definition is inside; or a directory, which is only listed.  Exit code 10 when definition and files disagree."""
EPILOG = """examples:
  apkiln package license-check zlib.yaml --workdir source
  apkiln package license-check zlib.yaml --workdir source --fix --format simple
  apkiln package license-check zlib-doc-1.3-r0.apk --scan-type deep
  apkiln package license-check ~/src/zlib
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="definition, package or directory")
    parser.add_argument(
        "--workdir", default="", metavar="DIR", help="where the sources of the definition are (default: `source`)"
    )
    parser.add_argument("--fix", action="store_true", help="rewrite `copyright` of the definition to what was found")
    parser.add_argument("--format", choices=("flat", "simple"), default="flat", help="of `--fix`: a list, or one expression")
    parser.add_argument("--scan-type", choices=("shallow", "deep"), default="shallow", help="deep: below all directories, too")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.package.licences.comparing import compare, lines
    from apkiln.package.licences.searching import found_licences, open_classifier
    from apkiln.system.files import DiskFiles
    from apkiln.system.folder import DirectoryFolder

    files, here = DiskFiles(), Path(context.settings.working_directory)
    status = files.status(here / arguments.file)
    entries: tuple[Copyright, ...] | None = None
    texts: Texts
    if status is not None and status.is_directory:
        texts = DirectoryFolder(here / arguments.file)
    elif arguments.file.endswith(".apk"):
        texts, entries = _package(arguments.file, context)
    else:
        texts, entries = DirectoryFolder(_work(arguments, here)), _entries(arguments.file, context)
    deep = arguments.scan_type == "deep" or arguments.file.endswith(".apk")
    further = [entry.license_path.text for entry in entries or () if entry.license_path.text]
    found = found_licences(texts, open_classifier(files), deep=deep, further=further)
    comparison = compare(entries, found) if entries is not None else None
    _show(found, comparison, context)
    if comparison is None or not comparison.differences:
        return 0
    if arguments.fix:
        return _fix(arguments, comparison, context)
    from apkiln.core.errors import ViolationError
    from apkiln.core.origin import Origin

    message = f"`copyright` and the licence files disagree in {len(comparison.differences)} places"
    raise ViolationError(
        message,
        reason="licences-differ",
        origin=Origin(arguments.file),
        hint="`--fix` rewrites `copyright`",
        details=lines(comparison),
    )


def _work(arguments: argparse.Namespace, here: Path) -> Path:
    from apkiln.core.errors import UnavailableError
    from apkiln.system.files import DiskFiles

    place = here / (arguments.workdir or "source")
    if DiskFiles().status(place) is None:
        hint = f"`apkiln package source get {arguments.file}` puts the sources there"
        raise UnavailableError(f"there is no directory `{place}`", reason="missing-file", hint=hint)
    return place


def _entries(path: str, context: Context) -> tuple[Copyright, ...]:
    from apkiln.cli.package_arguments import load_path
    from apkiln.package.evaluation.evaluating import EvaluationSettings

    return load_path(path, EvaluationSettings(), context).evaluated.definition.package.copyright


def _package(name: str, context: Context) -> tuple[Texts, tuple[Copyright, ...] | None]:
    """The licence files in a package, and the `copyright` of the definition inside; None without one."""
    from apkiln.cli.apk_files import open_file
    from apkiln.formats.apk.control import read_control
    from apkiln.formats.apk.package import read_package
    from apkiln.formats.apk.policy import COMPAT
    from apkiln.package.compilation.resolving import load
    from apkiln.package.licences.collecting import CollectedTexts

    limits = context.settings.limits
    with open_file(name, context) as stream:
        texts = CollectedTexts()
        read_package(stream, limits, COMPAT, texts)
        stream.seek(0)
        inside = dict(read_control(stream, limits, COMPAT).other_files).get(".melange.yaml")
    if inside is None:
        return texts, None
    return texts, load(inside, f"{name}/.melange.yaml").evaluated.definition.package.copyright


def _show(found: tuple[LicenceFile, ...], comparison: Comparison | None, context: Context) -> None:
    if context.settings.json:
        rows = [{"path": file.path, "licenses": [[match.name, match.confidence] for match in file.matches]} for file in found]
        shown: dict[str, object] = {"files": rows}
        if comparison is not None:
            differences = [{"kind": one.kind, "license": one.licence, "path": one.path} for one in comparison.differences]
            shown |= {"differences": differences, "notPermissive": list(comparison.not_permissive)}
        context.output.json(shown)
        return
    for file in found:
        names = ", ".join(f"{match.name} ({match.confidence:.2f})" for match in file.matches) or "NOASSERTION (0.00)"
        context.output.print(f"{file.path}: {names}")
    if comparison is not None and comparison.not_permissive:
        context.reporter.note("not permissive: " + ", ".join(comparison.not_permissive))


def _fix(arguments: argparse.Namespace, comparison: Comparison, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.package_arguments import read_bytes
    from apkiln.core.errors import UsageError
    from apkiln.package.licences.comparing import lines
    from apkiln.package.licences.fixing import fixed
    from apkiln.system.files import DiskFiles

    if arguments.file.endswith(".apk"):
        raise UsageError("`--fix` changes definitions, not packages", reason="bad-arguments")
    path = Path(context.settings.working_directory) / arguments.file
    content = read_bytes(arguments.file, context)
    new = fixed(content, arguments.file, comparison, form=arguments.format)
    status = DiskFiles().status(path)
    with DiskFiles().create(path, status.mode if status is not None else 0o644, replace=True) as stream:
        stream.write(new)
    for line in lines(comparison):
        context.reporter.note(line)
    return 0
