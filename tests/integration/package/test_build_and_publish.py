"""From a definition to an index that clients ask: `package build`, then `repo add URL`, as the documentation has it."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from tests.build_workshop import make_fixture
from tests.conformance.suites.commands import run_command
from tests.integration.test_repository_service import SECRETS, Server

from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package import read_package

if shutil.which("bwrap") is None or os.uname().machine != "x86_64":
    pytest.skip("bwrap on x86-64 is needed: install the package bubblewrap", allow_module_level=True)

DEFINITION = """package: {name: demo, version: "1.0", epoch: EPOCH, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
pipeline: [{runs: "mkdir -p ${{targets.destdir}}/usr; echo x > ${{targets.destdir}}/usr/x"}]
subpackages:
  - name: demo-doc
    description: its documentation
    pipeline: [{runs: "mkdir -p ${{targets.contextdir}}/usr/share; echo d > ${{targets.contextdir}}/usr/share/d"}]
"""


def test_a_build_is_published(tmp_path: Path) -> None:
    fixture = make_fixture(tmp_path / "fixture")
    server = Server(tmp_path)
    environment = {"APKILN_CACHE": str(tmp_path / "cache"), "APKILN_TOKEN": SECRETS["ci"]}
    keys = ["-r", str(fixture.directory), "-k", str(fixture.key), "--signing-key", str(fixture.signing_key)]
    address = f"{server.url}/os/musl"

    def built(epoch: int) -> list[str]:
        (tmp_path / "demo.yaml").write_text(DEFINITION.replace("EPOCH", str(epoch)))
        done = run_command(["package", "build", "demo.yaml", *keys, "--empty-workspace"], tmp_path, environment)
        assert done.code == 0, done.errors
        return [f"packages/x86_64/{name}-1.0-r{epoch}.apk" for name in ("demo", "demo-doc")]

    try:
        files = built(0)
        half = run_command(["repo", "add", address, files[0], "--complete", "x86_64,aarch64"], tmp_path, environment)
        assert half.code == 10 and "build-incomplete" in half.output, half
        words = ["repo", "add", address, *files, "--complete", "x86_64", "--reason", "build 1", "--json"]
        done = run_command(words, tmp_path, environment)
        assert done.code == 0, done.errors
        receipt = json.loads(done.output)["receipt"]
        assert json.loads(run_command(words, tmp_path, environment).output)["receipt"] == receipt
        assert run_command(["repo", "add", address, *built(1)], tmp_path, environment).code == 0
        index = read_index(server.get("/os/musl/x86_64/APKINDEX.tar.gz").content)
        listed = {record.name_version: record for record in parse_index_text(index.text).records}
        assert sorted(listed) == ["demo-1.0-r0", "demo-1.0-r1", "demo-doc-1.0-r0", "demo-doc-1.0-r1"]
        with (tmp_path / files[0]).open("rb") as stream:
            ours = read_package(stream)
        served = server.get("/os/musl/x86_64/demo-1.0-r0.apk").content
        theirs = read_package(io.BytesIO(served), expected=listed["demo-1.0-r0"])
        assert (theirs.identity, theirs.info.data_hash) == (ours.identity, ours.info.data_hash), "signed anew, and no byte else"
        assert [name for _, name, _ in theirs.signatures] == ["os.rsa.pub"]
    finally:
        server.stop()
