"""Real registries on the loopback device, started for a test and stopped by their process id."""

from __future__ import annotations

import http.client
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.clients import client

from apkiln.system.clock import ManualClock
from apkiln.system.http_sockets import SocketExchange
from apkiln.system.registry_client import HttpRegistry
from apkiln.system.registry_logins import Logins, NoLogins
from apkiln.system.registry_session import RegistryPolicy

SMALL_PIECES = RegistryPolicy(chunk=65_536, whole=1000)


@contextmanager
def debian_registry(directory: Path, more: str = "") -> Iterator[str]:
    """docker-registry, which keeps no list of referrers; its address."""
    program, port = client("docker-registry"), free_port()
    configuration = directory / "registry.yml"
    configuration.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory / 'storage'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: of-the-test}}\n{more}"
    )
    with _running([program, "serve", str(configuration)], port, directory):
        yield f"127.0.0.1:{port}"


@contextmanager
def crane_registry(directory: Path) -> Iterator[str]:
    """The registry that comes with crane; its address."""
    program, port = client("crane"), free_port()
    with _running([program, "registry", "serve", "--address", f"127.0.0.1:{port}"], port, directory):
        yield f"127.0.0.1:{port}"


def registry_client(logins: Logins | None = None, policy: RegistryPolicy = SMALL_PIECES) -> HttpRegistry:
    """Our client over sockets; waits between retries take no time."""
    return HttpRegistry(SocketExchange({}), ManualClock(), random.Random(0).random, logins or NoLogins(), policy)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], port: int, directory: Path) -> Iterator[None]:
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=directory)
        try:
            _wait(process, port, directory / "server.log")
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    pytest.fail(f"{process.args!r} does not answer\n{log.read_text()}")
