"""`apkiln image login`: keep the login of a registry where docker, podman and apkiln look for it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "image login"
HELP = """Keep user and password of a registry for `image publish`, and for docker and podman, which read the same files.

The password is taken from standard input; `--password` is seen by everyone who lists processes.  Where the file names a
credential helper for the registry, the helper keeps the password.  Nothing is asked of the registry."""
EPILOG = """examples:
  apkiln image login registry.example.com -u me --password-stdin < password
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("registry", metavar="REGISTRY", help="host, with port where it has one")
    parser.add_argument("-u", "--username", required=True, metavar="NAME", help="user")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--password-stdin", action="store_true", help="one line on standard input is the password")
    group.add_argument("-p", "--password", metavar="TEXT", help="the password")


def run(arguments: argparse.Namespace, context: Context) -> int:
    import sys

    from apkiln.core.errors import UsageError
    from apkiln.core.secret import Secret
    from apkiln.system.files import DiskFiles
    from apkiln.system.process import SystemRunner
    from apkiln.system.registry_login_file import store_login
    from apkiln.system.urls import UserPart

    password = sys.stdin.read().rstrip("\r\n") if arguments.password_stdin else arguments.password
    host = arguments.registry.removeprefix("https://").rstrip("/")
    if not password or not host or "/" in host:
        problem = "the password is empty" if host and "/" not in host else f"`{arguments.registry}` is no registry"
        raise UsageError(problem, reason="bad-login")
    user = UserPart(arguments.username, Secret(password))
    place = store_login(host, user, DiskFiles(), SystemRunner(), context.settings.environment)
    if context.settings.json:
        context.output.json({"registry": host, "user": arguments.username, "stored": place})
    else:
        context.output.print(f"{host}: login of {arguments.username} kept in {place}")
    return 0
