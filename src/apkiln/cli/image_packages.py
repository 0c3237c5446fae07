"""`apkiln image packages`: what an image would hold, without building it."""

from __future__ import annotations

import argparse

from apkiln.cli.resolve_arguments import add_lock_arguments, add_resolve_arguments, resolve_definition
from apkiln.core.errors import UsageError
from apkiln.core.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.formats.apk.records import IndexRecord

NAME = "image packages"
HELP = """List the packages that an image definition leads to, for each architecture, in the order of installation."""
EPILOG = """FORMAT is `name-version`, `name=version`, `name-(version)` or `packagelock`, each also with `-source`, or a template
with `{{.Name}}`, `{{.Version}}` and `{{.Source}}`.

examples:
  apkiln image packages image.yaml
  apkiln image packages image.yaml --arch x86_64 --format name=version
  apkiln image packages image.yaml --json
"""
_FORMATS = {
    "": "{{.Name}} {{.Version}}",
    "name-version": "{{.Name}} {{.Version}}",
    "name=version": "{{.Name}}={{.Version}}",
    "name-(version)": "{{.Name}} ({{.Version}})",
    "packagelock": "- {{.Name}}={{.Version}}",
}
_FIELD = pattern(r"\{\{\s*\.(Name|Version|Source)\s*\}\}")


def configure(parser: argparse.ArgumentParser) -> None:
    add_resolve_arguments(parser)
    add_lock_arguments(parser)
    parser.add_argument("--format", metavar="FORMAT", default="", help="how to show a package")


def run(arguments: argparse.Namespace, context: Context) -> int:
    resolved = resolve_definition(arguments, context)
    if context.settings.json:
        context.output.json(resolved.resolution.plan.document())
        return 0
    template = template_of(arguments.format)
    architectures = resolved.resolution.plan.architectures
    for plan in architectures:
        if len(architectures) > 1:
            context.output.print(plan.arch.apk)
        for package in plan.packages:
            context.output.print(rendered(template, package.record, package.repository))
    return 0


def template_of(name: str) -> str:
    """The template behind a format's name; every other text is a template itself.  Raises UsageError (`bad-format`)."""
    if name.endswith("-source") and name.removesuffix("-source") in _FORMATS:
        base = name.removesuffix("-source")
        return _FORMATS[base] + (" # " if base == "packagelock" else " ") + "{{.Source}}"
    template = _FORMATS.get(name, name)
    if not _FIELD.search(template):
        known = ", ".join(f"`{known}`" for known in _FORMATS if known)
        hint = f"one of {known}, or a template with `{{{{.Name}}}}`"
        raise UsageError(f"`{name}` is no format", reason="bad-format", hint=hint)
    return template


def rendered(template: str, record: IndexRecord, repository: str) -> str:
    """One line for a package."""
    source = f"{repository}/{record.arch}/{record.name_version}.apk"
    values = {"Name": record.name, "Version": record.version, "Source": source}
    return _FIELD.sub(lambda found: values[found[1]], template)
