"""The repository service as a process: the command line starts it, HTTP clients publish, apk and our own client fetch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.clients import call, client
from tests.sample_packages import SamplePackage, sample_package
from tests.service_workshop import declared, hex_of

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import load_indexes
from apkiln.acquire.keyring import load_keyring
from apkiln.acquire.packages import SelectedPackage, acquire_packages
from apkiln.acquire.repositories import parse_repositories
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.files import DiskFiles
from apkiln.system.network import open_transfer
from apkiln.system.signer import generate_key_pair, write_key_pair

LIB = sample_package("lib++", "1.0-r0", provides=["so:lib.so.1=1"])
APP = sample_package("app", depends=["so:lib.so.1"], files={"usr/bin/app": b"#!/bin/sh\n"})
SECRETS = {"ci": "secret-ci", "carol": "secret-carol", "reader": "secret-reader", "team": "secret-team"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(port: int, signer: bool, database: str) -> str:
    key = 'signer = "signer.sock"' if signer else ""
    tokens = [
        ("ci", ["publish", "withdraw", "restore", "read"], ""),
        ("carol", ["approve", "admin", "read"], ""),
        ("reader", ["read"], ""),
        ("team", ["publish"], 'prefixes = ["team-"]'),
    ]
    text = f'listen = "127.0.0.1:{port}"\ndatabase = "{database}"\n{key}\n'
    for name, private in (("os/musl", "false"), ("closed", "true")):
        text += f'[[repository]]\nname = "{name}"\narches = ["x86_64"]\nkeys = ["keys/os.rsa"]\nprivate = {private}\n'
    for name, verbs, more in tokens:
        digest = hashlib.sha256(SECRETS[name].encode()).hexdigest()
        text += f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\nverbs = {json.dumps(verbs)}\n{more}\n'
    return text


class Server:
    """A running service."""

    def __init__(self, home: Path, *, signer: bool = False, database: str = "sqlite:///ledger.db") -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[str]] = []
        (home / "keys").mkdir(mode=0o700, exist_ok=True)
        if not (home / "keys/os.rsa").exists():
            write_key_pair(generate_key_pair("os.rsa.pub", 2048), home / "keys/os.rsa", home / "keys/os.rsa.pub", DiskFiles())
        (home / "service.toml").write_text(configuration(self.port, signer, database))
        if signer:
            command = ["-m", "apkiln.system.signer_process", "--socket", str(home / "signer.sock"), str(home / "keys/os.rsa")]
            self._start(*command)
            wait(lambda: (home / "signer.sock").exists())
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        self.main = self._start("-m", "apkiln.cli.main", "repo", "serve", "--config", str(self.home / "service.toml"))
        wait(lambda: self.get("/readyz").status_code == 200)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        with (self.home / "log").open("a") as log:
            process = subprocess.Popen([sys.executable, *arguments], stderr=log, text=True, cwd=self.home)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=60)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, headers=headers)

    def request(self, method: str, path: str, **fields: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=60, trust_env=False, **fields)

    def api(self, method: str, path: str, who: str = "ci", repository: str = "os/musl", **fields: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {SECRETS[who]}", **fields.pop("headers", {})}
        return self.request(method, f"/{repository}/api/v1{path}", headers=headers, **fields)

    def publish(self, *packages: SamplePackage, key: str = "", repository: str = "os/musl") -> httpx.Response:
        opened = self.open(*packages, key=key, repository=repository).json()
        for package in packages:
            if hex_of(package) in opened["missing"]:
                put = self.api("PUT", f"/blobs/{hex_of(package)}", repository=repository, content=package.data)
                assert put.status_code == 201, put.text
        return self.api("POST", f"/tx/{opened['tx']}/commit", repository=repository)

    def open(self, *packages: SamplePackage, key: str = "", who: str = "ci", repository: str = "os/musl") -> httpx.Response:
        files = [{name: getattr(declared(item), name) for name in declared(item).__struct_fields__} for item in packages]
        headers = {"Idempotency-Key": key} if key else {}
        body = {"manifest": {"files": files}, "reason": "test"}
        return self.api("POST", "/tx", who, repository, json=body, headers=headers)


def wait(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.stop()


def test_publish_over_http_and_fetch(server: Server) -> None:
    done = server.publish(APP, LIB, key="one")
    assert done.status_code == 200, done.text
    receipt = done.json()["receipt"]
    assert (receipt["generation"], len(receipt["entries"])) == (2, 2)
    assert server.publish(APP, LIB, key="one").json()["receipt"] == receipt
    path = "/os/musl/x86_64/APKINDEX.tar.gz"
    index = server.get(path)
    assert hashlib.sha256(index.content).hexdigest() == receipt["index"]["x86_64"]["sha256"]
    assert index.headers["x-repository-generation"] == "2"
    head = server.request("HEAD", path)
    for name in ("etag", "content-length", "last-modified", "cache-control", "content-type", "accept-ranges"):
        assert head.headers[name] == index.headers[name]
    assert head.content == b""
    assert server.get(path, **{"If-None-Match": index.headers["etag"]}).status_code == 304
    assert server.get(path, **{"If-Modified-Since": index.headers["last-modified"]}).status_code == 304
    assert "content-encoding" not in index.headers
    assert server.get("/os/musl@1/x86_64/APKINDEX.tar.gz").status_code == 200
    assert server.request("POST", path).status_code == 405


def test_packages_by_every_spelling_and_by_ranges(server: Server) -> None:
    assert server.publish(LIB).status_code == 200
    whole = server.get("/os/musl/x86_64/lib++-1.0-r0.apk")
    assert whole.status_code == 200
    for spelling in ("lib%2B%2B-1.0-r0.apk", "lib%2b%2b-1%2E0-r0.apk", "l%69b++-1.0-r0.apk"):
        assert server.get(f"/os/musl/x86_64/{spelling}").content == whole.content
    part = server.get("/os/musl/x86_64/lib++-1.0-r0.apk", Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert server.get("/os/musl/x86_64/lib++-1.0-r0.apk", Range="bytes=0-1,3-4").status_code == 200
    assert server.get("/os/musl/x86_64/lib++-1.0-r0.apk", Range="bytes=999999-").status_code == 416
    for path in ("x86_64/..%2fx86_64%2flib++-1.0-r0.apk", "x86_64/Lib++-1.0-r0.apk", "x86_64//lib++-1.0-r0.apk", "%00"):
        assert server.get(f"/os/musl/{path}").status_code == 404


def apkiln(server: Server, *words: str, token: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in the service's directory."""
    given = {**os.environ, "HOME": str(server.home), "APKILN_TOKEN": token, **environment}
    command = [sys.executable, "-m", "apkiln.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=server.home, env=given, check=False, timeout=120)


def test_packages_are_added_over_the_command_line(server: Server) -> None:
    for package in (LIB, APP):
        (server.home / f"{package.record.name_version}.apk").write_bytes(package.data)
    address = f"{server.url}/os/musl"
    nobody = apkiln(server, "repo", "add", address, "app-1.0-r0.apk")
    assert (nobody.returncode, "a token is needed" in nobody.stderr) == (2, True), nobody.stderr
    refused = apkiln(server, "repo", "add", address, "app-1.0-r0.apk", token=SECRETS["ci"])
    assert (refused.returncode, "closure" in refused.stdout) == (10, True), refused
    (server.home / "token").write_text(SECRETS["ci"] + "\n")
    words = ["repo", "add", address, "app-1.0-r0.apk", "lib++-1.0-r0.apk", "--json", "--reason", "build 9"]
    done = apkiln(server, *words, "--token-file", "token")
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)["receipt"]
    assert receipt["generation"] == 2
    assert {item["name"] for item in receipt["entries"]} == {"app", "lib++"}
    again = apkiln(server, *words, HTTP_AUTH=f"basic:127.0.0.1:ci:{SECRETS['ci']}")
    assert json.loads(again.stdout)["receipt"] == receipt
    away = apkiln(server, "repo", "add", "http://packages.example.com/os", "app-1.0-r0.apk", token="x")
    assert (away.returncode, "in the clear" in away.stderr) == (2, True), away.stderr
    assert "secret" not in done.stdout + done.stderr + refused.stderr + nobody.stderr


def test_clients_that_never_end_their_requests(server: Server) -> None:
    """They hold a socket each, and nothing that others wait for."""
    assert server.publish(LIB).status_code == 200
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(b"GET /os/musl/x86_64/APKINDEX.tar.gz HTTP/1.1\r\nHost: x\r\nX-Slow: "[: 10 + number % 70])
        assert server.get("/os/musl/x86_64/APKINDEX.tar.gz").status_code == 200
        assert server.publish(APP).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_refusals_have_codes(server: Server) -> None:
    assert server.request("POST", "/os/musl/api/v1/tx", json={}).status_code == 401
    assert server.open(APP, who="reader").status_code == 403
    assert server.open(APP, who="team").json()["error"]["code"] == "FORBIDDEN"
    unsatisfied = server.publish(APP)
    assert unsatisfied.status_code == 422
    assert [finding["code"] for finding in unsatisfied.json()["findings"]] == ["closure"]
    opened = server.open(LIB).json()
    early = server.api("POST", f"/tx/{opened['tx']}/commit")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "BLOB_MISSING")
    wrong = server.api("PUT", f"/blobs/{hex_of(LIB)}", content=b"x" * len(LIB.data))
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "DIGEST_MISMATCH")
    longer = server.api("PUT", f"/blobs/{hex_of(LIB)}", content=LIB.data + b"x")
    assert (longer.status_code, longer.json()["error"]["code"]) == (422, "SIZE_MISMATCH")
    assert server.api("PUT", f"/blobs/{'0' * 64}", content=b"x").json()["error"]["code"] == "NOT_DECLARED"
    assert server.api("GET", "/tx/99999").status_code == 404
    assert server.api("POST", "/tx", json={"manifest": {"files": "no"}}).status_code == 400
    assert server.api("POST", "/tx", json={"manifest": {"surprise": 1}}).status_code in (201, 400)
    refused = [row for row in rows(server) if row["body"]["action"] == "refused"]
    assert {row["actor"] for row in refused} == {"reader", "team"}


def rows(server: Server) -> list[dict[str, Any]]:
    import sqlite3

    database = sqlite3.connect(server.home / "ledger.db")
    found = [json.loads(row[0]) for row in database.execute("SELECT text FROM ledger ORDER BY repository, number")]
    database.close()
    return found


def test_uploads_go_on_where_they_broke_off(server: Server) -> None:
    opened = server.open(LIB).json()
    url, data = f"/blobs/{hex_of(LIB)}", LIB.data
    first = server.api("PUT", url, content=data[:100], headers={"Content-Range": f"bytes 0-99/{len(data)}"})
    assert (first.status_code, first.headers["range"]) == (202, "bytes=0-99")
    assert server.api("GET", url).json() == {"received": 100}
    gap = server.api("PUT", url, content=data[200:], headers={"Content-Range": f"bytes 200-{len(data) - 1}/{len(data)}"})
    assert (gap.status_code, gap.json()["error"]["hint"]) == (409, "100")
    short = server.api("PUT", url, content=data[100:150], headers={"Content-Range": f"bytes 100-{len(data) - 1}/{len(data)}"})
    assert short.status_code == 503
    assert server.api("GET", url).json() == {"received": 100}
    rest = server.api("PUT", url, content=data[100:], headers={"Content-Range": f"bytes 100-{len(data) - 1}/{len(data)}"})
    assert rest.status_code == 201
    assert server.api("POST", f"/tx/{opened['tx']}/commit").json()["state"] == "live"


def test_withdrawing_and_restoring_with_two_persons(server: Server) -> None:
    server.publish(LIB)
    body = {"builds": [{"origin": "lib++", "version": "1.0-r0"}], "reason": "broken"}
    assert server.api("POST", "/withdraw", json=body).json()["state"] == "live"
    gone = server.get("/os/musl/x86_64/lib++-1.0-r0.apk")
    assert (gone.status_code, "broken" in gone.text) == (410, True)
    assert server.get("/os/musl/withdrawn.json").json()["withdrawn"][0]["reason"] == "broken"
    waiting = server.api("POST", "/restore", json=body).json()
    assert waiting["state"] == "verified"
    assert server.api("POST", f"/approve/{waiting['tx']}", json={}).status_code == 403
    assert server.api("POST", f"/approve/{waiting['tx']}", "carol", json={"reason": "yes"}).json()["state"] == "live"
    assert server.get("/os/musl/x86_64/lib++-1.0-r0.apk").status_code == 200
    document = server.api("GET", "/packages/lib++").json()
    assert document["latest"] == {"x86_64": "1.0-r0"}
    assert server.api("GET", "/diff?from=0&to=4").json()["added"] == ["x86_64/lib++-1.0-r0"]


def test_a_private_repository_asks_who_reads(server: Server) -> None:
    path = "/closed/x86_64/APKINDEX.tar.gz"
    asked = server.get(path)
    assert (asked.status_code, asked.headers["www-authenticate"]) == (401, 'Basic realm="closed"')
    assert server.get(path, Authorization=f"Bearer {SECRETS['reader']}").status_code == 200
    assert httpx.get(server.url + path, auth=("any", SECRETS["reader"]), trust_env=False).status_code == 200
    assert server.get(path, Authorization=f"Bearer {SECRETS['team']}").status_code == 403


def test_our_client_and_freshness(server: Server, tmp_path: Path) -> None:
    server.publish(APP, LIB)
    files = DiskFiles()
    transfer = open_transfer({}, files, offline=False, jobs=2)
    access = Access(DirectoryStore(tmp_path / "cache"), transfer, files)
    (tmp_path / "os.rsa.pub").write_bytes(server.get("/os/musl/keys/os.rsa.pub").content)
    keyring = load_keyring([str(tmp_path / "os.rsa.pub")], access)
    index = load_indexes(parse_repositories([f"{server.url}/os/musl"]), "x86_64", keyring, access)[0]
    chosen = [SelectedPackage(record, index.repository) for record in index.records]
    assert len(acquire_packages(chosen, access)) == 2
    generation = server.get("/os/musl/generation.json").json()
    assert generation["arches"]["x86_64"]["sha256"] == index.digest.hex
    assert generation["expires"] > time.time()


def test_apk_updates_and_installs(server: Server, tmp_path: Path) -> None:
    apk = client("apk")
    server.publish(APP, LIB)
    root = tmp_path / "root"
    (root / "etc/apk/keys").mkdir(parents=True)
    (root / "etc/apk/keys/os.rsa.pub").write_bytes(server.get("/os/musl/keys/os.rsa.pub").content)
    options = [apk, "--root", str(root), "--arch", "x86_64", "--repository", f"{server.url}/os/musl", "--no-cache"]
    mode = ["--usermode"] if os.getuid() else []
    call([*options, "add", "--initdb", *mode, "app"])
    assert (root / "usr/bin/app").exists()


def _post_and_forget(url: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        httpx.post(url, headers={"Authorization": f"Bearer {SECRETS['ci']}"}, trust_env=False)


def test_a_kill_in_the_middle_and_a_signer_of_its_own(tmp_path: Path) -> None:
    server = Server(tmp_path, signer=True)
    try:
        opened = server.open(LIB, key="k").json()
        server.api("PUT", f"/blobs/{hex_of(LIB)}", content=LIB.data)
        path = f"/os/musl/api/v1/tx/{opened['tx']}/commit?wait=0"
        call_it = threading.Thread(target=_post_and_forget, args=(server.url + path,))
        call_it.start()
        os.kill(server.main.pid, signal.SIGKILL)
        server.main.wait()
        call_it.join()
        server.start()
        wait(lambda: server.publish(LIB, key="k").status_code == 200)
        assert server.get("/os/musl/x86_64/lib++-1.0-r0.apk").status_code == 200
        assert "RSA256" in (tmp_path / "log").read_text(), "the signer tells of every signature"
    finally:
        server.stop()


def test_a_server_without_its_signer_serves_and_publishes_later(tmp_path: Path) -> None:
    server = Server(tmp_path, signer=True)
    try:
        assert server.publish(LIB).status_code == 200
        for process in server.processes:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        server.start()
        assert server.get("/os/musl/x86_64/lib++-1.0-r0.apk").status_code == 200
        refused = server.publish(APP, key="later")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SIGNER_UNAVAILABLE")
        server._start(
            "-m", "apkiln.system.signer_process", "--socket", str(tmp_path / "signer.sock"), str(tmp_path / "keys/os.rsa")
        )
        wait(lambda: server.get("/os/musl/x86_64/app-1.0-r0.apk").status_code == 200)
        assert server.publish(APP, key="later").json()["state"] == "live"
    finally:
        server.stop()


def test_commands_beside_a_running_server(server: Server) -> None:
    server.publish(LIB)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", *arguments, "--repository", "os/musl"]
        return subprocess.run(command, capture_output=True, text=True, cwd=server.home, timeout=120, check=False)

    checked = run("check", "--deep", "--json")
    assert (checked.returncode, [item["kind"] for item in json.loads(checked.stdout)]) == (0, []), checked.stderr
    withdrawn = run("withdraw", "lib++-1.0-r0", "--reason", "bad")
    assert withdrawn.returncode == 0, withdrawn.stderr
    wait(lambda: server.get("/os/musl/x86_64/lib++-1.0-r0.apk").status_code == 410)
    assert run("withdraw", "lib++", "--reason", "bad").returncode == 2
    assert run("gc", "--plan", "--json").returncode == 0


def test_taking_over_a_directory_repository(server: Server, tmp_path: Path) -> None:
    def run(*arguments: str, cache: str = "cache") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", *arguments, "--cache-dir", cache]
        return subprocess.run(command, capture_output=True, text=True, cwd=server.home, timeout=120, check=False)

    for package in (APP, LIB):
        (server.home / package.file_name).write_bytes(package.data)
    assert run("init", "old", "--key-name", "old.rsa").returncode == 0
    assert run("add", "old", APP.file_name, LIB.file_name).returncode == 0
    take = ("mirror", "old", "-k", "old/old.rsa.pub", "--repository", "os/musl")
    taken = run(*take, "--json")
    assert (taken.returncode, json.loads(taken.stdout)["state"]) == (0, "live"), taken.stderr
    assert run(*take).returncode == 0, "again is nothing new"
    wait(lambda: server.get("/os/musl/x86_64/app-1.0-r0.apk").status_code == 200)
    (server.home / "old/x86_64" / LIB.file_name).write_bytes(LIB.data[:-1] + b"x")
    assert run("mirror", "old", "-k", "old/old.rsa.pub", "--repository", "closed", cache="new").returncode in (3, 4)
    assert run("mirror", "old", "--repository", "closed").returncode == 4, "an index without a trusted key"


def test_a_backup_becomes_a_service(server: Server, tmp_path: Path) -> None:
    def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=120, check=False)

    server.publish(LIB)
    backup = tmp_path / "backup"
    first = run(server.home, "backup", str(backup), "--json")
    assert first.returncode == 0, first.stderr
    assert {item["generation"] for item in json.loads(first.stdout)["repositories"]} == {1, 2}
    server.publish(APP)
    assert run(server.home, "backup", str(backup)).returncode == 0
    (backup / "service").mkdir()
    restored = Server.__new__(Server)
    restored.home, restored.port, restored.processes = backup / "service", free_port(), []
    restored.url = f"http://127.0.0.1:{restored.port}"
    shutil.copytree(server.home / "keys", restored.home / "keys")
    (restored.home / "service.toml").write_text(configuration(restored.port, False, "sqlite:///ledger.db"))
    done = run(restored.home, "backup", str(backup), "--restore")
    assert done.returncode == 0, done.stderr
    try:
        restored.start()
        index = "/os/musl/x86_64/APKINDEX.tar.gz"
        assert restored.get(index).content == server.get(index).content
        assert restored.publish(sample_package("more")).status_code == 200
    finally:
        restored.stop()
    served = server.get("/os/musl/x86_64/lib++-1.0-r0.apk").content
    digest = hashlib.sha256(served).hexdigest()
    (backup / "blobs/sha256" / digest[:2] / digest[2:]).write_bytes(b"x" * len(served))
    found = run(server.home, "backup", str(backup), "--json")
    assert found.returncode == 10, "a file of the backup that rotted is found by the next run"
    assert [item["kind"] for item in json.loads(found.stdout)["damage"]] == ["blob-corrupt", "unfetchable"]


def test_keys_from_the_command_line(server: Server) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", "keys", *arguments, "--repository", "os/musl"]
        return subprocess.run(command, capture_output=True, text=True, cwd=server.home, timeout=120, check=False)

    write_key_pair(generate_key_pair("new.rsa.pub", 2048), server.home / "keys/new.rsa", server.home / "new.rsa.pub", DiskFiles())
    assert run("--add", "new.rsa.pub").returncode == 2, "a change has a reason"
    added = run("--add", "new.rsa.pub", "--reason", "yearly", "--json")
    assert (added.returncode, json.loads(added.stdout)["state"]) == (0, "verified"), added.stderr
    approved = server.api("POST", f"/approve/{json.loads(added.stdout)['tx']}", "carol", json={"reason": "yes"})
    assert approved.json()["state"] == "live"
    listed = json.loads(run("--json").stdout)
    assert {item["name"]: item["state"] for item in listed} == {"new.rsa.pub": "staged", "os.rsa.pub": "active"}
    assert [item["file"] for item in server.get("/os/musl/keys/index.json").json()["keys"]] == ["new.rsa.pub", "os.rsa.pub"]
    assert run("--revoke", "os.rsa.pub", "--reason", "leaked").returncode == 7, "no key would be left"
    packaged = run("--package", "os-keyring", "--reason", "yearly", "--json")
    assert json.loads(packaged.stdout)["state"] == "live", packaged.stderr


def test_health_and_metrics(server: Server) -> None:
    assert server.get("/healthz").text == "ok\n"
    text = server.get("/metrics").text
    assert 'repo_generation{repo="os/musl"} 1' in text
    schema = server.get("/os/musl/api/v1/schema/openapi.json").json()
    assert "/tx/{number}/commit" in schema["paths"]
