"""Packages and indexes that our commands signed, taken by the real `apk` with nothing but the public key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.sample_packages import sample_package, sample_signer

from apkiln.cli import dispatch

QUIET = {"APK_CONFIG": "/dev/null"}
USER_MODE = [] if os.geteuid() == 0 else ["--usermode"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages, signed by somebody else, and a key of ours, in a working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x86_64").mkdir()
    for package in (
        sample_package("base", signer=sample_signer()),
        sample_package("top", depends=["base"], signer=sample_signer()),
    ):
        (tmp_path / "x86_64" / package.file_name).write_bytes(package.data)
    assert dispatch.dispatch(["melange", "keygen", "build.rsa", "--key-size", "2048"]) == 0
    (tmp_path / "keys").mkdir()
    (tmp_path / "build.rsa.pub").rename(tmp_path / "keys/build.rsa.pub")
    return tmp_path


def files(place: Path) -> list[str]:
    return sorted(str(path) for path in (place / "x86_64").glob("*.apk"))


def test_apk_verifies_and_installs_what_was_signed(place: Path) -> None:
    apk = client("apk")
    assert dispatch.dispatch(["melange", "sign", "--signing-key", "build.rsa", *files(place)]) == 0
    call([apk, "verify", "--keys-dir", str(place / "keys"), *files(place)], QUIET)
    index = str(place / "x86_64/APKINDEX.tar.gz")
    assert dispatch.dispatch(["melange", "index", "-o", index, *files(place)]) == 0
    assert dispatch.dispatch(["melange", "sign-index", "--signing-key", "build.rsa", index]) == 0
    root = place / "root"
    words = ["--root", str(root), "--arch", "x86_64", "--keys-dir", str(place / "keys"), "--repository", str(place), "--no-cache"]
    call([apk, *words, "--initdb", "--no-scripts", *USER_MODE, "add", "top"], QUIET)
    assert (root / "usr/share/base/text").exists() and (root / "usr/share/top/text").exists()


def test_apk_refuses_the_index_before_it_is_signed(place: Path) -> None:
    apk = client("apk")
    index = str(place / "x86_64/APKINDEX.tar.gz")
    assert dispatch.dispatch(["apk", "index", "-o", index, *files(place)]) == 0
    words = ["--root", str(place / "root"), "--arch", "x86_64", "--keys-dir", str(place / "keys"), "--repository", str(place)]
    with pytest.raises(AssertionError, match="UNTRUSTED"):
        call([apk, *words, "--no-cache", "--initdb", "--no-scripts", *USER_MODE, "add", "top"], QUIET)
