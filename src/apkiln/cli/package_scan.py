"""`apkiln package scan`: published packages analysed again, and what that changes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.analysis_arguments import add_rules_argument, analysis_rules
from apkiln.cli.package_arguments import add_compilation_arguments, add_evaluation_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.package.analysis.published import PublishedPackage
    from apkiln.package.analysis.rules import AnalysisRules
    from apkiln.package.definition.model import PackageDefinition
    from apkiln.package.scanning.reading import RepositoryPackages
    from apkiln.package.scanning.rescanning import Rescan

NAME = "package scan"
HELP = """Analyse packages that were built earlier again, and print their `.PKGINFO` as it would be today.

With a definition: the packages that it makes, at its version.  With `--all`: every package of a repository, under the
definitions that the packages carry; what changes is summed up by kind of relation.  Use it before a rule of the analysis
changes: what the rule does to a whole repository is seen at once.  With `--diff` (and `--all`) the exit code is 10 when
something differs."""
EPILOG = """examples:
  apkiln package scan hello.yaml --diff
  apkiln package scan hello.yaml -r https://packages.wolfi.dev/os -k wolfi-signing.rsa.pub --arch aarch64
  apkiln package scan --all -r ./packages --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", default="", metavar="FILE", help="package definition, a melange YAML file")
    parser.add_argument("-r", "--repository-append", action="append", default=[], metavar="REPO", help="default: ./packages")
    parser.add_argument("-k", "--keyring-append", action="append", default=[], metavar="KEY", help="key of the repository")
    parser.add_argument("--ignore-signatures", action="store_true", help="take an unsigned index")
    parser.add_argument("-p", "--package", action="append", default=[], metavar="NAME", help="only these packages")
    parser.add_argument("--arch", default="x86_64", metavar="ARCH", help="apk or OCI name (default: x86_64)")
    parser.add_argument("--all", action="store_true", help="every package of the repository")
    parser.add_argument("--diff", action="store_true", help="print what differs instead of the whole")
    parser.add_argument("--comments", action="store_true", help="comments count as well")
    parser.add_argument("--versioned-libraries", action="store_true", help="depend on versions of libraries")
    add_rules_argument(parser)
    parser.add_argument("--namespace", default="", help=argparse.SUPPRESS)
    add_evaluation_arguments(parser)
    add_compilation_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.cli.access import open_access
    from apkiln.core.arch import Arch
    from apkiln.core.errors import UsageError
    from apkiln.package.scanning.reading import RepositoryPackages

    if len(arguments.repository_append) > 1:
        raise UsageError("one repository is scanned at a time", reason="several-repositories")
    location = (arguments.repository_append or ["packages"])[0]
    arch = Arch.parse(arguments.arch)
    packages = RepositoryPackages(
        location,
        arch.apk,
        arguments.keyring_append,
        open_access(context),
        ignore_signatures=arguments.ignore_signatures,
    )
    rules = analysis_rules(arguments, context)
    rules = rules._replace(versioned_libraries=rules.versioned_libraries or arguments.versioned_libraries)
    found = _whole(arguments, packages, rules) if arguments.all else _defined(arguments, context, arch, packages, rules)
    return _report(found, arguments, context)


def _defined(
    arguments: argparse.Namespace, context: Context, arch: Arch, packages: RepositoryPackages, rules: AnalysisRules
) -> list[Rescan]:
    from apkiln.cli.package_arguments import (
        compilation_settings,
        definition_path,
        evaluation_settings,
        load_path,
        pipeline_library,
    )
    from apkiln.package.compilation.resolving import resolve
    from apkiln.package.definition.parts import parts

    loaded = load_path(definition_path(arguments, context), evaluation_settings(arguments, context), context)
    definition = resolve(loaded, arch, pipeline_library(arguments, context), compilation_settings(arguments)).definition
    version = definition.package.full_version
    group = packages.named((part.name, version) for part in parts(definition))
    return _rescanned(group, definition, arguments, rules)


def _whole(arguments: argparse.Namespace, packages: RepositoryPackages, rules: AnalysisRules) -> list[Rescan]:
    from apkiln.package.scanning.rescanning import groups

    return [item for group in groups(packages.all()) for item in _rescanned(group, None, arguments, rules)]


def _rescanned(
    group: tuple[PublishedPackage, ...],
    definition: PackageDefinition | None,
    arguments: argparse.Namespace,
    rules: AnalysisRules,
) -> list[Rescan]:
    from apkiln.package.scanning.rescanning import rescan

    wanted = [item for item in group if not arguments.package or item.contents.info.name in arguments.package]
    return [rescan(item, [other for other in group if other is not item], definition, rules) for item in wanted]


def _report(found: list[Rescan], arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.package.scanning.rescanning import summary

    changes = [change for item in found for change in item.changes()]
    if context.settings.json:
        rows = [
            {"package": change.package, "field": change.field, "item": change.item, "added": change.added} for change in changes
        ]
        totals = [dict(zip(("field", "rule", "added", "removed"), row, strict=True)) for row in summary(changes)]
        context.output.json({"packages": len(found), "changes": rows, "summary": totals})
        return 10 if changes and (arguments.diff or arguments.all) else 0
    differs = False
    for item in found:
        text = item.diff(comments=arguments.comments)
        differs = differs or bool(text)
        context.output.bytes((text if arguments.diff or arguments.all else item.text()).encode())
    if arguments.all:
        for field, rule, added, removed in summary(changes):
            context.output.print(f"{field} {rule}: {added} more, {removed} fewer")
        context.output.print(f"{len(found)} packages, {len({change.package for change in changes})} differ")
    return 10 if differs and (arguments.diff or arguments.all) else 0
