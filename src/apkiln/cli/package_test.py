"""`apkiln package test`: the tests of a definition."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_arguments import add_compilation_arguments, add_evaluation_arguments
from apkiln.cli.package_build_arguments import add_peer_arguments, add_root_arguments, add_sandbox_arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.package.building.guest_request import GuestSources
    from apkiln.package.definition.model import PackageDefinition
    from apkiln.package.testing.outcome import Report
    from apkiln.package.testing.running import AccessOfTests, SettingsOfTests

NAME = "package test"
HELP = """Run the tests of a definition and of its subpackages, each in a fresh root with the package under test from a
repository, several at a time.  A test that fails stops no other one; exit code 11 when any failed.

A report says for each test what was in its root; `--lock` with such a report runs the tests with the same packages again."""
EPILOG = """examples:
  apkiln package test hello.yaml -r ./packages -k local.rsa.pub
  apkiln package test hello.yaml -r https://packages.wolfi.dev/os -k wolfi-signing.rsa.pub --report tests.xml --report tests.json
  apkiln package test hello.yaml --from-apk packages/x86_64/hello-1.0-r0.apk -r ./base -k base.rsa.pub
  apkiln package test hello.yaml -r ./packages -k local.rsa.pub --lock tests.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", default="", metavar="FILE", help="package definition, a melange YAML file")
    parser.add_argument("package", nargs="?", default="", metavar="PACKAGE", help="tested in place of the main package")
    add_evaluation_arguments(parser)
    add_compilation_arguments(parser)
    add_root_arguments(parser)
    add_sandbox_arguments(parser)
    add_peer_arguments(parser)
    group = parser.add_argument_group("tests")
    group.add_argument("--source-dir", metavar="DIR", default="", help="files for every workspace (default: none)")
    group.add_argument("--from-apk", metavar="FILE", action="append", default=[], help="packages that no repository has yet")
    group.add_argument("--report", metavar="FILE", action="append", default=[], help="`.xml` = JUnit, else JSON; may be repeated")
    group.add_argument("--lock", metavar="FILE", default="", help="JSON report whose packages the roots are made of")
    group.add_argument("--retries", metavar="N", type=int, default=0, help="further attempts of a test that fails")


def run(arguments: argparse.Namespace, context: Context) -> int:
    import os

    from apkiln.cli.package_arguments import (
        compilation_settings,
        definition_path,
        evaluation_settings,
        load_path,
        pipeline_library,
        tell,
    )
    from apkiln.core.arch import Arch
    from apkiln.core.errors import ApkilnError
    from apkiln.package.compilation.resolving import resolve
    from apkiln.package.testing.plan import planned_tests

    arguments.config = definition_path(arguments, context)
    arch = Arch.parse(arguments.arch if arguments.arch not in ("", "host") else os.uname().machine)
    loaded = load_path(arguments.config, evaluation_settings(arguments, context), context)
    try:
        resolved = resolve(loaded, arch, pipeline_library(arguments, context), compilation_settings(arguments))
    except ApkilnError as error:
        if error.reason != "not-targeted":
            raise
        context.reporter.note(str(error))
        return 0
    tell(resolved.notes, context)
    tests = planned_tests(resolved.definition, arguments.package)
    with _RootSources(arguments, context, arch) as sources:
        settings, access = _prepared(arguments, context, resolved.definition, arch, sources)
        from apkiln.package.testing.running import run_tests

        outcomes = run_tests(tests, settings, access)
    return _report(resolved.definition, arch, outcomes, arguments, context)


def _prepared(
    arguments: argparse.Namespace, context: Context, definition: PackageDefinition, arch: Arch, sources: GuestSources
) -> tuple[SettingsOfTests, AccessOfTests]:
    from pathlib import Path

    from apkiln.cli import package_build_arguments as shared
    from apkiln.cli.access import open_access
    from apkiln.package.building.root import RootKind
    from apkiln.package.building.session import Network
    from apkiln.package.testing.running import AccessOfTests, SettingsOfTests
    from apkiln.system.clock import SystemClock

    here = Path(context.settings.working_directory)
    runner = shared.open_runner(arguments, context)
    package = definition.package
    settings = SettingsOfTests(
        arch=arch,
        sources=sources,
        capabilities=definition.capabilities,
        source_directory=here / arguments.source_dir if arguments.source_dir else None,
        network=Network(arguments.network),
        root=RootKind(runner.root),
        limits=shared.limits_of(arguments, package.test_resources, package.timeout),
        emulator=shared.emulator_of(arch, context),
        debug=arguments.debug,
        retries=arguments.retries,
        locked=_locked(arguments, here),
        jobs=context.settings.jobs,
    )
    access = AccessOfTests(
        access=open_access(context),
        trees=shared.open_trees(context),
        owners=shared.owners_word(),
        sandbox=runner.sandbox,
        workspace=shared.workspaces(arguments, context, runner),
        now=SystemClock().monotonic,
        tell=_teller(context),
        resolver=shared.resolver_file(),
    )
    return settings, access


def _locked(arguments: argparse.Namespace, here: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not arguments.lock:
        return ()
    from apkiln.package.testing.outcome import read_locked_packages
    from apkiln.system.files import DiskFiles

    return tuple(read_locked_packages(DiskFiles().read(here / arguments.lock, 1 << 26), arguments.lock).items())


def _teller(context: Context) -> Callable[[str, str], None]:
    from apkiln.cli.package_build_arguments import line_teller

    return lambda package, line: line_teller(context, package)(line)


class _RootSources:
    """The sources of roots; with `--from-apk` a repository of these files too, for as long as the tests run."""

    def __init__(self, arguments: argparse.Namespace, context: Context, arch: Arch) -> None:
        from tempfile import TemporaryDirectory

        self._arguments = arguments
        self._context = context
        self._arch = arch
        self._directory: TemporaryDirectory[str] | None = (
            TemporaryDirectory(prefix="apkiln-test-") if arguments.from_apk else None
        )

    def __enter__(self) -> GuestSources:
        from apkiln.cli.package_build_arguments import guest_sources
        from apkiln.core.value import replace

        sources = guest_sources(self._arguments)
        if self._directory is None:
            return sources
        repository, key = self._repository(self._directory.name)
        return replace(sources, repositories=(repository, *sources.repositories), keys=(*sources.keys, key))

    def __exit__(self, *_: object) -> None:
        if self._directory is not None:
            self._directory.cleanup()

    def _repository(self, directory: str) -> tuple[str, str]:
        from pathlib import Path

        from apkiln.formats.deflate.codec import canonical_codec
        from apkiln.package.building.output_index import index_files
        from apkiln.system.files import DiskFiles
        from apkiln.system.signer import generate_key_pair

        here, settings = Path(self._context.settings.working_directory), self._context.settings
        pair = generate_key_pair("from-apk.rsa.pub", bits=2048)
        key = Path(directory, pair.signer.name)
        key.write_bytes(pair.signer.public_key())
        home = Path(directory, "repository", self._arch.apk)
        home.mkdir(parents=True)
        paths = [here / name for name in self._arguments.from_apk]
        index_files(paths, home, (pair.signer,), DiskFiles(durable=False), canonical_codec(), settings.limits)
        return str(home.parent), str(key)


def _report(
    definition: PackageDefinition, arch: Arch, outcomes: tuple[object, ...], arguments: argparse.Namespace, context: Context
) -> int:
    from apkiln.core.errors import CommandFailure
    from apkiln.package.testing.outcome import Outcome, Report, json_document

    found = tuple(item for item in outcomes if isinstance(item, Outcome))
    report = Report(f"{definition.package.name.text}-{definition.package.full_version}", arch.apk, found)
    _write_reports(report, arguments, context)
    if context.settings.json:
        context.output.json(json_document(report))
    else:
        for item in report.outcomes:
            again = f" after {item.attempts} attempts" if item.attempts > 1 else ""
            context.output.print(f"{item.verdict.value:7} {item.package} ({item.milliseconds / 1000:.1f} s){again}")
    if not found:
        context.reporter.note("the definition has no tests")
    if report.failed:
        context.output.flush()
        what = ", ".join(f"`{item.package}`" for item in report.failed)
        details = [
            line for item in report.failed for line in (f"{item.package}: {item.message}", *(f"  {line}" for line in item.lines))
        ]
        raise CommandFailure(
            f"{len(report.failed)} of {len(found)} tests did not pass: {what}", reason="tests-failed", details=details
        )
    return 0


def _write_reports(report: Report, arguments: argparse.Namespace, context: Context) -> None:
    from pathlib import Path

    from apkiln.core import canonical_json
    from apkiln.package.testing.outcome import json_document, junit_document
    from apkiln.system.files import DiskFiles

    for name in arguments.report:
        content = (
            junit_document(report).encode() if name.endswith(".xml") else canonical_json.encode_pretty(json_document(report))
        )
        with DiskFiles(durable=False).create(Path(context.settings.working_directory, name), replace=True) as stream:
            stream.write(content)
