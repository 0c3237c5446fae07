"""An image upon an image, as other programs make the base and see the result."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.integration.conftest import Built, apkiln

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and setuid bits need root's rights")


@pytest.fixture(scope="module")
def base(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with the package `base` alone."""
    return build(built, tmp_path_factory.mktemp("base"), "base", "accounts: {users: [{username: old, uid: 1500}]}")


def build(built: Built, place: Path, packages: str, more: str = "", base: str = "") -> Path:
    """The layout of an image."""
    upon = f", baseimage: {{image: {base}}}" if base else ""
    contents = f"{{repositories: [{built.repository}], keyring: [{built.key}], packages: [{packages}]{upon}}}"
    (place / "image.yaml").write_text(f"contents: {contents}\narchs: [x86_64]\n{more}\n")
    words = ("--cache-dir", place / "cache", "--vcs=false", "-q")
    apkiln("image", "build", place / "image.yaml", "sample:latest", place / "image", *words)
    return place / "image"


def violations(place: Path) -> list[object]:
    (report,) = json.loads(apkiln("image", "audit", place, "--json"))
    found: list[object] = report["violations"]
    return found


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_a_base_that_skopeo_wrote(built: Built, base: Path, tmp_path: Path, form: str) -> None:
    copied = tmp_path / "copied"
    call([client("skopeo"), "copy", "--insecure-policy", f"oci:{base}:latest", f"{form}:{copied}:sample:latest"])
    image = build(built, tmp_path, "shell, odd", base=str(copied))
    assert violations(image) == []


@needs_root
def test_the_unpacked_tree_is_accounted_for(built: Built, base: Path, tmp_path: Path) -> None:
    umoci = client("umoci")
    image = build(built, tmp_path, "shell, odd", "accounts: {users: [{username: new, uid: 1600}]}", str(base))
    call([umoci, "unpack", "--image", f"{image}:latest", str(tmp_path / "bundle")])
    root = tmp_path / "bundle" / "rootfs"
    assert violations(root) == []
    names = [line.partition(":")[0] for line in (root / "etc/passwd").read_text().splitlines()]
    assert names[-2:] == ["old", "new"]
    assert stat.S_IMODE((root / "usr/bin/setuid").stat().st_mode) == 0o4755
    assert stat.S_IMODE((root / "var/tmp").stat().st_mode) == 0o1777


@needs_root
def test_apk_finds_one_consistent_database(built: Built, base: Path, tmp_path: Path) -> None:
    umoci, apk = client("umoci"), client("apk")
    image = build(built, tmp_path, "shell, odd", base=str(base))
    call([umoci, "unpack", "--image", f"{image}:latest", str(tmp_path / "bundle")])
    root = str(tmp_path / "bundle" / "rootfs")
    environment = {"APK_CONFIG": "/dev/null"}
    listed = call([apk, "--root", root, "info"], environment).split()
    assert sorted(listed) == ["base", "odd", "shell"]
    assert "usr/bin/setuid" in call([apk, "--root", root, "info", "--contents", "odd"], environment)


def test_our_sandbox_runs_it(built: Built, base: Path, tmp_path: Path) -> None:
    client("bwrap")
    image = build(built, tmp_path, "shell", "entrypoint: {command: /bin/sh -c}\ncmd: \"'echo upon'\"", str(base))
    assert apkiln("image", "run", image, "--cache-dir", tmp_path / "cache") == "upon\n"
