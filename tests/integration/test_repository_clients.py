"""Repositories as a whole: the command line makes them, real apk and our own client use them, kills and crowds do no harm."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.sample_packages import SamplePackage, sample_package

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import load_indexes
from apkiln.acquire.keyring import load_keyring
from apkiln.acquire.packages import SelectedPackage, acquire_packages, open_package
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.publishing import Workshop, read_listing
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.files import DiskFiles
from apkiln.system.network import open_transfer

LIBRARY = sample_package("lib", "1.2_git20240101~abcdef0-r0", provides=["so:lib.so.1=1.2"])
PROGRAM = sample_package(
    "program", depends=["so:lib.so.1", "any"], files={"usr/bin/program": b"#!/bin/sh\n", "etc/program.conf": b"x\n"}
)
ANY = sample_package("any", arch="noarch")
PACKAGES = (LIBRARY, PROGRAM, ANY)


def apkiln(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apkiln.cli.main", *arguments]
    environment = {**os.environ, "APKILN_CACHE": str(directory / "cache")}
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, env=environment, timeout=120, check=False)


def write(directory: Path, *packages: SamplePackage) -> list[str]:
    for package in packages:
        (directory / package.file_name).write_bytes(package.data)
    return [package.file_name for package in packages]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with repository `os` of three packages, made by the command line."""
    assert apkiln("repo", "init", "os", "--key-name", "test.rsa", directory=tmp_path).returncode == 0
    added = apkiln("repo", "add", "os", *write(tmp_path, *PACKAGES), "--strict", "--json", directory=tmp_path)
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["indexes"][0]["packages"] == 3
    return tmp_path


@pytest.fixture
def served(home: Path) -> Iterator[str]:
    """The same over HTTP."""
    handler = partial(_QuietHandler, directory=str(home))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def apk_root(directory: Path, keys: Path) -> Path:
    root = directory / "root"
    for name in ("etc/apk/keys", "lib/apk/db", "tmp", "var/log"):
        (root / name).mkdir(parents=True)
    shutil.copy(keys, root / "etc/apk/keys" / keys.name)
    return root


def apk(*arguments: str) -> str:
    return call([client("apk"), *arguments], {"APK_CONFIG": "/dev/null"})


def install(home: Path, repository: str, names: list[str]) -> Path:
    root = apk_root(home, home / "os/test.rsa.pub")
    options = ["--arch", "x86_64", "--no-cache", "--no-logfile", "--no-scripts", "--repositories-file", "/dev/null"]
    user = [] if os.geteuid() == 0 else ["--usermode"]
    apk("--root", str(root), *options, "-X", repository, *user, "--initdb", "add", *names)
    return root


def test_real_apk_installs_from_the_directory_with_our_key(home: Path) -> None:
    root = install(home, str(home / "os"), ["program"])
    assert (root / "usr/bin/program").read_bytes() == b"#!/bin/sh\n"
    installed = (root / "lib/apk/db/installed").read_text()
    for package in PACKAGES:
        assert f"P:{package.record.name}\nV:{package.record.version}\n" in installed


def test_real_apk_installs_over_http(home: Path, served: str) -> None:
    root = install(home, f"{served}/os", ["program", "any"])
    assert (root / "etc/program.conf").exists()


def test_real_apk_refuses_our_repository_without_the_key(home: Path) -> None:
    root = apk_root(home, home / "os/test.rsa.pub")
    (root / "etc/apk/keys/test.rsa.pub").unlink()
    options = ["--arch", "x86_64", "--no-cache", "--no-logfile", "--repositories-file", "/dev/null", "-X", str(home / "os")]
    command = [client("apk"), "--root", str(root), *options, "--initdb", "--simulate", "add", "program"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0


def test_apk_index_says_the_same_of_our_packages(home: Path) -> None:
    directory = home / "os/x86_64"
    files = sorted(str(path) for path in directory.glob("*.apk"))
    apk("--allow-untrusted", "index", "--rewrite-arch", "x86_64", "-o", str(home / "theirs.tar.gz"), *files)
    text = call(["tar", "-xzOf", str(home / "theirs.tar.gz"), "APKINDEX"]).encode()
    theirs = {record.name: _comparable(record) for record in parse_index_text(text).records}
    ours = {record.name: _comparable(record) for record in read_listing(home / "os", Workshop(DiskFiles()))["x86_64"]}
    assert ours == theirs


def _comparable(record: IndexRecord) -> IndexRecord:
    """apk sorts lists; the order means nothing for the comparison."""
    depends, provides = (" ".join(sorted(items.split())) for items in (record.depends, record.provides))
    return record._replace(depends=depends, provides=provides)


def test_apk_verifies_what_is_in_the_repository(home: Path) -> None:
    for path in (home / "os").rglob("*.apk"):
        apk("--allow-untrusted", "verify", str(path))


def access_of(home: Path, *, offline: bool = False) -> Access:
    files = DiskFiles()
    transfer = open_transfer({"HOME": str(home)}, files, offline=offline)
    return Access(DirectoryStore(home / "cache"), transfer, files, offline=offline)


def fetch_all(home: Path, repository: str, *, offline: bool = False) -> list[bytes]:
    access = access_of(home, offline=offline)
    keyring = load_keyring([str(home / "os/test.rsa.pub")], access)
    (index,) = load_indexes(parse_repositories([repository]), "x86_64", keyring, access)
    selected = [SelectedPackage(record, index.repository, "x86_64") for record in index.records]
    contents = []
    for package in acquire_packages(selected, access):
        with open_package(package, access) as stream:
            contents.append(stream.read())
    return contents


def test_our_client_over_http_and_then_offline_without_the_server(home: Path, served: str) -> None:
    expected = sorted(package.data for package in PACKAGES)
    assert sorted(fetch_all(home, f"{served}/os")) == expected
    shutil.rmtree(home / "os/x86_64")
    assert sorted(fetch_all(home, f"{served}/os", offline=True)) == expected


def test_a_byte_flipped_anywhere_in_the_repository_is_refused(home: Path) -> None:
    paths = sorted((home / "os/x86_64").iterdir())
    chooser = random.Random(7)
    for path in paths:
        original = path.read_bytes()
        start = 12 if path.name != "APKINDEX.tar.gz" else len(original) // 2
        for position in chooser.sample(range(start, len(original)), 12):
            changed = bytearray(original)
            changed[position] ^= 0x08
            path.write_bytes(changed)
            shutil.rmtree(home / "cache", ignore_errors=True)
            with pytest.raises(ApkilnError):
                fetch_all(home, str(home / "os"))
        path.write_bytes(original)
    assert len(fetch_all(home, str(home / "os"))) == 3


def test_adds_at_the_same_time_lose_nothing(home: Path) -> None:
    names = [write(home, sample_package(f"p{number}", files={f"p{number}": bytes(20_000)}))[0] for number in range(8)]
    commands = [[sys.executable, "-m", "apkiln.cli.main", "repo", "add", "os", name, "-q"] for name in names]
    processes = [subprocess.Popen(command, cwd=home, stderr=subprocess.PIPE) for command in commands]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    listed = {record.name for record in read_listing(home / "os", Workshop(DiskFiles()))["x86_64"]}
    assert listed == {"any", "lib", "program", *(f"p{number}" for number in range(8))}


def check_listed_is_there(home: Path) -> set[str]:
    records = read_listing(home / "os", Workshop(DiskFiles())).get("x86_64", ())
    for record in records:
        assert (home / "os/x86_64" / f"{record.name_version}.apk").stat().st_size == record.size
    return {record.name for record in records}


def test_killing_an_add_at_any_moment_leaves_a_good_repository(home: Path) -> None:
    names = write(home, *(sample_package(f"k{number}", files={f"k{number}": os.urandom(200_000)}) for number in range(12)))
    everything = {"any", "lib", "program", *(f"k{number}" for number in range(12))}
    chooser = random.Random(3)
    for _ in range(8):
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", "add", "os", *names, "-q"]
        process = subprocess.Popen(command, cwd=home)
        time.sleep(chooser.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert check_listed_is_there(home) in ({"any", "lib", "program"}, everything)
    assert apkiln("repo", "add", "os", *names, directory=home).returncode == 0
    assert check_listed_is_there(home) == everything
    assert not list((home / "os").rglob("*unfinished*"))


def test_a_full_disk_leaves_the_old_index(home: Path) -> None:
    """A file size limit stands in for a full disk: the copy of the big package cannot be completed."""
    (big,) = write(home, sample_package("big", files={"big": os.urandom(3_000_000)}))
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        "from apkiln.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "repo", "add", "os", big, "--json"]
    result = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 9
    fault = json.loads(result.stderr[result.stderr.index("{") :])["error"]["faults"][0]
    assert fault["reason"] == "file-too-large"
    assert fault["origin"]["source"].endswith("os/x86_64/big-1.0-r0.apk")
    assert check_listed_is_there(home) == {"any", "lib", "program"}


def tiny_disk(directory: Path) -> None:
    """Mount a file system of 2 MB, or skip."""
    mount = client("mount")
    result = subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory)], capture_output=True, check=False)
    if result.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")


def test_no_space_in_the_cache_is_named(home: Path) -> None:
    write(home, sample_package("big", files={"big": os.urandom(3_000_000)}))
    assert apkiln("repo", "add", "os", "big-1.0-r0.apk", directory=home).returncode == 0
    (home / "cache").mkdir(exist_ok=True)
    tiny_disk(home / "cache")
    try:
        with pytest.raises(ApkilnError) as caught:
            fetch_all(home, str(home / "os"))
        assert (caught.value.reason, caught.value.origin.source) == ("no-space", str(home / "cache"))
        assert DirectoryStore(home / "cache").usage().unfinished == 0
    finally:
        subprocess.run([client("umount"), str(home / "cache")], check=True)
