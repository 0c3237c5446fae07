"""`apkiln package lint-pipeline`: named pipelines looked at before definitions use them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.package.compilation.pipeline_checks import PipelineFinding

NAME = "package lint-pipeline"
HELP = """Look at pipeline files: unknown keys, inputs that are not declared or never used, variables and pipelines that do not
exist, pipelines that use each other in a circle, conditions that cannot be read.  Directories are those that `--pipeline-dir`
takes; all pipelines below are looked at.  Exit code 10 when there is an error; with `--strict` also when there is a warning."""
EPILOG = """examples:
  apkiln package lint-pipeline ./pipelines
  apkiln package lint-pipeline ./pipelines --strict --json
  apkiln package lint-pipeline my-step.yaml
"""
_LARGEST = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="FILE|DIR", help="pipelines (default: the built-in ones)")
    parser.add_argument(
        "--pipeline-dir", action="append", default=[], metavar="DIR", help="where pipelines that are used are found, too"
    )
    parser.add_argument("--strict", action="store_true", help="warnings count, too")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.package.compilation.pipeline_checks import ERROR, check_pipeline
    from apkiln.package.compilation.pipeline_file import read_pipeline_file
    from apkiln.package.compilation.shelves import BUILT_IN, library_of
    from apkiln.system.files import DiskFiles

    here, files = Path(context.settings.working_directory), DiskFiles()
    named = [(name, here / name) for name in arguments.paths] or [("built-in", Path(BUILT_IN))]
    directories = [pair for pair in named if _is_directory(pair[1])]
    library = library_of([*directories, *((name, here / name) for name in arguments.pipeline_dir)])
    findings: list[PipelineFinding] = []
    count = 0
    for shown, path in named:
        for name, place in _pipelines(path):
            file = read_pipeline_file(name, f"{shown}/{name}.yaml" if _is_directory(path) else shown, files.read(place, _LARGEST))
            findings += check_pipeline(file, library)
            count += 1
    _show(findings, count, context)
    bad = [one for one in findings if arguments.strict or one.severity == ERROR]
    if bad:
        from apkiln.core.errors import ViolationError

        raise ViolationError(f"{len(bad)} findings in {count} pipelines", reason="bad-pipelines", origin=bad[0].origin)
    return 0


def _is_directory(path: Path) -> bool:
    from apkiln.system.files import DiskFiles

    status = DiskFiles().status(path)
    return status is not None and status.is_directory


def _pipelines(path: Path) -> list[tuple[str, Path]]:
    """(name, file) of every pipeline below a directory, or of the one file."""
    from apkiln.system.folder import DirectoryFolder

    if not _is_directory(path):
        return [(path.stem, path)]
    return [(name.removesuffix(".yaml"), path / name) for name in DirectoryFolder(path).names() if name.endswith(".yaml")]


def _show(findings: list[PipelineFinding], count: int, context: Context) -> None:
    if context.settings.json:
        rows = [
            {
                "severity": one.severity,
                "reason": one.reason,
                "message": one.message,
                "file": one.origin.source,
                "line": one.origin.line,
            }
            for one in findings
        ]
        context.output.json({"pipelines": count, "findings": rows})
        return
    for one in findings:
        context.output.print(f"{one.origin}: {one.severity}: {one.message} ({one.reason})")
    context.reporter.note(f"{count} pipelines, {len(findings)} findings")
