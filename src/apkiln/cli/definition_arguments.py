"""Arguments of every command that reads an image definition, and the definition they give (spec image.md §3)."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.configuration.loading import LoadedConfiguration


def add_definition_arguments(parser: argparse.ArgumentParser) -> None:
    """`CONFIG` and the flags that add to it."""
    parser.add_argument("config", metavar="CONFIG", help="image definition, an apko YAML file")
    group = parser.add_argument_group("additions to the definition; each may be repeated or hold several, separated by commas")
    group.add_argument("-k", "--keyring-append", action="append", default=[], metavar="KEY", help="key to trust, path or URL")
    group.add_argument(
        "-b", "--build-repository-append", action="append", default=[], metavar="REPO", help="repository to solve against only"
    )
    group.add_argument("-r", "--repository-append", action="append", default=[], metavar="REPO", help="repository")
    group.add_argument("-p", "--package-append", action="append", default=[], metavar="PACKAGE", help="package to install")
    group.add_argument("--annotations", action="append", default=[], metavar="KEY:VALUE", help="annotation (also KEY=VALUE)")
    group.add_argument("--arch", action="append", default=[], metavar="ARCH", help="apk or OCI name, `host` or `all`")
    group.add_argument("--include-paths", action="append", default=[], metavar="DIR", help="directories to look for includes in")
    group.add_argument("--strict-apko", action="store_true", help="refuse everything that apko does not understand")


def load_definition(arguments: argparse.Namespace, context: Context) -> LoadedConfiguration:
    """The definition that the arguments of `add_definition_arguments` name, with its notes told to the reporter."""
    from apkiln.image.configuration.overlay import parse_overlay
    from apkiln.image.definition import read_definition
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.files import DiskFiles

    overlay = parse_overlay(
        keyring=arguments.keyring_append,
        build_repositories=arguments.build_repository_append,
        repositories=arguments.repository_append,
        packages=arguments.package_append,
        annotations=arguments.annotations,
        archs=arguments.arch,
    )
    loaded = read_definition(
        DiskFiles(),
        PurePath(context.settings.working_directory),
        arguments.config,
        context.settings.limits,
        include_paths=[path for value in arguments.include_paths for path in value.split(",") if path],
        overlay=overlay,
        strict=arguments.strict_apko,
        store=DirectoryStore(Path(context.settings.cache_directory)),
    )
    for note in loaded.notes:
        context.reporter.note(f"{note.origin}: {note.message}")
    return loaded
