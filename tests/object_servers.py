"""S3 servers on loopback: moto's, a mock in memory, and SeaweedFS, which keeps what it is given."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from apkiln.core.secret import Secret
from apkiln.system.blob_store_object import Bucket

SERVERS = ["moto", pytest.param("seaweedfs", marks=pytest.mark.slow)]
"""Parameters of fixtures."""
IDENTITIES = {
    "identities": [
        {"name": "service", "credentials": [{"accessKey": "k", "secretKey": "s"}], "actions": ["Admin", "Read", "List", "Write"]},
        {"name": "anonymous", "actions": ["Admin"]},
    ]
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def moto() -> Iterator[str]:
    """The address of moto's server, which enforces conditional writes."""
    port = free_port()
    with _running([Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", port], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def seaweedfs(home: Path) -> Iterator[str]:
    """The address of SeaweedFS with its data below `home`; may be started there again."""
    (home / "data").mkdir(parents=True, exist_ok=True)
    (home / "identities.json").write_text(json.dumps(IDENTITIES))
    port = free_port()
    words: list[object] = [shutil.which("weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={home}/data", "-s3"]
    words += [f"-s3.port={port}", f"-s3.config={home}/identities.json", "-volume.max=50", "-master.volumeSizeLimitMB=64"]
    for part in ("master", "volume", "filer"):
        words += [f"-{part}.port={free_port()}", f"-{part}.port.grpc={free_port()}"]
    with _running([*words, f"-s3.port.grpc={free_port()}"], port):
        _until_it_writes(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def object_server(kind: str, home: Path) -> Iterator[str]:
    """`moto` or `seaweedfs`; skips the test, naming what is not there."""
    if kind == "moto":
        pytest.importorskip("moto.server", reason="moto not installed")
    elif shutil.which("weed") is None:
        pytest.skip("weed not found: see docs/clients.md")
    with moto() if kind == "moto" else seaweedfs(home) as endpoint:
        yield endpoint


@contextmanager
def _running(command: Sequence[object], port: int) -> Iterator[None]:
    """Ends without warning: what was acknowledged must be there afterwards."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def _until_it_writes(endpoint: str) -> None:
    """It answers before its parts have found each other."""
    deadline = time.monotonic() + 60
    while True:
        try:
            make_bucket(endpoint, "probe")
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/probe/x", b"x", method="PUT"), timeout=10).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def bucket_at(endpoint: str, name: str, prefix: str = "os", timeout: int = 60) -> Bucket:
    """How our service opens it."""
    return Bucket(name, prefix, endpoint, access_key="k", secret_key=Secret("s"), timeout=timeout)


def make_bucket(endpoint: str, name: str) -> Bucket:
    """An empty bucket, or the one that is there."""
    try:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=30).close()
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise
    return bucket_at(endpoint, name)
