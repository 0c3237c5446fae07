"""What other people's programs say of an image that apkiln built."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.integration.conftest import Built, apkiln

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and setuid bits need root's rights")


def rows(output: str) -> list[dict[str, object]]:
    value: list[dict[str, object]] = json.loads(output)
    return value


def test_our_own_audit_is_clean(built: Built) -> None:
    (report,) = rows(apkiln("image", "audit", built.layout, "--json"))
    assert (report["violations"], report["packages"], report["builder"]) == ([], 3, "apkiln")


def test_the_same_definition_gives_the_same_image(built: Built, tmp_path: Path) -> None:
    apkiln("image", "build", built.definition, "sample:latest", tmp_path / "again", "--cache-dir", tmp_path / "c", "--vcs=false")
    assert (tmp_path / "again" / "index.json").read_bytes() == (built.layout / "index.json").read_bytes()


def test_the_image_runs_in_our_sandbox(built: Built, tmp_path: Path) -> None:
    client("bwrap")
    assert apkiln("image", "run", built.layout, "--cache-dir", tmp_path) == "hello\n"
    assert apkiln("image", "run", built.layout, "--cache-dir", tmp_path, "--", "echo again").strip() == "again"


def test_skopeo_copies_it_and_keeps_its_digest(built: Built, tmp_path: Path) -> None:
    skopeo = client("skopeo")
    call([skopeo, "copy", "--insecure-policy", f"oci:{built.layout}:latest", f"oci-archive:{tmp_path}/image.tar:latest"])
    call(
        [skopeo, "copy", "--insecure-policy", f"oci:{built.layout}:latest", f"docker-archive:{tmp_path}/docker.tar:sample:latest"]
    )
    inspected = json.loads(call([skopeo, "inspect", f"oci:{built.layout}:latest"]))
    copied = json.loads(call([skopeo, "inspect", f"oci-archive:{tmp_path}/image.tar:latest"]))
    assert inspected["Digest"] == copied["Digest"]
    for archive in ("image.tar", "docker.tar"):
        (report,) = rows(apkiln("image", "audit", tmp_path / archive, "--json"))
        assert report["violations"] == []


def test_skopeo_reads_layers_of_zstd(built: Built, tmp_path: Path) -> None:
    skopeo = client("skopeo")
    words = ("--layer-compression", "zstd", "--cache-dir", tmp_path / "c", "--vcs=false")
    apkiln("image", "build", built.definition, "sample:latest", tmp_path / "zstd", *words)
    (report,) = rows(apkiln("image", "audit", tmp_path / "zstd", "--json"))
    assert report["violations"] == []
    call([skopeo, "copy", "--insecure-policy", "--dest-decompress", f"oci:{tmp_path}/zstd:latest", f"dir:{tmp_path}/plain"])
    manifest = json.loads((tmp_path / "plain/manifest.json").read_bytes())
    theirs = [layer["digest"] for layer in manifest["layers"]]
    configuration = json.loads((tmp_path / "plain" / manifest["config"]["digest"].partition(":")[2]).read_bytes())
    assert theirs == configuration["rootfs"]["diff_ids"]


@needs_root
def test_umoci_unpacks_the_tree_that_the_audit_accepts(built: Built, tmp_path: Path) -> None:
    umoci = client("umoci")
    call([umoci, "unpack", "--image", f"{built.layout}:latest", str(tmp_path / "bundle")])
    root = tmp_path / "bundle" / "rootfs"
    (report,) = rows(apkiln("image", "audit", root, "--json"))
    assert report["violations"] == []
    assert stat.S_IMODE((root / "usr/bin/setuid").stat().st_mode) == 0o4755
    data = (root / "var/lib/app/data").stat()
    assert (data.st_uid, data.st_gid) == (1001, 1002)
    (root / "usr/bin/setuid").write_bytes(b"#!/bin/evil\n")
    (root / "usr/bin/stray").write_bytes(b"x")
    words = [sys.executable, "-m", "apkiln.cli.main", "image", "audit", str(root), "--json"]
    changed = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    broken = {(row["rule"], row["path"]) for row in json.loads(changed.stdout)[0]["violations"]}
    assert changed.returncode == 10
    assert {("content", "usr/bin/setuid"), ("unowned-path", "usr/bin/stray")} <= broken


@needs_root
def test_apk_audits_the_unpacked_root_clean(built: Built, tmp_path: Path) -> None:
    umoci, apk = client("umoci"), client("apk")
    call([umoci, "unpack", "--image", f"{built.layout}:latest", str(tmp_path / "bundle")])
    root = tmp_path / "bundle" / "rootfs"
    environment = {"APK_CONFIG": "/dev/null"}
    listed = call([apk, "--root", str(root), "info", "-v"], environment).split()
    assert sorted(listed) == ["base-1.0-r0", "odd-1.0-r0", "shell-1.0-r0"]
    lines = call([apk, "--root", str(root), "audit", "--full", "--check-permissions"], environment).splitlines()
    changed = [line for line in lines if not line.startswith(("A ", "D ", "+ ", "d "))]
    assert changed == []
    simulated = call([apk, "--root", str(root), "--no-network", "--no-cache", "fix", "--simulate"], environment)
    assert "OK" in simulated


@needs_root
def test_apk_installs_from_our_repository(built: Built, tmp_path: Path) -> None:
    apk = client("apk")
    root = tmp_path / "root"
    (root / "etc/apk/keys").mkdir(parents=True)
    shutil.copy(built.key, root / "etc/apk/keys")
    (tmp_path / "repositories").write_text(f"{built.repository}\n")
    common = [apk, "--root", str(root), "--arch", "x86_64", "--no-cache", "--no-logfile", "--no-scripts"]
    call([*common, "--repositories-file", str(tmp_path / "repositories"), "--initdb", "add", "odd"], {"APK_CONFIG": "/dev/null"})
    assert (root / "var/lib/app/data").read_bytes() == b"data\n"
    lines = call([*common[:3], "audit", "--full", "--check-permissions"], {"APK_CONFIG": "/dev/null"}).splitlines()
    assert [line for line in lines if not line.startswith(("A ", "D ", "+ ", "d "))] == []


@needs_root
def test_podman_loads_and_runs_it(built: Built, tmp_path: Path) -> None:
    podman, runc = client("podman"), client("runc")
    apkiln("image", "build", built.definition, "sample:latest", tmp_path / "image.tar", "--cache-dir", built.directory / "cache")
    # podman refuses run directories with long names.
    short = tempfile.mkdtemp(prefix="pod")
    own = [podman, "--root", f"{short}/store", "--runroot", f"{short}/run", "--storage-driver=vfs"]
    own += ["--cgroup-manager=cgroupfs", f"--runtime={runc}", "--events-backend=file"]
    try:
        loaded = call([*own, "load", "-i", f"{tmp_path}/image.tar"])
        image = loaded.strip().rpartition(" ")[2]
        limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=8192:8192", "--network=none"]
        assert call([*own, "run", "--rm", *limits, image]) == "hello\n"
        for form in ("oci-archive", "docker-archive"):
            call([*own, "save", "--format", form, "-o", f"{tmp_path}/{form}.tar", image])
            (report,) = rows(apkiln("image", "audit", tmp_path / f"{form}.tar", "--json"))
            assert report["violations"] == []
    finally:
        subprocess.run([*own, "rmi", "--all", "--force"], capture_output=True, check=False, timeout=60)
        shutil.rmtree(short, ignore_errors=True)


def test_syft_finds_the_installed_packages(built: Built) -> None:
    syft = client("syft")
    environment = {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    found = json.loads(call([syft, f"oci-dir:{built.layout}", "-o", "json", "-q"], environment))
    listed = {(item["name"], item["version"]) for item in found["artifacts"] if item["type"] == "apk"}
    assert listed == {(name, "1.0-r0") for name in ("base", "odd", "shell")}


def test_apko_reads_our_repository(built: Built, tmp_path: Path) -> None:
    apko = client("apko")
    listed = call([apko, "show-packages", str(built.definition), "--arch", "x86_64", "--cache-dir", str(tmp_path)])
    assert sorted(line.split()[0] for line in listed.splitlines() if line.strip()) == ["base", "odd", "shell"]
