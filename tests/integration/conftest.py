"""A signed repository and an image of it, built with the commands a user has, once for all client tests."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.clients import shell_files

from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import PackageDraft, package_bytes
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec

BUILD_DATE = 1_700_000_000
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1001:1002:app:/var/lib/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1002:\nshadow:x:42:\n"
OS_RELEASE = b'ID=sample\nNAME="Sample"\nVERSION_ID=1\n'


@dataclass(frozen=True, slots=True)
class Built:
    """What the commands made."""

    directory: Path
    repository: Path
    key: Path
    """Public key."""
    definition: Path
    layout: Path


def apkiln(*words: object, cwd: Path | None = None) -> str:
    """Run a command of ours; its standard output."""
    command = [sys.executable, "-m", "apkiln.cli.main", *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{' '.join(command)}\nexit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def make_package(name: str, items: list[tuple[Entry, bytes]], depends: tuple[str, ...] = ()) -> bytes:
    """A package with these entries, and every directory above them that is not among them."""
    named = {entry.path for entry, _content in items}
    above = {str(parent) for path in named for parent in Path(path).parents if str(parent) != "."} - named
    entries = [Entry(path, EntryType.DIRECTORY, 0o755, mtime=BUILD_DATE) for path in sorted(above)]
    entries += [entry._replace(size=len(content), mtime=BUILD_DATE) for entry, content in items]
    info = PackageInfo(
        name,
        "1.0-r0",
        "x86_64",
        f"sample {name}",
        "https://example.com",
        "Apache-2.0",
        name,
        build_date=BUILD_DATE,
        depends=depends,
    )
    contents = [(entry.path, content) for entry, content in items if entry.type is EntryType.FILE]
    return package_bytes(PackageDraft(info, tuple(entries)), contents, canonical_codec())


def file(path: str, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, mode, uid, gid), content


def directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.DIRECTORY, mode, uid, gid), b""


def link(path: str, target: str, kind: EntryType = EntryType.SYMLINK) -> tuple[Entry, bytes]:
    return Entry(path, kind, 0o777 if kind is EntryType.SYMLINK else 0o644, target=target), b""


def sample_packages() -> dict[str, bytes]:
    """File name → bytes: a base layout, a shell, and one package with everything that is easily lost."""
    base = [
        *(file("etc/passwd", PASSWD), file("etc/group", GROUP), file("etc/os-release", OS_RELEASE)),
        *(file("etc/shadow", b"root:*::0:::::\n", 0o640, 0, 42), directory("root", 0o700), directory("var/tmp", 0o1777)),
    ]
    shell = [file(path, content, 0o755) for path, content in shell_files().items()]
    odd = [
        *(directory("var/lib/app", 0o2770, 1001, 1002), file("var/lib/app/data", b"data\n", 0o600, 1001, 1002)),
        *(file("usr/bin/setuid", b"#!/bin/sh\n", 0o4755), link("usr/bin/alias", "setuid")),
        *(file("usr/share/odd/one", b"same\n"), link("usr/share/odd/two", "usr/share/odd/one", EntryType.HARDLINK)),
        *(file("usr/share/odd/" + "long-" * 24 + "name", b""), directory("usr/share/odd/empty", 0o750)),
    ]
    return {
        "base-1.0-r0.apk": make_package("base", base),
        "shell-1.0-r0.apk": make_package("shell", shell, ("base",)),
        "odd-1.0-r0.apk": make_package("odd", odd, ("base",)),
    }


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("built")
    for above in (place, *place.parents[:2]):
        above.chmod(0o755)
    repository, cache = place / "repository", place / "cache"
    apkiln("repo", "init", repository, "--key-name", "sample.rsa", "--cache-dir", cache)
    for name, data in sample_packages().items():
        (place / name).write_bytes(data)
    apkiln("repo", "add", repository, *sorted(place.glob("*.apk")), "--cache-dir", cache)
    (key,) = (path for path in (place / "keys").iterdir() if path.name.endswith(".pub"))
    definition = place / "image.yaml"
    definition.write_text(
        f"contents:\n  repositories: [{repository}]\n  keyring: [{key}]\n  packages: [shell, odd]\n"
        "entrypoint:\n  command: /bin/sh -c\ncmd: \"'echo hello'\"\narchs: [x86_64]\n"
    )
    layout = place / "image"
    apkiln("image", "build", definition, "sample:latest", layout, "--cache-dir", cache, "--vcs=false")
    return Built(place, repository, key, definition, layout)
