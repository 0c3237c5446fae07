"""Repositories that are published to over HTTP: their address, the token, and how a transaction is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from apkiln.cli.context import Context
    from apkiln.core.secret import Secret
    from apkiln.repository.remote import Progress, RemoteRepository


WAITING = 8
"""Exit code of what may still be published, as of everything that may succeed later."""


def add_remote_arguments(parser: argparse.ArgumentParser) -> None:
    """What counts when the repository is an address."""
    group = parser.add_argument_group("for a served repository")
    group.add_argument("--token-file", metavar="FILE", help="the token (default: $APKILN_TOKEN, then HTTP_AUTH and netrc)")
    group.add_argument("--reason", metavar="TEXT", default="", help="kept in its ledger, for example the build's address")
    group.add_argument(
        "--complete",
        metavar="ARCH",
        action="append",
        default=[],
        help="refuse unless every build is whole for it; may be repeated",
    )
    group.add_argument("--wait", metavar="SECONDS", type=int, default=600, help="for the end of the transaction (default: 600)")
    group.add_argument("--plain-http", action="store_true", help="send the token over http also beyond this machine")


def open_remote(arguments: argparse.Namespace, context: Context) -> RemoteRepository:
    """The repository at `arguments.directory`.  UsageError `insecure-address`; UnavailableError `offline`."""
    from apkiln.core.errors import UnavailableError, UsageError
    from apkiln.repository.remote import RemoteRepository
    from apkiln.system.clock import SystemClock
    from apkiln.system.http_sockets import SocketExchange
    from apkiln.system.registry_addresses import is_loopback
    from apkiln.system.urls import endpoint_of

    address: str = arguments.directory
    endpoint = endpoint_of(address)
    if endpoint.scheme == "http" and not is_loopback(endpoint.host) and not arguments.plain_http:
        raise UsageError(
            "a token would go over the network in the clear", reason="insecure-address", hint="use https, or `--plain-http`"
        )
    if context.settings.offline:
        raise UnavailableError("the network is off", reason="offline", hint="run without `--offline`")
    exchange = SocketExchange(context.settings.environment, connections=max(4, context.settings.jobs))
    return RemoteRepository(address, _authorization(arguments, context), exchange, SystemClock())


def _authorization(arguments: argparse.Namespace, context: Context) -> Secret:
    from pathlib import Path

    from apkiln.core.limits import KIB
    from apkiln.core.secret import Secret
    from apkiln.system.files import DiskFiles
    from apkiln.system.network import credentials_of
    from apkiln.system.urls import endpoint_of

    token = context.settings.environment.get("APKILN_TOKEN", "")
    if arguments.token_file:
        path = Path(context.settings.working_directory) / arguments.token_file
        token = DiskFiles().read(path, 64 * KIB).decode().strip()
    if token:
        return Secret(f"Bearer {token}")
    return Secret(credentials_of(context.settings.environment, DiskFiles()).header_for(endpoint_of(arguments.directory)))


def report_progress(found: Progress, context: Context) -> int:
    """0 when it is live; 10 when it was refused; 8 while it has not ended or waits for a second person: not published."""
    if context.settings.json:
        import msgspec

        context.output.json(msgspec.to_builtins(found))
    else:
        context.output.print(f"transaction  {found.tx}")
        context.output.print(f"state        {found.state}")
        receipt = found.receipt or {}
        if receipt:
            context.output.print(f"generation   {receipt['generation']}")
        for item in receipt.get("entries", ()):
            context.output.print(f"live         {item['arch']}/{item['name']}-{item['version']} sha256:{item['sha256']}")
        for finding in (*found.findings, *found.held):
            context.output.print(f"{finding.code:12} {finding.package} {finding.arch}: {finding.message}".rstrip())
            for detail in finding.details:
                context.output.print(f"             {detail}")
    if found.state == "live":
        return 0
    if found.state in ("rejected", "aborted"):
        return 10
    context.reporter.note("it waits for a second person" if found.held else "it has not ended yet: run the same command again")
    return WAITING
