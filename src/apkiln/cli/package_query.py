"""`apkiln package query`: a question to a definition, as a template."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_arguments import add_evaluation_arguments, evaluation_settings, load_path, tell

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "package query"
HELP = """Print what a template makes of a definition whose variables and ranges are resolved.  Templates are those of Go, with
fields, if, range, with, variables, pipes, len, index, printf, print, eq, ne, lt, le, gt, ge, and, or, not.  A query without
`{{` is a path such as `package.name`."""
EPILOG = """examples:
  apkiln package query hello.yaml '{{ .Package.Name }} {{ len .Subpackages }}'
  apkiln package query hello.yaml '{{ range .Subpackages }}{{ .Name }}{{ "\\n" }}{{ end }}'
  apkiln package query hello.yaml package.version
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="FILE", help="package definition, a melange YAML file")
    parser.add_argument("query", metavar="TEMPLATE", help="template or path")
    add_evaluation_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.package.definition.rendering import document
    from apkiln.package.query.path import find
    from apkiln.package.query.template import render
    from apkiln.package.query.view import Section, shown

    loaded = load_path(arguments.config, evaluation_settings(arguments, context), context)
    tell(loaded.notes, context)
    found = document(loaded.evaluated.definition)
    if "{{" in arguments.query:
        text = render(arguments.query, Section("", found))
        context.output.json({"result": text}) if context.settings.json else context.output.text(text)
        return 0
    value = find(found, arguments.query)
    if context.settings.json or not isinstance(value, str | int):
        context.output.json(value)
    else:
        context.output.print(shown(value))
    return 0
