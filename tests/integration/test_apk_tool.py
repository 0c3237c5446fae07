"""What we write against the real `apk`: it verifies, indexes and installs it, and its own record is equal to ours."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.sample_packages import sample_signer

from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.index import parse_index_text, read_index, record_of, write_index
from apkiln.formats.apk.installed import parse_installed, write_installed
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.apk.scripts import read_scripts
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec

QUIET = {"APK_CONFIG": "/dev/null"}
INFO = PackageInfo(
    "demo", "1.2_rc3-r4", "x86_64", description="a demo", url="https://example.com", license="MIT", origin="demo-src",
    maintainer="Me <me@example.com>", commit="0" * 40, build_date=1700000000, provider_priority=7,
    provides=("cmd:demo=1.2_rc3-r4", "so:libdemo.so.1=1.0"), replaces=("old<2",), triggers=("/usr/share/demo/*",),
)  # fmt: skip
LONG = "usr/share/" + "directory-with-a-long-name/" * 4
ENTRIES = (
    *(Entry(path, EntryType.DIRECTORY, 0o755, uname="root", gname="root") for path in ("usr", "usr/bin", "usr/share")),
    *(Entry(LONG[: len("usr/share/") + 27 * depth - 1], EntryType.DIRECTORY, 0o755) for depth in range(1, 5)),
    Entry("usr/share/empty", EntryType.DIRECTORY, 0o1777),
    Entry("usr/bin/demo", EntryType.FILE, 0o755, uname="root", gname="root", size=5, mtime=1600000000),
    Entry("usr/bin/demo2", EntryType.HARDLINK, 0o755, target="usr/bin/demo"),
    Entry("usr/bin/link", EntryType.SYMLINK, 0o777, target="demo"),
    Entry(LONG + "n" * 120, EntryType.FILE, 0o644, size=3),
    Entry("usr/share/ünï", EntryType.FILE, 0o600, size=0),
)
CONTENTS = {"usr/bin/demo": b"hello", LONG + "n" * 120: b"abc", "usr/share/ünï": b""}


def write(path: Path, info: PackageInfo = INFO, **options: object) -> bytes:
    draft = PackageDraft(info, ENTRIES, (("post-install", b"#!/bin/sh\n"), ("trigger", b"#!/bin/sh\n")), ((".note", b"x"),))
    parts: list[bytes] = []
    write_package(
        draft,
        lambda name: (CONTENTS[name],),
        canonical_codec(),
        io.BytesIO(),
        parts.append,
        **options,  # type: ignore[arg-type]
    )
    path.write_bytes(b"".join(parts))
    return b"".join(parts)


@pytest.fixture
def apk() -> str:
    return client("apk")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty root that trusts the sample key."""
    root = tmp_path / "root"
    for name in ("etc/apk/keys", "lib/apk/db", "tmp", "var/log"):
        (root / name).mkdir(parents=True)
    (root / "etc/apk/world").touch()
    (root / "lib/apk/db/installed").touch()
    (root / "etc/apk/arch").write_text("x86_64\n")
    (root / "etc/apk/keys" / sample_signer().name).write_bytes(sample_signer().public_key())
    return root


@pytest.mark.parametrize("algorithms", [("RSA256",), ("RSA256", "RSA"), ("RSA512",)])
def test_apk_verifies_our_packages(apk: str, root: Path, tmp_path: Path, algorithms: tuple[str, ...]) -> None:
    write(tmp_path / "demo.apk", signers=(sample_signer(),), algorithms=algorithms)
    keys = str(root / "etc/apk/keys")
    assert "OK" in call([apk, "--root", str(root), "--keys-dir", keys, "verify", str(tmp_path / "demo.apk")], QUIET)


def test_apk_index_makes_our_record(apk: str, tmp_path: Path) -> None:
    data = write(tmp_path / "demo.apk")
    call([apk, "--allow-untrusted", "index", "-o", str(tmp_path / "I.tar.gz"), str(tmp_path / "demo.apk")], QUIET)
    (record,) = parse_index_text(read_index((tmp_path / "I.tar.gz").read_bytes()).text).records
    assert record == record_of(read_package(io.BytesIO(data)))


def test_apk_installs_from_our_signed_index(apk: str, root: Path, tmp_path: Path) -> None:
    """Index, package, database and scripts: all of it read by apk, and what apk writes read by us."""
    repository = tmp_path / "repository" / "x86_64"
    repository.mkdir(parents=True)
    data = write(repository / f"{INFO.name_version}.apk")
    contents = read_package(io.BytesIO(data))
    signed = write_index([record_of(contents)], "test", canonical_codec(), (sample_signer(),))
    (repository / "APKINDEX.tar.gz").write_bytes(signed)
    command = [apk, "--root", str(root), "--arch", "x86_64", "--no-cache", "--no-logfile", "--no-scripts"]
    command += ["--repositories-file", "/dev/null", "-X", str(repository.parent), "--keys-dir", str(root / "etc/apk/keys")]
    user = [] if os.geteuid() == 0 else ["--usermode"]
    call([*command, *user, "--initdb", "add", "demo"], QUIET)
    assert (root / "usr/bin/demo2").read_bytes() == b"hello"
    assert (root / (LONG + "n" * 120)).read_bytes() == b"abc"
    database = (root / "lib/apk/db/installed").read_bytes()
    (package,) = parse_installed(database)
    assert package.record._replace(replaces="", replaces_priority=0) == record_of(contents)
    assert {item.path for item in package.files} == {entry.path for entry in ENTRIES if entry.type is not EntryType.DIRECTORY}
    assert {item.path for item in package.directories} == {entry.path for entry in ENTRIES if entry.type is EntryType.DIRECTORY}
    scripts = read_scripts((root / "lib/apk/db/scripts.tar.gz").read_bytes(), {contents.identity})
    assert [(script.kind, script.text) for script in scripts] == list(contents.scripts)
    # apk takes the database back as we write it.
    (root / "lib/apk/db/installed").write_bytes(write_installed([package]))
    assert "demo-1.2_rc3-r4" in call([apk, "--root", str(root), "--no-cache", "info", "-v"], QUIET)
    audit = call([apk, "--root", str(root), "--no-cache", "audit", "--full", "--check-permissions"], QUIET)
    assert [line for line in audit.splitlines() if "usr" in line] == []
