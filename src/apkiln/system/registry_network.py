"""The registry client that a process uses, put together from its environment (given as a mapping)."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.system.files import FileReader
    from apkiln.system.process import Runner
    from apkiln.system.registry_client import HttpRegistry


def open_registry(
    environment: Mapping[str, str],
    files: FileReader,
    runner: Runner,
    *,
    plain_http: frozenset[str] = frozenset(),
    jobs: int = 2,
    retries: int = 4,
) -> HttpRegistry:
    """A client with the logins of the user's auth files.  Nothing is opened and no file is read before the first request.

    Variables: those of `registry_logins.auth_file_paths`, and `APKILN_CLIENT_CERTIFICATES`, `http_proxy`, `https_proxy`,
    `no_proxy`, `SSL_CERT_FILE`.
    """
    import random

    from apkiln.system.clock import SystemClock
    from apkiln.system.http import HttpPolicy
    from apkiln.system.http_sockets import SocketExchange
    from apkiln.system.registry_client import HttpRegistry
    from apkiln.system.registry_logins import FileLogins, auth_file_paths
    from apkiln.system.registry_session import RegistryPolicy

    return HttpRegistry(
        SocketExchange(environment, connections=max(4, jobs * 2)),
        SystemClock(),
        random.random,
        FileLogins(auth_file_paths(environment), files, runner, environment),
        RegistryPolicy(HttpPolicy(retries=retries), plain_http=plain_http),
    )
