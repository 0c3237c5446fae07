"""The files of examples/service: they parse, name what exists, and a repository works behind a real nginx with them."""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import socket
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.integration.clients import client
from tests.integration.test_repository_service import LIB, SECRETS, Server, free_port, wait
from tests.sample_packages import sample_package
from tests.service_workshop import hex_of

from apkiln.cli.commands import COMMANDS
from apkiln.web.configuration import parse_configuration

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/service"
UNITS = sorted(EXAMPLES.glob("*.service")) + sorted(EXAMPLES.glob("*.timer"))


def test_the_configuration_is_one() -> None:
    found = parse_configuration(tomllib.loads((EXAMPLES / "service.toml").read_text()), "service.toml")
    assert [item.name for item in found.repository] == ["os"]
    assert found.token[1].subject and found.token[1].quota.files


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units(path: Path) -> None:
    parsed = unit(path)
    assert parsed["Unit"]["Description"]
    if path.suffix == ".timer":
        assert (EXAMPLES / f"{path.stem}.service").exists()
        return
    service = parsed["Service"]
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    command = re.search(r"/apkiln ([a-z]+) ([a-z]+)", service["ExecStart"])
    if command:
        assert command.groups() in {(noun, verb) for noun, verb, *_ in COMMANDS}
    else:
        assert "apkiln.system.signer_process" in service["ExecStart"]
    for name in parsed["Unit"].get("Wants", "").split():
        assert name == "network-online.target" or (EXAMPLES / name).exists()


def test_units_please_systemd(tmp_path: Path) -> None:
    analyze = client("systemd-analyze")
    for path in UNITS:  # programs and users of the example need not exist here
        text = re.sub(r"/opt/apkiln/bin/\w+", "/bin/true", path.read_text()).replace("User=apkiln-signer\n", "")
        (tmp_path / path.name).write_text(text.replace("User=apkiln\n", ""))
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=False
    )
    assert "apkiln" not in done.stderr, done.stderr


def test_the_compose_file_mounts_what_is_there() -> None:
    compose: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    made_by_users = {"./keys"}
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert source in made_by_users or (EXAMPLES / source).exists(), source
            else:
                assert source in compose["volumes"]
        for other in service.get("depends_on", []):
            assert other in compose["services"]
    build = compose["services"]["signer"]["build"]
    assert (EXAMPLES / build["context"] / build["dockerfile"]).exists()
    assert compose["services"]["web"]["network_mode"] == "service:repository"


class Nginx:
    """The example's site on another port, with its cache in a directory of ours."""

    def __init__(self, home: Path, behind: int) -> None:
        self.port = free_port()
        (home / "cache").mkdir(parents=True)
        site = (EXAMPLES / "nginx.conf").read_text()
        site = site.replace("listen 80;", f"listen 127.0.0.1:{self.port};").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
        site = site.replace("/var/cache/nginx/apkiln", str(home / "cache/apkiln"))
        temporary = "".join(f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.configuration = home / "nginx.conf"
        self.configuration.write_text(
            f"daemon off; pid {home}/pid; error_log {home}/error.log; events {{}} user root;"
            f"http {{ access_log {home}/access.log; {temporary} {site} }}"
        )
        self.program = [client("nginx"), "-p", str(home), "-e", f"{home}/error.log", "-c", str(self.configuration)]

    def test(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.program, "-t"], capture_output=True, text=True, check=False)


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A running service, and the address of nginx in front of it, through which it reads back."""
    client("nginx")
    (tmp_path / "service").mkdir()
    server = Server(tmp_path / "service")
    try:
        nginx = Nginx(tmp_path / "nginx", server.port)
        process = subprocess.Popen(nginx.program)
        url = f"http://127.0.0.1:{nginx.port}"
        try:
            wait(lambda: httpx.get(f"{url}/healthz", trust_env=False).status_code == 200)
            server.main.terminate()
            server.main.wait(60)
            text = server.home / "service.toml"
            text.write_text(f'public_url = "{url}"\n' + text.read_text())
            server.start()
            yield server, url
        finally:
            process.terminate()
            process.wait(30)
    finally:
        server.stop()


def test_nginx_takes_the_site(tmp_path: Path) -> None:
    client("nginx")
    checked = Nginx(tmp_path / "nginx", 1).test()
    assert checked.returncode == 0, checked.stderr


class Together(BaseHTTPRequestHandler):
    """Answers nobody before two have asked."""

    protocol_version = "HTTP/1.1"
    barrier = threading.Barrier(2, timeout=4)

    def do_GET(self) -> None:
        try:
            self.barrier.wait()
            status = 200
        except threading.BrokenBarrierError:
            status = 504
        self.send_response(status)
        self.send_header("Cache-Control", "no-cache, no-transform")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_readers_of_one_document_do_not_queue(tmp_path: Path) -> None:
    """A cache that locks what it may not keep lets one reader through at a time, half a second each."""
    client("nginx")
    stub = ThreadingHTTPServer(("127.0.0.1", 0), Together)
    threading.Thread(target=stub.serve_forever, daemon=True).start()
    nginx = Nginx(tmp_path / "nginx", stub.server_address[1])
    process = subprocess.Popen(nginx.program)
    url = f"http://127.0.0.1:{nginx.port}"

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", nginx.port)) == 0

    try:
        wait(listening)
        for path in ("/os/current", "/os/generation.json", "/os/-/packages/zlib", "/os/withdrawn.json"):
            with ThreadPoolExecutor(2) as pool:
                statuses = list(pool.map(lambda _, path=path: get(url, path).status_code, range(2)))
            assert statuses == [200, 200], path
    finally:
        process.terminate()
        process.wait(30)
        stub.shutdown()
        stub.server_close()


def get(url: str, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, url + path, headers=headers, trust_env=False, timeout=60)


def test_a_repository_behind_nginx(fronted: tuple[Server, str]) -> None:
    server, url = fronted
    server.url = url
    assert server.publish(LIB).status_code == 200
    index = "/os/musl/x86_64/APKINDEX.tar.gz"
    first = get(url, index)
    assert (first.status_code, first.headers["x-repository-generation"]) == (200, "2")
    assert "content-encoding" not in first.headers
    head = get(url, index, "HEAD")
    for name in ("etag", "content-length", "last-modified", "cache-control", "content-type"):
        assert head.headers[name] == first.headers[name]
    assert get(url, index, **{"If-None-Match": first.headers["etag"]}).status_code == 304
    package = "/os/musl/x86_64/lib++-1.0-r0.apk"
    for _ in range(2):  # from the service, and from the cache
        whole = get(url, package)
        assert hashlib.sha256(whole.content).hexdigest() == whole.headers["etag"].strip('"').removeprefix("sha256:")
        assert get(url, package.replace("+", "%2B")).content == whole.content
        part = get(url, package, Range="bytes=10-19")
        assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert get(url, "/os/musl@1/x86_64/APKINDEX.tar.gz").status_code == 200
    assert get(url, "/os/musl@1/generation.json").json()["generation"] == 1
    assert get(url, "/metrics").status_code == 200


def test_uploads_stream_through_nginx(fronted: tuple[Server, str]) -> None:
    server, url = fronted
    server.url = url
    big = sample_package("big", files={"usr/big": bytes(range(256)) * 40_000})
    opened = server.open(big).json()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(big.data), 65_536):
            yield big.data[start : start + 65_536]

    put = server.api("PUT", f"/blobs/{hex_of(big)}", content=pieces())
    assert put.status_code == 201, put.text
    assert server.api("POST", f"/tx/{opened['tx']}/commit").json()["state"] == "live"
    assert get(url, "/os/musl/x86_64/big-1.0-r0.apk").content.endswith(big.data[-1000:])


def test_a_withdrawal_reaches_clients_behind_the_cache(fronted: tuple[Server, str]) -> None:
    """The index is asked for again after a minute at most; the generation document and the pointer at once."""
    server, url = fronted
    server.url = url
    server.publish(LIB)
    assert get(url, "/os/musl/current").json()["generation"] == 2
    body = {"builds": [{"origin": "lib++", "version": "1.0-r0"}], "reason": "broken"}
    assert server.api("POST", "/withdraw", json=body).json()["state"] == "live"
    assert get(url, "/os/musl/current").json()["generation"] == 3
    assert get(url, "/os/musl/generation.json").json()["generation"] == 3
    assert get(url, "/os/musl@3/x86_64/APKINDEX.tar.gz").status_code == 200


def test_private_answers_stay_out_of_shared_caches(fronted: tuple[Server, str]) -> None:
    server, url = fronted
    path = "/closed/x86_64/APKINDEX.tar.gz"
    reader = {"Authorization": f"Bearer {SECRETS['reader']}"}
    answer = get(url, path, **reader)
    assert (answer.status_code, answer.headers["cache-control"].split(",")[0]) == (200, "private")
    assert get(url, path).status_code == 401, "what the reader got is not given to others"
    assert get(url, path, **reader).status_code == 200
    cached = [file for file in (server.home.parent / "nginx/cache").rglob("*") if file.is_file()]
    assert not any(b"/closed/" in file.read_bytes()[:2000] for file in cached)


def test_the_container_file_installs_the_extra() -> None:
    text = (EXAMPLES / "Containerfile").read_text()
    assert "[service]" in text and "USER apkiln" in text


def test_the_user_of_the_container_owns_what_it_writes_to() -> None:
    """A named volume takes the owner of the directory in the image; where there is none, it is root's."""
    text = (EXAMPLES / "Containerfile").read_text().partition("USER apkiln")[0]
    owned = set(re.findall(r"-o apkiln (/\S+)", text)) | set(re.findall(r"--home-dir (/\S+) --create-home", text))
    compose: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    for name in ("signer", "repository"):
        for volume in compose["services"][name]["volumes"]:
            source, target = volume.split(":")[:2]
            assert source.startswith(".") or target in owned, f"{name} cannot write to {target}"


def test_podman_compose_takes_the_file() -> None:
    """It says what it would do; even so it would make volumes, so `true` stands for podman."""
    command = [client("podman-compose"), "--podman-path", client("true"), "--dry-run", "-f", str(EXAMPLES / "compose.yaml")]
    command += ["up", "--no-start"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=EXAMPLES, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    for name in ("signer", "repository", "web"):
        assert f"create --name=service_{name}_1" in said, said
