"""Builds by an ordinary user: with ids of its own, and with one id only.

Run as root, which becomes an ordinary user in a mount namespace that gives it subordinate ids.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.build_workshop import Fixture, make_fixture
from tests.conformance.suites.commands import run_command

USER = "www-data"
PACKAGES = str(Path(pytest.__file__).parents[1])
SOURCES = str(Path(__file__).resolve().parents[3] / "src")
PYTHON = "/usr/bin/python3"
DEFINITION = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
pipeline:
  - runs: |
      cd ${{targets.destdir}}; mkdir -p usr/share/x; id -u > usr/share/x/uid
      echo one > usr/share/x/f; ln usr/share/x/f usr/share/x/g; chmod 4755 usr/share/x/f; mkx usr/share/x/g user.key value
      CHOWN
      mkdir usr/share/x/closed; chmod 500 usr/share/x/closed
"""
OWNERS = "chown 1234:4321 usr/share/x/f; chown 5:6 usr/share/x; chmod 4755 usr/share/x/f"


def as_user(subordinate: bool, *command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as the ordinary user."""
    import pwd

    user = pwd.getpwnam(USER)
    line = f"{USER}:200000:65536" if subordinate else ""
    prepare = (
        'mount --bind $0 /etc/subuid && mount --bind $0 /etc/subgid && exec setpriv --reuid $1 --regid $2 --clear-groups "${@:3}"'
    )
    ranges = directory / "ranges"
    ranges.write_text(line + "\n")
    ranges.chmod(0o644)
    words = ("unshare", "-m", "bash", "-c", prepare, str(ranges), str(user.pw_uid), str(user.pw_gid), *command)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory / "home"),
        "PYTHONPATH": f"{SOURCES}:{PACKAGES}",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=directory / "home")


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[Fixture]:
    for program in ("bwrap", "newuidmap", "unshare", "setpriv", "bash"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} not found")
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        pytest.skip("needs root, to become another user, on x86-64")
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    made = make_fixture(tmp_path / "fixture")
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(made.signing_key, home / "fixture.rsa")
    for path in (home, home / "fixture.rsa"):
        shutil.chown(path, USER)
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    tried = as_user(True, PYTHON, "-c", f"{version}\nimport apkiln, msgspec, yaml", directory=tmp_path)
    if tried.returncode:
        pytest.skip(f"{PYTHON} cannot run the product as {USER}: {tried.stderr[-300:]}")
    yield made


def build(
    fixture: Fixture, directory: Path, text: str, *, subordinate: bool, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    (directory / "home/demo.yaml").write_text(text)
    keys = ("-r", str(fixture.directory), "-k", str(fixture.key), "--signing-key", "fixture.rsa", "--lint-require", "")
    words = (PYTHON, "-m", "apkiln.cli.main", "package", "build", "demo.yaml", *keys, "--empty-workspace", *flags)
    return as_user(subordinate, *words, directory=directory)


def content(directory: Path) -> bytes:
    return (directory / "home/packages/x86_64/demo-1.0-r0.apk").read_bytes()


@pytest.mark.parametrize("flags", [(), ("--root", "hardlinks")])
def test_a_user_builds_the_bytes_that_root_builds(fixture: Fixture, tmp_path: Path, flags: tuple[str, ...]) -> None:
    text = DEFINITION.replace("CHOWN", OWNERS)
    done = build(fixture, tmp_path, text, subordinate=True, flags=flags)
    assert done.returncode == 0, done.stderr
    (tmp_path / "demo.yaml").write_text(text)
    keys = ["-r", str(fixture.directory), "-k", str(fixture.key), "--signing-key", str(fixture.signing_key), "--lint-require", ""]
    words = ["package", "build", "demo.yaml", *keys, "--empty-workspace"]
    answer = run_command(words, tmp_path, {"APKILN_CACHE": str(tmp_path / "cache")})
    assert answer.code == 0, answer.errors
    assert content(tmp_path) == (tmp_path / "packages/x86_64/demo-1.0-r0.apk").read_bytes()
    assert not list((tmp_path / "home").glob("**/build-*")), "files of other ids are removed too"


def test_run_as_another_user_inside(fixture: Fixture, tmp_path: Path) -> None:
    text = DEFINITION.replace("[busybox]}", "[busybox]}, accounts: {run-as: build}").replace(
        "CHOWN", 'test "$(id -u)" = 1000; touch $HOME/a'
    )
    done = build(fixture, tmp_path, text, subordinate=True)
    assert done.returncode == 0, done.stderr


def test_one_id_is_enough_for_what_changes_no_owner(fixture: Fixture, tmp_path: Path) -> None:
    done = build(
        fixture, tmp_path, DEFINITION.replace("CHOWN", "chown 0:0 usr/share/x/f; chmod 4755 usr/share/x/f"), subordinate=False
    )
    assert done.returncode == 0, done.stderr
    assert "/etc/subuid" in done.stderr and "note:" in done.stderr
    refused = build(fixture, tmp_path, DEFINITION.replace("CHOWN", OWNERS), subordinate=False, flags=("--overwrite",))
    assert refused.returncode == 11 and "Invalid argument" in refused.stderr
