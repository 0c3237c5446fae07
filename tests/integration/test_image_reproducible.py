"""The same image from real processes that differ in everything that must not matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.integration.clients import client
from tests.sample_packages import sample_index, sample_package, sample_signer

DEFINITION = """
contents:
  keyring: [./keys/sample.rsa.pub]
  repositories: [./repo]
  packages: [base, tool]
archs: [amd64, arm64]
accounts:
  users: [{username: web, uid: 2000}]
paths:
  - {path: /usr/bin/tool, type: permissions, permissions: 0o4755}
  - {path: /etc/app.conf, type: file, from: app.conf}
"""


class Surroundings(NamedTuple):
    """What differs."""

    environment: dict[str, str]
    umask: int = 0o022
    jobs: int = 1


VARIANTS = (
    Surroundings({"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"}),
    Surroundings({"PYTHONHASHSEED": "2", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"}, 0o077, 4),
    Surroundings({"PYTHONHASHSEED": "3", "TZ": "America/Caracas", "HOME": "/nonexistent"}, 0o000, 2),
)


def workspace(home: Path) -> Path:
    signer = sample_signer()
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "sample.rsa.pub").write_bytes(signer.public_key())
    (home / "image.yaml").write_text(DEFINITION)
    (home / "app.conf").write_text("setting\n")
    for arch in ("x86_64", "aarch64"):
        base = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "etc/os-release": b"ID=sample\n"}
        tool = {"usr/bin/tool": b"tool" * 300_000, "usr/lib/data": bytes(range(256)) * 2000}
        listed = [
            sample_package("base", files=base, arch=arch),
            sample_package("tool", files=tool, depends=["library"], arch=arch),
            sample_package("library", files={"usr/lib/library.so": b"library"}, arch=arch),
        ]
        place = home / "repo" / arch
        place.mkdir(parents=True)
        (place / "APKINDEX.tar.gz").write_bytes(sample_index(listed, signer))
        for package in listed:
            (place / package.file_name).write_bytes(package.data)
    return home


def build(
    home: Path, surroundings: Surroundings, cache: Path, output: Path, *flags: str, under: tuple[str, ...] = ()
) -> dict[str, Any]:
    command = [*under, sys.executable, "-m", "apkiln.cli.main", "image", "build", "image.yaml", "app:1", str(output)]
    command += ["--json", "--vcs=false", "--cache-dir", str(cache), "--jobs", str(surroundings.jobs), *flags]
    environment = {**os.environ, **surroundings.environment}
    environment.pop("SOURCE_DATE_EPOCH", None)
    before = os.umask(surroundings.umask)
    try:
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=300)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return {"digest": result["digest"], "images": result["images"]}


def test_surroundings_do_not_change_the_image(tmp_path: Path) -> None:
    results = []
    trees = []
    for number, surroundings in enumerate(VARIANTS):
        home = workspace(tmp_path / f"home-{number}")
        output = tmp_path / f"out-{number}"
        results.append(build(home, surroundings, tmp_path / f"cache-{number}", output))
        trees.append({str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()})
    assert results[0] == results[1] == results[2]
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) > 8


def test_a_warm_cache_and_no_network_give_the_same(tmp_path: Path) -> None:
    home = workspace(tmp_path / "home")
    first = build(home, VARIANTS[0], tmp_path / "cache", tmp_path / "out-1")
    for package in (home / "repo" / "x86_64").glob("*.apk"):
        package.unlink()
    assert build(home, VARIANTS[1], tmp_path / "cache", tmp_path / "out-2", "--offline") == first


def test_source_date_epoch_dates_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = workspace(tmp_path / "home")
    dated = Surroundings({"SOURCE_DATE_EPOCH": "86400"})
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "build", "image.yaml", "app:1", str(tmp_path / "out")]
    command += ["--cache-dir", str(tmp_path / "cache"), "--arch", "amd64"]
    done = subprocess.run(command, cwd=home, env={**os.environ, **dated.environment}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert index["annotations"]["org.opencontainers.image.created"] == "1970-01-02T00:00:00Z"


def test_two_builds_at_once_share_a_cache(tmp_path: Path) -> None:
    home = workspace(tmp_path / "home")
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "build", "image.yaml", "app:1", "--json", "--vcs=false"]
    command += ["--cache-dir", str(tmp_path / "cache")]
    running = [
        subprocess.Popen([*command, str(tmp_path / f"out-{number}")], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], [errors for _, errors in answers]
    assert len({json.loads(output)["digest"] for output, _ in answers}) == 1


@pytest.mark.parametrize("model", ["Nehalem", "max"])
def test_the_processor_does_not_change_the_image(tmp_path: Path, model: str) -> None:
    """Compression and digests use what a processor has; the bytes are the same with little and with much of it."""
    qemu = client("qemu-x86_64-static")
    if os.uname().machine != "x86_64":
        pytest.skip("the emulated interpreter is this machine's, and that is not for x86_64")
    home = workspace(tmp_path / "home")
    first = build(home, VARIANTS[0], tmp_path / "cache-1", tmp_path / "out-1")
    emulated = (qemu, "-cpu", model, "-L", "/")
    assert build(home, VARIANTS[0], tmp_path / "cache-2", tmp_path / "out-2", under=emulated) == first
