"""Keys discovered by whole commands from a repository behind TLS."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.image_session import Session
from tests.integration.test_http_loopback import certificate
from tests.sample_packages import sample_signer
from tests.web_keys import jwk, key_set


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *values: object) -> None:
        """Nothing."""


@pytest.fixture
def session(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path)))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_AUTH", "NETRC", "https_proxy", "HTTPS_PROXY", "APKILN_REDIRECT_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    return Session(tmp_path, capsys)


@pytest.fixture
def repository(session: Session, socket_enabled: None) -> Iterator[str]:
    """The address of the session's repository, which offers its key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(session.place / "repo")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(session.place / "certificate.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"https://127.0.0.1:{server.server_port}"
    (session.place / "repo/apk-configuration").write_text(json.dumps({"jwks_uri": f"{address}/keys.json"}))
    (session.place / "repo/keys.json").write_bytes(key_set(jwk(sample_signer().public_key(), "sample")))
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def without_keyring(session: Session, repository: str) -> None:
    path = session.place / "image.yaml"
    text = path.read_text().replace("  keyring: [keys/sample.rsa.pub]\n", "").replace("[repo]", f'["{repository}"]')
    path.write_text(text)


def test_a_lock_with_discovered_keys_builds_without_the_offer(session: Session, repository: str) -> None:
    without_keyring(session, repository)
    assert session.run_json_error("image", "lock", "image.yaml", code=4) in {"signature-unknown-key", "several-faults"}
    session.run("image", "lock", "image.yaml", "--discover-keys")
    assert "trusting the key `sample.rsa.pub` (sha256:" in session.errors
    lock = json.loads((session.place / "image.lock.json").read_text())
    assert [key["discovered"] for key in lock["contents"]["keyring"]] == [True]
    assert lock["flags"] == ["--discover-keys"]
    for name in ("apk-configuration", "keys.json"):
        (session.place / "repo" / name).unlink()
    session.run("image", "build", "image.yaml", "app:1", "out", "--vcs=false", "--locked", "--discover-keys")
    direct = session.run("image", "build", "image.yaml", "app:1", "two", "--vcs=false", "--locked")
    assert direct and session.run("image", "diff", "out", "two", "--exit-code") == ""
    assert session.run_json_error("image", "lock", "image.yaml", code=4) in {"signature-unknown-key", "several-faults"}


def test_keys_are_installed_into_a_root(session: Session, repository: str) -> None:
    (session.place / "root/etc/apk").mkdir(parents=True)
    (session.place / "root/etc/apk/repositories").write_text(f"{repository}\n")
    session.run("apko", "install-keys", "--root", "root")
    path = session.place / "root/etc/apk/keys/sample.rsa.pub"
    assert path.read_bytes() == sample_signer().public_key()
    assert [entry.name for entry in path.parent.iterdir()] == ["sample.rsa.pub"]


def test_apko_finds_the_same_keys_and_takes_our_lock(session: Session, repository: str) -> None:
    apko = shutil.which("apko")
    if apko is None:
        pytest.skip("apko is not on PATH")

    def peer(*words: str) -> None:
        done = subprocess.run([apko, *words], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    without_keyring(session, repository)
    session.run("image", "lock", "image.yaml", "--discover-keys", "--arch", "x86_64", "--output", "ours.json")
    peer("lock", "image.yaml", "--arch", "x86_64", "--output", "theirs.json", "--cache-dir", str(session.place / "apko"))
    ours, theirs = (
        json.loads((session.place / name).read_text())["contents"]["keyring"] for name in ("ours.json", "theirs.json")
    )
    assert ours == [{**key, "discovered": True} for key in theirs]
    build = ("--arch", "x86_64", "--lockfile", "ours.json", "--sbom=false", "--cache-dir", str(session.place / "apko"))
    peer("build", "image.yaml", "example.com/app:1", "app.tar", *build)
