"""`apkiln package compile`: a definition with pipelines, inputs and variables resolved for one architecture."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.package_arguments import (
    add_compilation_arguments,
    add_evaluation_arguments,
    add_ignored_arguments,
    compilation_settings,
    definition_path,
    evaluation_settings,
    find_repository,
    load_path,
    pipeline_library,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from apkiln.cli.context import Context

NAME = "package compile"
HELP = """Print a package definition as it counts for one architecture: named pipelines loaded, inputs and variables replaced,
ranges expanded, what steps need moved into the environments.  Nothing is fetched and nothing runs.

One definition is printed as one JSON document; several as one line each, with the file name.  A definition that is not
meant for the architecture ends with exit code 3; among several it is passed over with a remark."""
EPILOG = """examples:
  apkiln package compile hello.yaml
  apkiln package compile hello.yaml --arch aarch64 --pipeline-dir ./pipelines --yaml
  apkiln package compile *.yaml --arch x86_64 > all.jsonl
  apkiln package compile --schema > package.schema.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", nargs="*", metavar="FILE", help="package definitions, melange YAML files")
    parser.add_argument("--arch", metavar="ARCH", help="apk or OCI name (default: this machine's)")
    parser.add_argument("--yaml", action="store_true", help="print YAML instead of JSON")
    parser.add_argument("--peer-json", action="store_true", help="print JSON in the shape of melange's `compile`")
    parser.add_argument("--with-comments", action="store_true", help="keep comments in scripts")
    parser.add_argument("--strict", action="store_true", help="refuse what apk cannot read, as a build does")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of definitions and do nothing else")
    add_evaluation_arguments(parser)
    add_compilation_arguments(parser)
    add_ignored_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.schema:
        from apkiln.package.definition.published_schema import json_schema

        context.output.json(json_schema())
        return 0
    compile_one = _compiler(arguments, context)
    if len(arguments.configs) <= 1:
        arguments.config = arguments.configs[0] if arguments.configs else ""
        _print_one(compile_one(definition_path(arguments, context)), arguments, context)
        return 0
    return _print_several(arguments.configs, compile_one, context)


def _compiler(arguments: argparse.Namespace, context: Context) -> Callable[[str], Any]:
    """A function from a path to the resolved definition; pipelines are read once for all."""
    import os

    from apkiln.core.arch import Arch
    from apkiln.package.compilation.embedding import embedded
    from apkiln.package.compilation.resolving import resolve

    if arguments.peer_json and not arguments.git_commit:
        _url, arguments.git_commit = find_repository(arguments.configs[0] if arguments.configs else ".", context)
    settings, library = evaluation_settings(arguments, context), pipeline_library(arguments, context)
    compilation = compilation_settings(arguments)._replace(strict=arguments.strict)
    arch = Arch.parse(arguments.arch if arguments.arch not in (None, "host") else os.uname().machine)

    def compile_one(path: str) -> Any:
        resolved = resolve(load_path(path, settings, context), arch, library, compilation)
        tell(resolved.notes, context)
        return resolved.definition if arguments.with_comments else embedded(resolved.definition)

    return compile_one


def _print_one(definition: Any, arguments: argparse.Namespace, context: Context) -> None:
    from apkiln.package.definition.rendering import document, render_yaml

    if arguments.yaml and not context.settings.json:
        context.output.bytes(render_yaml(definition).encode())
    elif arguments.peer_json:
        from apkiln.package.definition.melange_rendering import melange_document

        context.output.json(melange_document(definition))
    else:
        context.output.json(document(definition))


def _print_several(paths: list[str], compile_one: Callable[[str], Any], context: Context) -> int:
    """One line for each that can be compiled; faults of all are raised at the end."""
    from apkiln.core import canonical_json
    from apkiln.core.errors import ApkilnError, FaultGroup
    from apkiln.package.definition.rendering import document

    faults: list[ApkilnError] = []
    for path in paths:
        try:
            shown = {"file": path, "compiled": document(compile_one(path))}
            context.output.print(canonical_json.encode(shown).decode())
        except FaultGroup as group:
            faults += group.faults
        except ApkilnError as error:
            if error.reason == "not-targeted":
                context.reporter.note(str(error))
            else:
                faults.append(error)
    if faults:
        raise FaultGroup(faults)
    return 0
