"""`apkiln package lint`: what is remarkable about finished packages."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.package.analysis.conclusion import Analysis
    from apkiln.package.analysis.published import PublishedPackage

NAME = "package lint"
HELP = """Check finished packages, files or URLs, with the linters of `package build`.

Packages of one build that are named together are seen together.  Checks about tests need the definition that a package
carries; of one that carries none they say that there are none.  Exit code 10 when a required check finds something."""
EPILOG = """examples:
  apkiln package lint packages/x86_64/*.apk
  apkiln package lint hello-1.2.3-r0.apk --lint-require usrmerge,setuidgid --lint-warn strip
  apkiln package lint --list
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", metavar="APK", help="package file or URL")
    parser.add_argument("--lint-require", default=None, metavar="LIST", help="checks that refuse, instead of the usual ones")
    parser.add_argument("--lint-warn", default=None, metavar="LIST", help="checks that only tell, instead of the usual ones")
    parser.add_argument("--persist-lint-results", action="store_true", help="write findings as JSON into OUT/ARCH")
    parser.add_argument("--out-dir", default="packages", metavar="DIR", help="default: ./packages")
    parser.add_argument("--list", action="store_true", help="name all checks and do nothing else")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.cli.package_import import lint_settings
    from apkiln.core.errors import FaultCollector, UsageError
    from apkiln.package.analysis.linters.results import results
    from apkiln.package.analysis.published import lint_published

    if arguments.list:
        _list(context)
        return 0
    if not arguments.packages:
        raise UsageError("no package is named", reason="no-package", hint="name package files, or use `--list`")
    settings, faults = lint_settings(arguments), FaultCollector.empty()
    shown = []
    packages = [_read(location, context) for location in arguments.packages]
    _tell_of_tests(packages, context)
    for package in packages:
        found = lint_published(package, settings, _others(package, packages))
        value = results(package.contents.info.name_version, found.findings)
        shown.append(value)
        _tell(package, found, context)
        if arguments.persist_lint_results:
            _write(arguments.out_dir, package, value, context)
        for fault in _faults(package, found):
            faults.add(fault)
    if context.settings.json:
        context.output.json(shown)
    faults.raise_if_any()
    return 0


def _list(context: Context) -> None:
    from apkiln.package.analysis.linters.table import LINTERS

    if context.settings.json:
        context.output.json([{"name": item.name, "default": item.default.value, "explain": item.explain} for item in LINTERS])
        return
    for item in LINTERS:
        context.output.print(f"{item.name:<24} {item.default.value:<9} {item.explain}")


def _read(location: str, context: Context) -> PublishedPackage:
    from pathlib import Path

    from apkiln.cli.access import open_access
    from apkiln.core.errors import ApkilnError
    from apkiln.core.origin import Origin
    from apkiln.package.analysis.published import read_published
    from apkiln.system.files import DiskFiles
    from apkiln.system.spool import DiskSpools
    from apkiln.system.urls import is_http

    limits = context.settings.limits
    try:
        if not is_http(location):
            with DiskFiles().open(Path(context.settings.working_directory, location)) as stream:
                return read_published(stream, limits)
        with DiskSpools().spool() as spool:
            open_access(context).transfer.fetch(location, spool.write, limit=limits.http_response)
            spool.seek(0)
            return read_published(spool, limits)
    except ApkilnError as error:
        error.located(Origin(source=location))
        raise


def _others(package: PublishedPackage, packages: list[PublishedPackage]) -> list[PublishedPackage]:
    """Those of the same build among the packages that are looked at."""
    own = package.contents.info
    if not own.origin:
        return []
    infos = [(item, item.contents.info) for item in packages if item is not package]
    return [item for item, info in infos if (info.origin, info.version, info.arch) == (own.origin, own.version, own.arch)]


def _tell_of_tests(packages: list[PublishedPackage], context: Context) -> None:
    bare = [package.contents.info.name_version for package in packages if not package.definition]
    if bare:
        names = ", ".join(bare[:3]) + (f" and {len(bare) - 3} more" if len(bare) > 3 else "")
        context.reporter.note(f"nothing is known of the tests of packages without a definition: {names}")


def _tell(package: PublishedPackage, found: Analysis, context: Context) -> None:
    name = package.contents.info.name_version
    if context.settings.json:
        return
    for finding in found.findings:
        word = "required" if finding.required else "warning"
        context.output.print(f"{name}: {word}: {finding.linter}: {finding.message}")
        for path in finding.paths:
            context.output.print(f"    {path}")
        context.output.print(f"    → {finding.explain}")


def _faults(package: PublishedPackage, found: Analysis) -> list[Any]:
    from apkiln.core.errors import ViolationError
    from apkiln.core.origin import Origin

    place = Origin(package=package.contents.info.name_version)
    return [
        ViolationError(f"it {finding.message} [{finding.linter}]", reason="lint", origin=place, hint=finding.explain)
        for finding in found.findings
        if finding.required
    ]


def _write(directory: str, package: PublishedPackage, value: dict[str, Any], context: Context) -> None:
    from pathlib import Path

    from apkiln.core import canonical_json
    from apkiln.system.files import DiskFiles

    info = package.contents.info
    place = Path(context.settings.working_directory, directory, info.arch)
    DiskFiles().make_directory(place)
    with DiskFiles(durable=False).create(place / f"lint-{info.name_version}.json", replace=True) as stream:
        stream.write(canonical_json.encode_pretty(value))
