"""A build for another architecture: its programs run under an emulator that only the sandbox knows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.conformance.suites.commands import run_command

from apkiln.formats.apk.package import read_package

DEFINITION = """package: {name: foreign, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [debian-essential-lite]}}
pipeline:
  - runs: mkdir -p ${{targets.destdir}}/usr/share; uname -m > ${{targets.destdir}}/usr/share/machine
  - runs: test "$(cat ${{targets.destdir}}/usr/share/machine)" = ${{build.arch}}
"""


@pytest.mark.network
def test_steps_run_as_on_the_other_machine(tmp_path: Path) -> None:
    for program in ("bwrap", "qemu-aarch64-static", "apt-get", "gpgv"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} not found")
    if os.uname().machine != "x86_64" or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 7):
        pytest.skip("needs x86-64 and a kernel that gives user namespaces binary formats of their own")
    environment = {"APKILN_CACHE": str(tmp_path / "cache")}
    tables = Path("/proc/sys/fs/binfmt_misc")
    before = sorted(path.name for path in tables.iterdir()) if tables.is_dir() else []

    def run(*words: str) -> str:
        answer = run_command(words, tmp_path, environment)
        if answer.code and words[0] == "deb":
            pytest.skip(f"packages for aarch64 cannot be imported: {answer.first_error}")
        assert answer.code == 0, answer.errors
        return answer.errors

    run("repo", "init", "repository", "--key-name", "arm.rsa")
    flags = ("--essential", "lite", "--arch", "aarch64", "--scripts", "report", "--repo", "repository", "-q")
    run("deb", "import", "busybox-static", *flags)
    (tmp_path / "foreign.yaml").write_text(DEFINITION)
    places = ("-r", "repository", "-k", "repository/arm.rsa.pub", "--empty-workspace")
    run("package", "build", "foreign.yaml", "--arch", "aarch64", *places)
    with (tmp_path / "packages/aarch64/foreign-1.0-r0.apk").open("rb") as stream:
        assert read_package(stream).info.arch == "aarch64"
    assert (sorted(path.name for path in tables.iterdir()) if tables.is_dir() else []) == before
