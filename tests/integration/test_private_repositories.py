"""Repositories that want to know who asks: the image is built, and the password is found nowhere (spec image.md §18 row 9)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from tests.sample_packages import sample_index, sample_package, sample_signer

PASSWORD = "s3cr3t p:ss/w@rd"
USER = "reader"
TOKEN = "t0ken-0f-m1ne"
_FORMS = tuple(
    {
        *(text.encode() for word in (PASSWORD, TOKEN) for text in (word, quote(word, safe=""), quote(word))),
        base64.b64encode(f"{USER}:{PASSWORD}".encode()),
        base64.b64encode(PASSWORD.encode()),
    }
)
"""How the secrets could leak."""


class Private(ThreadingHTTPServer):
    """Gives files to those who know the password, or hold the token; others get 401."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.refused = 0
        self.served = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Private)
        good = {"Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(), f"Bearer {TOKEN}"}
        found = self.server.files.get(self.path)
        known = self.headers.get("Authorization", "") in good
        status, body = (401, b"") if not known else (404, b"") if found is None else (200, found)
        self.server.refused += status == 401
        self.server.served += status == 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Place(NamedTuple):
    directory: Path
    server: Private

    def address(self, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server.server_port}/repo"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    signer = sample_signer()
    packages = [
        sample_package("base", files={"etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "etc/os-release": b"ID=s\nNAME=S\n"}),
        sample_package("app", depends=["base"]),
    ]
    files = {f"/repo/x86_64/{package.file_name}": package.data for package in packages}
    files["/repo/x86_64/APKINDEX.tar.gz"] = sample_index(packages, signer)
    (tmp_path / "sample.rsa.pub").write_bytes(signer.public_key())
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "sqfstar"
    # Writes down how it was called, and what it finds around it.
    tool.write_text(
        f"#!/bin/sh\n/usr/bin/env >> {tmp_path}/seen; printf '%s\\n' \"$@\" >> {tmp_path}/seen\n"
        'for last; do :; done\n[ "$last" = -help ] && { echo SOURCE_DATE_EPOCH; exit 0; }\ncat > "$last"\n'
    )
    tool.chmod(0o755)
    server = Private(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Place(tmp_path, server)
    server.shutdown()
    thread.join()
    server.server_close()


def url_user() -> str:
    return f"{USER}:{quote(PASSWORD, safe='')}@"


WAYS = ("url", "environment", "bearer", "netrc")


def definition(place: Place, way: str, packages: str = "app") -> Path:
    address = place.address(url_user() if way == "url" else "")
    text = f"contents: {{keyring: [sample.rsa.pub], repositories: ['{address}', '@edge {address}'], packages: [{packages}]}}\n"
    path = place.directory / "image.yaml"
    path.write_text(text + "archs: [x86_64]\nannotations: {a: b}\n")
    return path


def environment(place: Place, way: str) -> dict[str, str]:
    home = place.directory / "home"
    home.mkdir(exist_ok=True)
    found = {"HOME": str(home), "PATH": f"{place.directory}/bin:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    host = f"127.0.0.1:{place.server.server_port}"
    if way == "environment":
        found["HTTP_AUTH"] = f"basic:{host}:{USER}:{PASSWORD}"
    elif way == "bearer":
        found["HTTP_AUTH"] = f"bearer:{host}:{TOKEN}"
    elif way == "netrc":
        (home / ".netrc").write_text(f'machine 127.0.0.1 login {USER} password "{PASSWORD}"\n')
    return found


def command(place: Place, way: str, *words: object) -> subprocess.CompletedProcess[bytes]:
    given = [sys.executable, "-m", "apkiln.cli.main", *map(str, words), "--cache-dir", str(place.directory / "cache")]
    return subprocess.run(
        given, cwd=place.directory, env=environment(place, way), capture_output=True, timeout=120, stdin=subprocess.DEVNULL
    )  # fmt: skip


def leaks(content: bytes) -> list[bytes]:
    """The secrets in some bytes, as they are or in compressed streams inside."""
    found = [form for form in _FORMS if form in content]
    begin = -1
    while (begin := content.find(b"\x1f\x8b\x08", begin + 1)) >= 0:
        try:
            inner = zlib.decompressobj(31).decompress(content[begin:], 1 << 26)
        except zlib.error:
            continue
        found += [form for form in _FORMS if form in inner]
    return found


def leaking_files(*places: Path) -> list[str]:
    paths = [path for place in places for path in ([place] if place.is_file() else place.rglob("*")) if path.is_file()]
    assert paths
    return [str(path) for path in paths if leaks(path.read_bytes())]


@pytest.mark.parametrize("way", WAYS)
def test_images_locks_bills_logs_and_the_cache_hold_no_secret(place: Place, way: str) -> None:
    path = definition(place, way)
    runs = [
        command(place, way, "image", "build", path, "a:1", "out", "-v", "--json", "--sbom-formats", "spdx,cyclonedx"),
        command(place, way, "image", "build", path, "a:1", "a.tar", "-v"),
        command(place, way, "image", "lock", path, "--output", "a.lock.json"),
        command(place, way, "image", "build", path, "a:1", "locked", "--lockfile", "a.lock.json"),
        command(place, way, "image", "packages", path, "--format", "packagelock"),
        command(place, way, "image", "packages", path, "--json"),
        command(place, way, "image", "config", path),
        command(place, way, "image", "config", path, "--json"),
        command(place, way, "image", "build", path, "a:1", "--output", "type=squashfs,dest=a.squashfs", "-v"),
    ]
    for run in runs:
        assert run.returncode == 0, run.stderr.decode()
        assert not leaks(run.stdout) and not leaks(run.stderr), run.args
    assert place.server.served
    written = [place.directory / name for name in ("out", "a.tar", "a.lock.json", "locked", "a.squashfs", "seen", "cache")]
    assert leaking_files(*written) == []


def test_a_leak_would_be_found(tmp_path: Path) -> None:
    """The search itself: in plain text, in a URL, in Base64, inside gzip."""
    for number, form in enumerate(_FORMS):
        compressor = zlib.compressobj(wbits=31)
        (tmp_path / f"plain{number}").write_bytes(b"x" + form + b"y")
        (tmp_path / f"inside{number}").write_bytes(b"head" + compressor.compress(b"x" * 100 + form) + compressor.flush())
    assert len(leaking_files(tmp_path)) == 2 * len(_FORMS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("fault", ["unknown-package", "no-index", "wrong-key", "damaged-package", "offline"])
def test_errors_hold_no_secret(place: Place, way: str, fault: str, as_json: bool) -> None:
    path = definition(place, way, "nothing-like-it" if fault == "unknown-package" else "app")
    files = dict(place.server.files)
    if fault == "no-index":
        files.pop("/repo/x86_64/APKINDEX.tar.gz")
    if fault == "wrong-key":
        (place.directory / "sample.rsa.pub").write_bytes(sample_signer("other.rsa.pub").public_key())
    if fault == "damaged-package":
        name = next(name for name in files if "app" in name)
        files[name] = files[name][:-20] + bytes(20)
    place.server.files = files
    words = ("--offline",) if fault == "offline" else ()
    run = command(place, way, "image", "build", path, "a:1", "out", "-v", *words, *(("--json",) if as_json else ()))
    assert run.returncode not in (0, 70), run.stderr.decode()
    assert not leaks(run.stdout) and not leaks(run.stderr), run.stderr.decode()
    assert not (place.directory / "out").exists()
    if as_json:
        json.loads(run.stderr[run.stderr.index(b"{") :])


def test_without_a_password_the_answer_says_what_to_do(place: Place) -> None:
    run = command(place, "none", "image", "build", definition(place, "none"), "a:1", "out")
    assert run.returncode not in (0, 70)
    assert b"401" in run.stderr
    assert place.server.refused
