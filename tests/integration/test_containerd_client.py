"""containerd takes the image whole, unpacks it, and calls it by the digest that we printed; crane finds nothing wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.integration.conftest import Built, apkiln

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="containerd needs root's rights")


@pytest.fixture
def containerd() -> Iterator[list[str]]:
    """`ctr` with the address of a daemon that was started for the test."""
    daemon, ctr = client("containerd"), client("ctr")
    place = tempfile.mkdtemp(prefix="ctd")  # a socket's name must be short
    Path(place, "config.toml").write_text(
        f'version = 2\nroot = "{place}/root"\nstate = "{place}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{place}/c.sock"\n[ttrpc]\naddress = "{place}/t.sock"\n'
    )
    with Path(place, "log").open("wb") as log:
        process = subprocess.Popen([daemon, "--config", f"{place}/config.toml"], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while not Path(place, "c.sock").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.skip(f"containerd does not start here: {Path(place, 'log').read_text()[-300:]}")
                time.sleep(0.05)
            yield [ctr, "--address", f"{place}/c.sock", "images"]
        finally:
            process.terminate()
            process.wait(timeout=20)
            shutil.rmtree(place, ignore_errors=True)


def build(built: Built, name: str, form: str, place: Path) -> str:
    """The printed digest of the image."""
    words = ("--output", f"type={form},dest={place}", "--vcs=false", "--json", "--cache-dir", built.directory / "cache")
    report = json.loads(apkiln("image", "build", built.definition, name, *words))
    digest: str = report["images"][0]["digest"]
    return digest


@needs_root
@pytest.mark.parametrize("form", ["oci-archive", "docker"])
def test_containerd_imports_and_unpacks_it(built: Built, containerd: list[str], tmp_path: Path, form: str) -> None:
    name = "docker.io/library/sample:1.0"
    digest = build(built, name, form, tmp_path / "image.tar")
    call([*containerd, "import", "--snapshotter", "native", str(tmp_path / "image.tar")])
    (row,) = [line.split() for line in call([*containerd, "check", "--snapshotter", "native"]).splitlines()[1:]]
    assert (row[0], row[3], row[-1]) == (name, "complete", "true")
    if form == "oci-archive":
        assert row[2] == digest


def test_crane_finds_the_docker_archive_valid(built: Built, tmp_path: Path) -> None:
    crane = client("crane")
    build(built, "example.com/sample:1.0", "docker", tmp_path / "image.tar")
    assert "PASS" in call([crane, "validate", "--tarball", str(tmp_path / "image.tar")])
