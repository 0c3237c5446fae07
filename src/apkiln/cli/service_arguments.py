"""What the commands of the repository service share: its configuration file, and one repository of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.repository.ledger.rows import Author
    from apkiln.repository.ledger.state import Transaction
    from apkiln.repository.service import RepositoryService
    from apkiln.web.configuration import Configuration


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """`--config` and `--repository`."""
    parser.add_argument("--config", metavar="FILE", default="service.toml", help="configuration (default: service.toml)")
    parser.add_argument("--repository", metavar="NAME", help="which one (default: the only one)")


def add_change_arguments(parser: argparse.ArgumentParser) -> None:
    """Which builds are withdrawn or restored, and why."""
    parser.add_argument("builds", metavar="BUILD", nargs="+", help="source package and version, for example zlib-1.3.1-r0")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it is kept and shown")
    parser.add_argument("--package", metavar="NAME", default="", help="only this package of the build")
    parser.add_argument("--arch", metavar="ARCH", default="", help="only on this architecture")
    parser.add_argument("--override", choices=["breaks", "closure"], action="append", default=[], help="let findings through")
    add_service_arguments(parser)


def run_change(arguments: argparse.Namespace, context: Context, change: Literal["withdraw", "restore"]) -> int:
    """Withdraw or restore the builds of `add_change_arguments`."""
    from apkiln.repository.ledger.actions import Manifest, Selection

    builds = [parse_build(text) for text in arguments.builds]
    chosen = tuple(Selection(origin, version, arguments.package, arguments.arch) for origin, version in builds)
    service = open_named_service(arguments, context)
    overrides = tuple(arguments.override)
    manifest = (
        Manifest(withdraw=chosen, overrides=overrides) if change == "withdraw" else Manifest(restore=chosen, overrides=overrides)
    )
    return report_transaction(service, service.run(author_of(context, arguments.reason), manifest), context)


def read_configuration(arguments: argparse.Namespace, context: Context) -> tuple[Configuration, Path]:
    """The configuration and the directory it is in."""
    import tomllib
    from pathlib import Path

    from apkiln.core.errors import ConfigurationError, EnvironmentFault
    from apkiln.core.origin import Origin
    from apkiln.system.files import DiskFiles

    path = Path(context.settings.working_directory) / arguments.config
    text = DiskFiles().read(path, context.settings.limits.document)
    try:
        from apkiln.web.configuration import parse_configuration

        return parse_configuration(tomllib.loads(text.decode()), str(path)), path.parent
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(error), reason="bad-toml", origin=Origin(source=str(path))) from error
    except ImportError as error:
        raise EnvironmentFault(
            f"the service needs `{error.name}`", reason="missing-extra", hint="install `apkiln[service]`"
        ) from error


def open_named_service(arguments: argparse.Namespace, context: Context) -> RepositoryService:
    """The repository that is meant, opened on its database and blobs; it reads back from them directly.

    UsageError `which-repository`.  May be used beside a running server: both append to one ledger.
    """
    from apkiln.core.errors import UsageError

    configuration, home = read_configuration(arguments, context)
    names = [item.name for item in configuration.repository]
    wanted = arguments.repository or (names[0] if len(names) == 1 else "")
    if wanted not in names:
        raise UsageError("which repository is meant?", reason="which-repository", hint=f"`--repository`: {', '.join(names)}")
    from apkiln.web.building import ensure_created, open_service, open_stores

    stores = open_stores(configuration, home)
    chosen = configuration.repository[names.index(wanted)]
    service = open_service(chosen, stores)
    ensure_created(service, chosen, stores)
    return service


def author_of(context: Context, reason: str) -> Author:
    """Who runs the command."""
    from apkiln.repository.ledger.rows import Author

    environment = context.settings.environment
    return Author(environment.get("SUDO_USER") or environment.get("USER") or "operator", reason)


def report_transaction(service: RepositoryService, transaction: Transaction, context: Context) -> int:
    """Print how it ended; 0 when it is live, 10 when it was refused, 0 with a note while it waits for a second person."""
    from apkiln.repository.ledger.state import Step

    if context.settings.json:
        import msgspec

        from apkiln.web.documents import transaction_document

        context.output.json(msgspec.to_builtins(transaction_document(service.state, transaction, ())))
    else:
        context.output.print(f"transaction  {transaction.number}")
        context.output.print(f"state        {transaction.step.value}")
        if transaction.step is Step.LIVE:
            context.output.print(f"generation   {transaction.generation}")
        for finding in (*transaction.findings, *transaction.held):
            context.output.print(f"{finding.code:12} {finding.package} {finding.arch}: {finding.message}".rstrip())
            for detail in finding.details:
                context.output.print(f"             {detail}")
    if transaction.step is Step.VERIFIED:
        context.reporter.note("it waits for a second person, who approves it over the interface")
    return 0 if transaction.step in (Step.LIVE, Step.VERIFIED) else 10


def parse_build(text: str) -> tuple[str, str]:
    """`origin-version` as (origin, version); UsageError `bad-build`."""
    from apkiln.core.errors import UsageError
    from apkiln.formats.apk.version import is_valid

    for position, letter in enumerate(text):
        if letter == "-" and text[position + 1 : position + 2].isdigit() and is_valid(text[position + 1 :]):
            return text[:position], text[position + 1 :]
    raise UsageError(f"`{text}` is not a build", reason="bad-build", hint="write NAME-VERSION, for example zlib-1.3.1-r0")
