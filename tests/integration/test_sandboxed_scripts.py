"""Package scripts run in a real sandbox while an image is built with the command a user has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.clients import client
from tests.integration.conftest import BUILD_DATE, apkiln, file, sample_packages

from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import PackageDraft, package_bytes
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec

PYTHON = "/usr/bin/python3"
"""The one of the environment may lie where only root may go."""
SOURCES = Path(__file__).resolve().parents[2] / "src"
PACKAGES = Path(msgspec.__file__).resolve().parents[1]
USER = 65534
POST_INSTALL = b"""#!/bin/sh
set -e
read -r line < /etc/os-release
echo "$line for $APK_PACKAGE" > /var/lib/scripted/made
echo "$PATH $(umask)" > /var/lib/scripted/environment
echo scratch > /tmp/forgotten
for name in /root/*; do [ ! -e "$name" ] || exit 8; done
echo changed >> /etc/scripted.conf
"""
_FOLDERS = ("etc", "usr", "usr/share", "usr/share/scripted", "var", "var/lib", "var/lib/scripted")
TRIGGER = b'#!/bin/sh\nfor directory in "$@"; do echo "$directory" >> /var/lib/scripted/triggered; done\n'


def scripted(post_install: bytes = POST_INSTALL) -> bytes:
    info = PackageInfo(
        "scripted", "1.0-r0", "x86_64", "a sample", "", "MIT", "scripted",
        build_date=BUILD_DATE, depends=("shell", "base"), triggers=("/usr/share/*",),
    )  # fmt: skip
    entry, content = file("etc/scripted.conf", b"as shipped\n")
    data = Entry("usr/share/scripted/data", EntryType.FILE, 0o644)
    scripts = (("post-install", post_install), ("trigger", TRIGGER))
    entries = [Entry(path, EntryType.DIRECTORY, 0o755) for path in _FOLDERS]
    draft = PackageDraft(info, (*entries, entry._replace(size=len(content)), data), scripts)
    return package_bytes(draft, [(entry.path, content), (data.path, b"")], canonical_codec())


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    client("bwrap")
    return defined(tmp_path, scripted())


def defined(place: Path, package: bytes) -> Path:
    repository = place / "repository"
    apkiln("repo", "init", repository, "--key-name", "scripted.rsa", "--cache-dir", place / "cache")
    packages = {**sample_packages(), "scripted-1.0-r0.apk": package}
    for name, data in packages.items():
        (place / name).write_bytes(data)
    apkiln("repo", "add", repository, *sorted(place.glob("*.apk")), "--cache-dir", place / "cache")
    (key,) = (path for path in (place / "keys").iterdir() if path.name.endswith(".pub"))
    (place / "image.yaml").write_text(
        f"contents:\n  repositories: [{repository}]\n  keyring: [{key}]\n  packages: [scripted]\n"
        "archs: [x86_64]\nscripts: sandbox\n"
    )
    return place / "image.yaml"


def build(definition: Path, out: str, *words: str) -> dict[str, Any]:
    flags = ("--cache-dir", definition.parent / "cache", "--vcs=false", "--json", *words)
    report: dict[str, Any] = json.loads(apkiln("image", "build", definition, "sample:latest", definition.parent / out, *flags))
    return report


def test_scripts_run_twice_and_their_work_is_accounted_for(definition: Path) -> None:
    report = build(definition, "first")
    (image,) = report["images"]
    assert {row["kind"]: row["state"] for row in image["scripts"]} == {
        "post-install": "run in the sandbox",
        "trigger": "run in the sandbox",
    }
    (audit,) = json.loads(apkiln("image", "audit", definition.parent / "first", "--json"))
    assert audit["violations"] == []
    apkiln("image", "build", definition, "s:1", "--output", f"type=rootfs,dest={definition.parent}/root.tar", "--vcs=false",
           "--cache-dir", definition.parent / "cache")  # fmt: skip
    import tarfile

    with tarfile.open(definition.parent / "root.tar") as archive:
        names = archive.getnames()

        def text(path: str) -> str:
            stream = archive.extractfile(path)
            assert stream is not None
            return stream.read().decode()

        assert text("var/lib/scripted/made") == "ID=sample for scripted-1.0-r0\n"
        assert text("var/lib/scripted/environment") == "/usr/sbin:/usr/bin:/sbin:/bin 0022\n"
        assert text("var/lib/scripted/triggered") == "/usr/share/scripted\n"
        assert text("etc/scripted.conf") == "as shipped\nchanged\n"
        assert "tmp/forgotten" not in names
    assert build(definition, "second")["digest"] == report["digest"]


def test_without_the_word_no_script_runs(definition: Path) -> None:
    report = build(definition, "told", "--scripts=report")
    (image,) = report["images"]
    assert {row["state"] for row in image["scripts"]} == {"not covered"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"#!/bin/sh\necho about to fail >&2\nno-such-program\n", "script-failed"),
        (b"#!/bin/sh\nread -r u < /proc/sys/kernel/random/uuid\necho $u > /etc/u\n", "script-not-reproducible"),
    ],
)
def test_what_cannot_be_relied_on_makes_no_image(tmp_path: Path, text: bytes, reason: str) -> None:
    client("bwrap")
    place = defined(tmp_path, scripted(text))
    words = [str(place), "s:1", str(tmp_path / "out"), "--vcs=false", "--json", "--cache-dir", f"{tmp_path}/cache"]
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "build", *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 3
    assert json.loads(result.stderr[result.stderr.index("{") :])["error"]["reason"] == reason
    assert not (tmp_path / "out").exists()


def test_an_ordinary_user_makes_the_same_image_and_leaves_nothing(definition: Path) -> None:
    """The directory in which an overlay works has no mode at all: only root may look into it as it is."""
    client("setpriv")
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    wanted = build(definition, "by-root")["digest"]
    home = definition.parent / "home"
    home.mkdir()
    os.chown(home, USER, USER)
    for place in (definition.parent, definition.parent / "keys", *definition.parent.parents[:2]):
        place.chmod(0o755)
    tried = as_user(home, "-c", f"import sys, apkiln, msgspec; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})")
    if tried.returncode:
        pytest.skip(f"{PYTHON} cannot run the product as another user: {tried.stderr[-200:]}")
    out, cache = home / "out", home / "cache"
    words = ("image", "build", str(definition), "sample:latest", str(out), "--cache-dir", str(cache), "--vcs=false", "--json")
    made = as_user(home, "-m", "apkiln.cli.main", *words)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["digest"] == wanted
    assert not list(home.glob("apkiln-scripts-*"))


def as_user(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as somebody without any rights."""
    command = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", PYTHON, *words)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": f"{SOURCES}:{PACKAGES}"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=home)
