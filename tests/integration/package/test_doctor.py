"""`package doctor` where everything is there, where programs are missing, and where the kernel refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.suites.commands import run_command
from tests.integration.clients import client

PACKAGES = str(Path(pytest.__file__).parents[1])
SOURCES = str(Path(__file__).resolve().parents[3] / "src")


def found(text: str) -> dict[str, dict[str, str]]:
    rows: list[dict[str, Any]] = json.loads(text)
    return {row["name"]: row for row in rows}


def test_a_machine_that_builds_is_good(tmp_path: Path) -> None:
    client("bwrap")
    answer = run_command(["package", "doctor", "--json"], tmp_path, {"APKILN_CACHE": str(tmp_path / "cache")})
    assert answer.code == 0, answer.output
    rows = found(answer.output)
    assert rows["sandbox"]["state"] == "good" and rows["system calls"]["state"] == "good"
    assert all(bool(row["advice"]) is (row["state"] != "good") for row in rows.values()), "every fault comes with advice"


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    words = ["package", "doctor", "--arch", "riscv64", "--cache-dir", str(tmp_path / "none")]
    answer = run_command(words, tmp_path, {"PATH": str(tmp_path)})
    assert answer.code == 9
    lines = answer.output.splitlines()
    assert lines[0].startswith("refused  sandbox:") and "bubblewrap" in lines[1]
    assert any(line.startswith("limited  architecture riscv64:") for line in lines)
    assert any("qemu-user-static" in line for line in lines)


def _confined(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The doctor as somebody whom a namespace of its own, with many ids, confines."""
    doctor = "exec setpriv --reuid 33 --regid 33 --clear-groups $0 -m apkiln.cli.main package doctor --json --cache-dir $1"
    # A program that starts after the ids are there has the rights of root inside.
    words = ["unshare", "-U", "sh", "-c", 'read go; exec sh -c "$@"', "sh"]
    words += [f"{script}\n{doctor}", "/usr/bin/python3", str(tmp_path)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{SOURCES}:{PACKAGES}", "HOME": str(tmp_path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        own = os.readlink("/proc/self/ns/user")
        while process.poll() is None and os.readlink(f"/proc/{process.pid}/ns/user") == own:
            time.sleep(0.01)
        if process.poll() is None:
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{process.pid}/{name}").write_text("0 0 65536")
        output, errors = process.communicate("go\n", timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


@pytest.fixture
def confined(tmp_path: Path) -> Path:
    if os.geteuid() != 0 or not all(map(shutil.which, ("bwrap", "unshare", "setpriv"))):
        pytest.skip("needs root, bwrap, unshare and setpriv, to become somebody who may do less")
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    (tmp_path / "cache").mkdir()
    os.chown(tmp_path / "cache", 33, 33)
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    tried = subprocess.run(["/usr/bin/python3", "-c", version], check=False)
    if tried.returncode:
        pytest.skip("/usr/bin/python3 is another Python")
    plain = _confined("true", tmp_path / "cache")
    if not plain.stdout:
        pytest.skip(f"user namespaces of many ids are refused here: {plain.stderr[-200:]}")
    return tmp_path / "cache"


def test_a_kernel_that_refuses_user_namespaces_is_told_with_its_switch(confined: Path) -> None:
    done = _confined("echo 0 > /proc/sys/user/max_user_namespaces", confined)
    assert done.returncode == 9, done.stderr
    row = found(done.stdout)["sandbox"]
    assert row["state"] == "refused" and "user.max_user_namespaces" in row["advice"], row


def test_a_user_without_ids_of_its_own_is_told(confined: Path) -> None:
    done = _confined("true", confined)
    assert done.returncode == 0, done.stderr + done.stdout
    row = found(done.stdout)["ids"]
    if row["state"] == "good":
        pytest.skip("this user has ids of its own")
    assert "/etc/subuid" in row["found"] and "usermod" in row["advice"]
