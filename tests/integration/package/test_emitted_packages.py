"""Emitted packages in the hands of the real `apk`: verified, installed with owners, modes, links and attributes, removed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.package_workshop import OUT, directory, emission, file, hard_link, library, link, program, request, tree
from tests.sample_packages import sample_signer

from apkiln.core.value import replace
from apkiln.formats.deflate.codec import Codec, canonical_codec, local_codec
from apkiln.package.emission.emitting import EmissionAccess, emit
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.output_tree import OutputTree
from apkiln.system.files import DiskFiles
from apkiln.system.spool import DiskSpools

QUIET = {"APK_CONFIG": "/dev/null"}
TEXT = """package:
  name: demo
  version: "1.2"
  epoch: 3
  description: a demo
  copyright: [{license: MIT}, {license: "custom: see site"}]
  dependencies: {runtime: [demo-libs=1.2-r3], provides: ["virtual=1"], replaces: [old]}
  scriptlets: {post-install: "#!/bin/sh\\n:\\n"}
  setcap: [{path: /usr/bin/capable, add: {cap_net_raw: +ep}, reason: pings}]
  checks: {disabled: [setuidgid]}
subpackages:
  - name: demo-libs
  - name: demo-dev
  - name: demo-meta
    dependencies: {runtime: [demo]}
"""
TREES = (
    tree(
        file("usr/bin/demo", program(["libdemo.so.1"]), 0o4755),
        file("usr/bin/capable", b"\0", 0o755),
        file("usr/bin/other", b"\0", 0o755),
        hard_link("usr/bin/name", "usr/bin/other"),
        file("usr/share/demo/ünï 'x'", b"1", 0o640),
        file("usr/share/demo/" + "d" * 120 + "/" + "n" * 200, b"2"),
        file("var/mail/post", b"3", uid=8, gid=12),
        directory("var/lib/demo", 0o1777),
        link("usr/bin/link", "demo"),
        package="demo",
    ),
    tree(file("usr/lib/libdemo.so.1", library("libdemo.so.1"), 0o755), package="demo-libs"),
    tree(link("usr/lib/libdemo.so", "libdemo.so.1"), file("usr/lib/pkgconfig/demo.pc", b"Name: demo\n"), package="demo-dev"),
    tree(package="demo-meta"),
)


@pytest.fixture(params=[canonical_codec, local_codec], ids=["canonical", "local"])
def packages(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """All packages of a build on the disk, signed."""
    codec: Codec = request.param()
    access = EmissionAccess(DiskFiles(durable=False), tmp_path / "out", DiskSpools(), codec, (sample_signer(),))
    asked: EmissionRequest = _request()
    return [Path(item.path) for item in emit(asked, TREES, access)]


def _request() -> EmissionRequest:
    return request(TEXT, source_date=1700000000, namespace="demo")


def test_apk_verifies_and_installs_every_package(packages: list[Path], tmp_path: Path) -> None:
    apk = client("apk")
    keys, root = tmp_path / "keys", tmp_path / "root"
    keys.mkdir()
    (keys / sample_signer().name).write_bytes(sample_signer().public_key())
    call([apk, "verify", "--keys-dir", str(keys), *map(str, packages)], QUIET)
    # The loader is not ours; what the demo needs of it is declared by a package of no files.
    loader = _loader(tmp_path)
    base = ["--root", str(root), "--keys-dir", str(keys), "--arch", "x86_64", "--no-network", "--no-cache", "--no-scripts"]
    words = [apk, "add", *base, "--initdb", "--usermode"] if os.geteuid() else [apk, "add", *base, "--initdb"]
    call([*words, "--repositories-file", "/dev/null", *map(str, packages), str(loader)], QUIET)
    assert (root / "usr/bin/link").is_symlink() and os.path.samefile(root / "usr/bin/name", root / "usr/bin/other")
    assert (root / "usr/share/demo/ünï 'x'").read_bytes() == b"1"
    assert stat.S_IMODE((root / "var/lib/demo").stat().st_mode) == 0o1777
    if os.geteuid() == 0:
        found = (root / "var/mail/post").stat()
        assert (found.st_uid, found.st_gid) == (8, 12)
        assert stat.S_IMODE((root / "usr/bin/demo").stat().st_mode) == 0o4755
        assert os.getxattr(root / "usr/bin/capable", "security.capability")[0] == 1
    audit = call([apk, "audit", "--root", str(root), "--arch", "x86_64", "--system"], QUIET)
    # The kernel hands version 3 of the capability attribute out as version 2, which apk takes for a change.
    assert [line for line in audit.splitlines() if "usr/" in line and line != "x usr/bin/capable"] == []
    listed = call([apk, "info", "--root", str(root), "--arch", "x86_64", "-q", "-R", "demo-dev"], QUIET).split()
    assert listed == ["so:libdemo.so.1"]


def _loader(tmp_path: Path) -> Path:
    text = "package: {name: loader, version: 1, dependencies: {provides: ['so:ld-linux-x86-64.so.2=2']}}\n"
    access = EmissionAccess(DiskFiles(durable=False), tmp_path / "loader", DiskSpools(), canonical_codec(), (sample_signer(),))
    (made,) = emit(request(text), (OutputTree("loader", (), lambda _: ()),), access)
    return Path(made.path)


def test_apk_s_index_of_them_says_what_ours_says(packages: list[Path], tmp_path: Path) -> None:
    from apkiln.formats.apk.index import parse_index_text, read_index, record_of
    from apkiln.formats.apk.package import read_package

    apk, index = client("apk"), tmp_path / "APKINDEX.tar.gz"
    call([apk, "index", "--allow-untrusted", "--output", str(index), *map(str, packages)], QUIET)
    records = {record.name: record for record in parse_index_text(read_index(index.read_bytes()).text).records}
    for path in packages:
        with path.open("rb") as stream:
            ours = record_of(read_package(stream))
        theirs = records[ours.name]
        assert theirs.identity == ours.identity and theirs.installed_size == ours.installed_size
        assert sorted(theirs.provides.split()) == sorted(ours.provides.split())
        assert sorted(theirs.depends.split()) == sorted(ours.depends.split())


def test_the_same_tree_gives_the_same_bytes_on_the_disk_and_in_memory(tmp_path: Path) -> None:
    access = EmissionAccess(DiskFiles(durable=False), tmp_path / "out", DiskSpools(), canonical_codec())
    made = emit(_request(), TREES, access)
    _, files = emission(_request(), *TREES)
    for item in made:
        assert Path(item.path).read_bytes() == files.read(OUT / "x86_64" / item.path.name, 1 << 24)


def test_cosign_verifies_the_statement_of_origin(tmp_path: Path) -> None:
    cosign = client("cosign")
    access = EmissionAccess(DiskFiles(durable=False), tmp_path / "out", DiskSpools(), canonical_codec(), (sample_signer(),))
    made = emit(replace(_request(), provenance=True), TREES, access)
    (statement,) = [path for item in made for path in item.beside]
    key = tmp_path / "key.pub"
    key.write_bytes(sample_signer().public_key())
    words = [cosign, "verify-blob-attestation", "--key", str(key), "--signature", str(statement)]
    words += ["--type", "slsaprovenance1", "--insecure-ignore-tlog=true"]
    home = {"HOME": str(tmp_path), "TUF_ROOT": str(tmp_path / "tuf")}
    for item in made:
        call([*words, str(item.path)], home)
    stranger = tmp_path / "stranger.apk"
    stranger.write_bytes(Path(made[0].path).read_bytes() + b"x")
    with pytest.raises(AssertionError, match="no matching subject digest"):
        call([*words, str(stranger)], home)
