"""The main job on real packages: python3 of the machine's own Debian sources, imported, built, audited, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.integration.conftest import apkiln

PROGRAM = "import json, platform, sqlite3, ssl, sys; json.dump([platform.python_version(), sys.path[0] == ''], sys.stdout)"
_UNAVAILABLE = 8


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    client("apt-get")
    place = tmp_path_factory.mktemp("python")
    for above in (place, *place.parents[:2]):
        above.chmod(0o755)
    repository, cache = place / "repository", place / "cache"
    apkiln("repo", "init", repository, "--key-name", "sample.rsa", "--cache-dir", cache)
    words = ["deb", "import", "python3", "--repo", repository, "--prune", "installer", "--cache-dir", cache]
    command = [sys.executable, "-m", "apkiln.cli.main", *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if result.returncode == _UNAVAILABLE:
        pytest.skip(f"this machine's package sources do not answer: {result.stderr.splitlines()[0]}")
    assert result.returncode == 0, result.stderr
    (place / "image.yaml").write_text(
        f"contents:\n  repositories: [{repository}]\n  keyring: [{repository}/sample.rsa.pub]\n  packages: [python3]\n"
        "entrypoint:\n  command: /usr/bin/python3\naccounts:\n  users: [{username: app, uid: 1000}]\n  run-as: app\n"
    )
    words = ["image", "build", place / "image.yaml", "python:test", place / "image", "--arch", "host", "--vcs=false"]
    apkiln(*words, "--cache-dir", cache)
    return place / "image"


@pytest.mark.network
def test_python_starts_in_our_sandbox(image: Path) -> None:
    client("bwrap")
    output = apkiln("image", "run", image, "--cache-dir", image.parent / "cache", "--", "-c", PROGRAM)
    version, isolated = json.loads(output)
    assert version.startswith("3.")
    assert isolated


@pytest.mark.network
def test_every_path_of_a_real_image_is_accounted_for(image: Path) -> None:
    (report,) = json.loads(apkiln("image", "audit", image, "--json"))
    assert report["violations"] == []
    assert report["packages"] > 20
    assert report["owned"] > 500


@pytest.mark.network
@pytest.mark.skipif(os.geteuid() != 0, reason="owners need root's rights")
def test_apk_accepts_the_database_of_a_real_image(image: Path, tmp_path: Path) -> None:
    umoci, apk = client("umoci"), client("apk")
    call([umoci, "unpack", "--image", f"{image}:test", str(tmp_path / "bundle")])
    root = tmp_path / "bundle" / "rootfs"
    # Of images of imported packages it lies where scanners do not look; apk is shown the way.
    (root / "usr/lib/apk").mkdir(parents=True)
    (root / "usr/lib/apk/db").symlink_to("../../share/apkiln/database")
    words = [apk, "--root", str(root), "audit", "--full", "--check-permissions"]
    lines = call(words, {"APK_CONFIG": "/dev/null"}).splitlines()
    assert [line for line in lines if not line.startswith(("A ", "D ", "+ ", "d "))] == []
    installed = call([apk, "--root", str(root), "info"], {"APK_CONFIG": "/dev/null"}).split()
    assert "python3" in installed and len(installed) > 20


@pytest.mark.network
def test_syft_lists_each_package_of_a_real_image_once_and_as_debians(image: Path) -> None:
    syft = client("syft")
    found = json.loads(call([syft, f"oci-dir:{image}", "-o", "json", "-q"], {"SYFT_CHECK_FOR_APP_UPDATE": "false"}))
    kinds = Counter(item["type"] for item in found["artifacts"])
    names = Counter(item["name"] for item in found["artifacts"] if item["type"] == "deb")
    (report,) = json.loads(apkiln("image", "audit", image, "--json"))
    assert kinds["apk"] == 0
    assert set(names.values()) == {1} and "python3" in names
    assert report["packages"] - len(names) in range(4), "all but the packages that the import itself makes"
