"""Builds on podman give the bytes that builds on bubblewrap give, and refuse what those refuse."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.build_workshop import Fixture, make_fixture
from tests.conformance.suites.commands import Answer, run_command

CONFIGURATION = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
DEFINITION = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}, ACCOUNTS}
pipeline:
  - runs: |
      cd ${{targets.destdir}}; mkdir -p usr/share/x; id > usr/share/x/id; env | grep -v '^_=' | sort > usr/share/x/env
      { pwd; umask; cat /proc/sys/kernel/hostname; } > usr/share/x/surroundings; touch /tmp/here /usr/here 2>/dev/null || true
      OWNERS
  - runs: test ! -e /tmp/here; touch $HOME/a /home/build/b /tmp/c
"""
OWNERS = "cd usr/share/x; echo 1 > f; ln f g; chown 12:34 f; chmod 2755 .; mkx f user.k v"


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> Fixture:
    for program in ("podman", "runc", "bwrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} not found")
    if os.uname().machine != "x86_64":
        pytest.skip("the fixture is for x86-64")
    directory = tmp_path_factory.mktemp("containers")
    (directory / "containers.conf").write_text(CONFIGURATION)
    try:
        tried = subprocess.run(
            ("podman", "info"),
            env={**os.environ, "CONTAINERS_CONF": str(directory / "containers.conf")},
            capture_output=True,
            check=False,
        )
    except OSError:
        pytest.skip("podman does not start")
    if tried.returncode:
        pytest.skip(f"podman does not work here: {tried.stderr[-200:]!r}")
    return make_fixture(directory / "fixture")


def build(fixture: Fixture, directory: Path, text: str, runner: str, *flags: str) -> Answer:
    (directory / "demo.yaml").write_text(text)
    words = ["package", "build", "demo.yaml", "-r", str(fixture.directory), "-k", str(fixture.key), "--empty-workspace"]
    configuration = fixture.key.parents[1] / "containers.conf"
    environment = {"APKILN_CACHE": str(fixture.key.parents[1] / "cache"), "CONTAINERS_CONF": str(configuration)}
    names = ["--out-dir", f"out-{runner}", "--runner", runner, "--lint-require", "", *flags]
    return run_command([*words, *names], directory, environment)


def containers() -> str:
    return subprocess.run(("podman", "ps", "--all", "--format", "{{.Names}}"), capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("accounts", "owners"), [("accounts: {}", OWNERS), ("accounts: {run-as: build}", "true")], ids=["root", "build"]
)
def test_equal_bytes(fixture: Fixture, tmp_path: Path, accounts: str, owners: str) -> None:
    text = DEFINITION.replace("ACCOUNTS", accounts).replace("OWNERS", owners)
    for runner in ("bubblewrap", "podman"):
        answer = build(fixture, tmp_path, text, runner)
        assert answer.code == 0, answer.errors
    path = "x86_64/demo-1.0-r0.apk"
    assert (tmp_path / "out-bubblewrap" / path).read_bytes() == (tmp_path / "out-podman" / path).read_bytes()
    assert "apkiln-" not in containers()


@pytest.mark.parametrize(
    ("line", "flags", "reason"),
    [
        ("echo last; exit 3", (), "exit code 3"),
        ("sleep 300", ("--timeout", "3s"), "time limit"),
        ("exec 3<>/dev/tcp/192.0.2.1/80", (), "exit code 1"),
        ("mount -t tmpfs none /tmp", (), "exit code"),
    ],
)
def test_steps_fail_as_they_do_on_bubblewrap(
    fixture: Fixture, tmp_path: Path, line: str, flags: tuple[str, ...], reason: str
) -> None:
    text = DEFINITION.split("pipeline:")[0].replace(", ACCOUNTS", "") + f"pipeline:\n  - runs: {line}\n"
    answer = build(fixture, tmp_path, text, "podman", *flags)
    assert answer.code == 11 and reason in answer.errors, answer.errors
    assert "apkiln-" not in containers()
