"""`apkiln apk solve`: what a request would change, against index files, without touching anything."""

from __future__ import annotations

import argparse

from apkiln.core.errors import UnsatisfiableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.formats.apk.index_table import IndexTable
    from apkiln.formats.apk.records import IndexRecord
    from apkiln.solver.commands import Command
    from apkiln.solver.request import Request, SolverRepository
    from apkiln.solver.solution import Change, SelectedPackage, Solution

NAME = "apk solve"
HELP = """Solve a request against index files and print the changes in order, as `apk --simulate` does.

The request is an apk command: `add`, `del`, `upgrade` or `fix`, with its items; without one, the items are added.  Options of
that command come after `--`.  A signature is not asked for.  Exit code 5: there is no solution, and the smallest conflicting
set is shown; 6: the step limit was reached.  What was read of an index stays in the cache."""
EPILOG = """examples:
  apkiln apk solve --index APKINDEX.tar.gz busybox 'openssl>3'
  apkiln apk solve --index main/APKINDEX --index @edge=edge/APKINDEX curl@edge --json
  apkiln apk solve --index APKINDEX --installed lib/apk/db/installed --world etc/apk/world -- upgrade -a
"""
TAKES_COMMAND = True


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", nargs="*", metavar="REQUEST", help="command and items")
    parser.add_argument(
        "--index", action="append", default=[], metavar="[@TAG=]FILE", help="APKINDEX.tar.gz or APKINDEX; order is preference"
    )
    parser.add_argument("--installed", metavar="FILE", help="installed database (`lib/apk/db/installed`)")
    parser.add_argument("--world", metavar="FILE", help="world file before the request")
    parser.add_argument("--arch", metavar="ARCH", help="architecture (default: this machine's)")
    parser.add_argument("--strict-apk", action="store_true", help="stop where apk stops; record order decides ties")
    parser.add_argument("--step-limit", type=int, default=200_000, metavar="N", help="steps of the complete search")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.solver.commands import parse_command
    from apkiln.solver.solving import solve

    command = parse_command(_words(arguments))
    repositories = [_repository(text, number, command, context) for number, text in enumerate(arguments.index)]
    request = _request(arguments, command, repositories, context)
    try:
        solution = solve(repositories, request, _arch(arguments.arch))
    except UnsatisfiableError as error:
        if not context.settings.json:
            raise
        return _explain(error, context)
    _show(solution, context)
    return 0


def _explain(error: UnsatisfiableError, context: Context) -> int:
    from apkiln.cli.exit_codes import exit_code
    from apkiln.solver.explanation import Unsatisfiable
    from apkiln.solver.explanation_text import value

    if not isinstance(error, Unsatisfiable):
        raise error
    context.output.json(value(error.explanation))
    return exit_code(error)


def _words(arguments: argparse.Namespace) -> list[str]:
    """The command of apk: `add` where none is named."""
    from apkiln.solver.commands import OPTIONS

    words = [*arguments.request, *arguments.command]
    return words if any(word in OPTIONS for word in words[:1]) else ["add", *words]


def _arch(name: str | None) -> Arch:
    from os import uname

    from apkiln.core.arch import Arch

    return Arch.parse(name or uname().machine)


def _repository(text: str, number: int, command: Command, context: Context) -> SolverRepository:
    from apkiln.solver.request import SolverRepository

    tag, name = "", text
    if text.startswith("@"):
        tag, equals, name = text[1:].partition("=")
        if not equals:
            raise UsageError(f"`{text}` is not `@TAG=FILE`", reason="bad-arguments")
    table = _table(name, context)
    # The other commands ask which names any record speaks of, which a table cannot tell.
    return SolverRepository(table if command.verb == "add" else tuple(table), number, tag, name=name)


def _table(name: str, context: Context) -> IndexTable:
    """The records of an index file, without those that must not be chosen."""
    from apkiln.acquire.index_tables import table_of_file
    from apkiln.cli.apk_files import open_file
    from apkiln.core.errors import ApkilnError
    from apkiln.core.origin import Origin
    from apkiln.system.directory_store import DirectoryStore

    limits = context.settings.limits
    try:
        with open_file(name, context) as stream:
            data = stream.read(limits.http_response)
        return table_of_file(data, DirectoryStore(context.settings.cache_directory), limits)
    except ApkilnError as error:
        raise error.located(Origin(source=name)) from None


def _request(arguments: argparse.Namespace, command: Command, repositories: list[SolverRepository], context: Context) -> Request:
    from apkiln.core.value import replace
    from apkiln.formats.apk.dependency import parse_dependencies
    from apkiln.solver.commands import plan
    from apkiln.solver.source import provided_names

    world = parse_dependencies(_read(arguments.world, context)) if arguments.world else ()
    installed = _installed(arguments.installed, context) if arguments.installed else ()
    known = (name for repository in repositories for record in repository.records for name in provided_names(record))  # type: ignore[union-attr]
    request = plan(command, world, installed, known, repositories)
    return replace(
        request,
        strict_apk=arguments.strict_apk,
        step_limit=arguments.step_limit,
        drop_broken_world="drop-broken-world" in command.options,
    )


def _read(name: str, context: Context) -> str:
    from apkiln.cli.apk_files import open_file

    with open_file(name, context) as stream:
        return stream.read(context.settings.limits.document).decode("utf-8", "surrogateescape")


def _installed(name: str, context: Context) -> tuple[IndexRecord, ...]:
    from apkiln.cli.apk_files import open_file
    from apkiln.formats.apk.installed import parse_installed

    with open_file(name, context) as stream:
        packages = parse_installed(stream.read(context.settings.limits.index_decompressed))
    return tuple(package.record for package in packages)


def _show(solution: Solution, context: Context) -> None:
    from apkiln.solver.transcript import transcript

    if context.settings.json:
        context.output.json(_value(solution))
    else:
        for line in transcript(solution):
            context.output.print(line)
    for item in solution.left_out:
        reason = item.reason or "of the order of decisions"
        context.reporter.note(f"{item.record.name_version} is left out although its install_if is met: {reason}")
    if context.settings.verbosity > 0:
        figures = solution.statistics
        search = f", {figures.search_steps} steps of the complete search" if figures.search_steps else ""
        context.reporter.note(f"{figures.names} names, {figures.packages} packages, {figures.decisions} decisions{search}")


def _value(solution: Solution) -> dict[str, Any]:
    from apkiln.core.value import field_names

    return {
        "verdict": "solved",
        "world": [str(item) for item in solution.world],
        "changes": [_change(change) for change in solution.changes],
        "packages": [_package(package) for package in solution.packages],
        "left_out": [{"package": item.record.name_version, "reason": item.reason} for item in solution.left_out],
        "statistics": {name: getattr(solution.statistics, name) for name in field_names(type(solution.statistics))},
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.name.lower(),
        "name": change.name,
        "old": change.old.version if change.old else None,
        "new": _package(change.new) if change.new else None,
    }


def _package(package: SelectedPackage) -> dict[str, Any]:
    from apkiln.formats.apk.identity import identity_text

    record = package.record
    value: dict[str, Any] = {"name": record.name, "version": record.version, "identity": identity_text(record.identity)}
    if package.repository >= 0:
        value["repository"] = package.repository
    if package.tag:
        value["tag"] = package.tag
    return value
