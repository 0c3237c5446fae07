"""Arguments of every command that reads a package definition, and the definition they give (spec package.md §15.1)."""

from __future__ import annotations

import argparse
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.core.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.package.compilation.compiling import CompilationSettings
    from apkiln.package.compilation.library import PipelineLibrary
    from apkiln.package.compilation.resolving import LoadedDefinition
    from apkiln.package.evaluation.evaluating import EvaluationSettings

DEFAULT_NAMES = (".melange.yaml", ".melange.yml", "melange.yaml", "melange.yml")
"""What is read when no definition is named: the first of these that exists."""


_IGNORED_VALUES = (
    ("--namespace",), ("--git-repo-url",), ("-r", "--repository-append"), ("-k", "--keyring-append"), ("--source-dir",),
    ("--workspace-dir",), ("--out-dir",), ("--signing-key",), ("--runner",), ("--license",), ("--build-date",),
    ("--apk-cache-dir",), ("--guest-dir",), ("--cache-source",), ("--cpu",), ("--cpumodel",), ("--memory",), ("--disk",),
    ("--timeout",), ("--dependency-log",), ("--trace",),
)  # fmt: skip
_IGNORED_SWITCHES = (
    ("--ignore-signatures",), ("--debug",), ("--generate-index",), ("--empty-workspace",), ("--create-build-log",),
    ("--debug-runner",), ("--fail-on-lint-warning",), ("--generate-provenance",), ("-i", "--interactive"), ("--rm",),
    ("--strip-origin-name",), ("--persist-lint-results",),
)  # fmt: skip


def add_evaluation_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that change what a definition says."""
    group = parser.add_argument_group("additions to the definition; each may be repeated")
    group.add_argument("--vars-file", action="append", default=[], metavar="FILE", help="YAML mapping of variables; they win")
    group.add_argument("--env-file", action="append", default=[], metavar="FILE", help="environment variables; first file wins")
    group.add_argument("--build-option", action="append", default=[], metavar="NAME", help="option to switch on")
    group.add_argument("--git-commit", default="", metavar="COMMIT", help="commit of the definition, where it names none")


def add_compilation_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that say how a definition is resolved for an architecture."""
    from apkiln.package.compilation.scope import LIBC_FLAVORS

    group = parser.add_argument_group("resolving")
    group.add_argument(
        "--pipeline-dir",
        "--pipeline-dirs",
        action="append",
        default=[],
        dest="pipeline_directories",
        metavar="DIR",
        help="directory of named pipelines, before the built-in ones; may be repeated",
    )
    group.add_argument("--strict-pipelines", action="store_true", help="refuse unknown keys in pipeline files")
    group.add_argument("--package-append", action="append", default=[], metavar="PACKAGE", help="package for the build")
    group.add_argument(
        "--test-package-append", action="append", default=[], metavar="PACKAGE", help="package for every test environment"
    )
    group.add_argument(
        "--override-host-triplet-libc-substitution-flavor",
        dest="libc_flavor",
        choices=LIBC_FLAVORS,
        default="gnu",
        help="C library in ${{host.triplet.*}} (default: gnu)",
    )


def add_ignored_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of melange's build that say nothing here."""
    for flags in _IGNORED_VALUES:
        parser.add_argument(*flags, action="append", help=argparse.SUPPRESS)
    for flags in _IGNORED_SWITCHES:
        parser.add_argument(*flags, action="store_true", help=argparse.SUPPRESS)


def definition_path(arguments: argparse.Namespace, context: Context) -> str:
    """The path on the command line, or the default name that exists.  UsageError `no-definition`."""
    if arguments.config:
        return str(arguments.config)
    from apkiln.system.files import DiskFiles

    for name in DEFAULT_NAMES:
        if DiskFiles().status(PurePath(context.settings.working_directory) / name) is not None:
            return name
    raise UsageError("no package definition is named", reason="no-definition", hint="tried " + ", ".join(DEFAULT_NAMES))


def find_repository(path: str, context: Context) -> tuple[str, str]:
    """URL and commit of the checkout that the definition at `path` lies in, in words for unknown where there is none."""
    from pathlib import Path

    from apkiln.image.revision import find_revision
    from apkiln.system.files import DiskFiles

    directory = Path(context.settings.working_directory, path).parent
    url, _at, commit = find_revision(DiskFiles(), directory, Path("/")).rpartition("@")
    return url or "https://unknown/unknown/unknown", commit or "unknown"


def read_bytes(path: str, context: Context) -> bytes:
    """A small file of the user.  UnavailableError `missing-file`."""
    from apkiln.core.limits import MIB
    from apkiln.system.files import DiskFiles

    return DiskFiles().read(PurePath(context.settings.working_directory) / path, 16 * MIB)


def evaluation_settings(arguments: argparse.Namespace, context: Context) -> EvaluationSettings:
    """What the flags of `add_evaluation_arguments` say; their files are read."""
    from apkiln.package.definition.note import Note
    from apkiln.package.evaluation.environment_file import merged_files, read_environment_file, read_variables_file
    from apkiln.package.evaluation.evaluating import EvaluationSettings

    variables: dict[str, str] = {}
    for path in arguments.vars_file:
        variables |= dict(read_variables_file(read_bytes(path, context), path))
    notes: list[Note] = []
    files = [(path, read_environment_file(_decoded(read_bytes(path, context), path), path)) for path in arguments.env_file]
    environment = merged_files(files, notes)
    tell(notes, context)
    return EvaluationSettings(
        tuple(sorted(variables.items())), tuple(dict.fromkeys(arguments.build_option)), arguments.git_commit, environment
    )


def compilation_settings(arguments: argparse.Namespace) -> CompilationSettings:
    from apkiln.package.compilation.compiling import CompilationSettings

    return CompilationSettings(arguments.libc_flavor, tuple(arguments.package_append), tuple(arguments.test_package_append))


def pipeline_library(arguments: argparse.Namespace, context: Context) -> PipelineLibrary:
    """The directories on the command line, then the built-in pipelines.  UnavailableError `missing-file` for no directory."""
    from apkiln.package.compilation.shelves import library_of
    from apkiln.system.files import DiskFiles

    directories = []
    for name in arguments.pipeline_directories:
        place = PurePath(context.settings.working_directory) / name
        status = DiskFiles().status(place)
        if status is None or not status.is_directory:
            raise UnavailableError(f"there is no directory `{name}`", reason="missing-file")
        directories.append((name.rstrip("/") or "/", place))
    return library_of(directories, strict=arguments.strict_pipelines)


def load_path(path: str, settings: EvaluationSettings, context: Context) -> LoadedDefinition:
    """The definition at a path, read and evaluated."""
    from apkiln.package.compilation.resolving import load

    return load(read_bytes(path, context), path, settings, context.settings.limits)


def tell(notes: object, context: Context) -> None:
    """Remarks, to the reporter."""
    from apkiln.package.definition.note import Note

    assert isinstance(notes, list | tuple)
    for note in notes:
        assert isinstance(note, Note)
        place = str(note.origin)
        context.reporter.note(f"{place}: {note.message}" if place else note.message)


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"`{path}` is not UTF-8", reason="bad-environment-file") from None
