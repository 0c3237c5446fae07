"""The transfer that a process uses, put together from its environment (given as a mapping)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from apkiln.core.limits import MIB
from apkiln.system.files import FileReader
from apkiln.system.transfer import (
    NO_VALIDATORS,
    Fetched,
    LocalTransfer,
    OfflineTransfer,
    RoutedTransfer,
    Transfer,
    Validators,
    Write,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.system.credentials import Credentials


def open_transfer(environment: Mapping[str, str], files: FileReader, *, offline: bool = False, jobs: int = 2) -> Transfer:
    """Local files always; the network unless `offline`.  Nothing is opened and no netrc is read before the first request.

    Variables: `HTTP_AUTH`, `NETRC` (default `$HOME/.netrc`), `APKILN_REDIRECT_HOSTS` (comma-separated, `*` = any),
    `APKILN_CLIENT_CERTIFICATES`, `http_proxy`, `https_proxy`, `no_proxy`, `SSL_CERT_FILE`.
    """
    local = LocalTransfer(files)
    if offline:
        return RoutedTransfer(OfflineTransfer(), local)
    return RoutedTransfer(_LazyNetwork(environment, files, jobs), local)


class _LazyNetwork:
    """Reads credentials and makes the client with the first request."""

    def __init__(self, environment: Mapping[str, str], files: FileReader, jobs: int) -> None:
        self._environment = environment
        self._files = files
        self._jobs = jobs
        self._client: Transfer | None = None

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        if self._client is None:
            self._client = self._connect()
        return self._client.fetch(location, write, limit=limit, known=known)

    def _connect(self) -> Transfer:
        import random

        from apkiln.system.clock import SystemClock
        from apkiln.system.http import HttpPolicy, HttpTransfer
        from apkiln.system.http_sockets import SocketExchange

        environment = self._environment
        hosts = frozenset(host.strip().lower() for host in environment.get("APKILN_REDIRECT_HOSTS", "").split(",")) - {""}
        return HttpTransfer(
            SocketExchange(environment, connections=max(4, self._jobs * 4)),
            SystemClock(),
            random.random,
            credentials_of(environment, self._files),
            HttpPolicy(redirect_hosts=hosts),
        )


def credentials_of(environment: Mapping[str, str], files: FileReader) -> Credentials:
    """`HTTP_AUTH` first, then netrc."""
    from apkiln.system.credentials import Credentials, parse_http_auth, parse_netrc

    named = environment.get("NETRC", "")
    path = Path(named or environment.get("HOME", "/") + "/.netrc")
    text = files.read(path, MIB).decode(errors="replace") if named or files.status(path) is not None else ""
    return Credentials(parse_http_auth(environment.get("HTTP_AUTH", "")) + parse_netrc(text))
