"""`key install` and `apko install-keys`, with what was discovered before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.image_session import Session
from tests.web_keys import jwk, key_set

from apkiln.acquire.access import Access
from apkiln.acquire.key_discovery import discover_keys
from apkiln.acquire.repositories import parse_repositories
from apkiln.cli.apko_words import translated
from apkiln.formats.apk.keys import parse_public_key
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.signer import generate_key_pair

OS, KEYS = "https://packages.example/os", "https://issuer.example/keys"
PEM = generate_key_pair("os.rsa.pub", bits=2048).signer.public_key()
FINGERPRINT = str(parse_public_key("os.rsa.pub", PEM).fingerprint)


@pytest.fixture
def session(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    session = Session(tmp_path, capsys)
    offer = {f"{OS}/apk-configuration": json.dumps({"jwks_uri": KEYS}).encode(), KEYS: key_set(jwk(PEM, "os"))}
    access = Access(DirectoryStore(tmp_path / "cache"), memory_transfer(MemoryServer(offer)), MemoryFiles())
    discover_keys(parse_repositories([OS]), ("x86_64",), access)
    (tmp_path / "root/etc/apk").mkdir(parents=True)
    (tmp_path / "root/etc/apk/repositories").write_text(f"{OS}\n/srv/local\n")
    return session


def test_keys_are_written_and_then_present(session: Session) -> None:
    path = session.place / "root/etc/apk/keys/os.rsa.pub"
    words = ("--root", "root", "--offline")
    assert session.run("apko", "install-keys", *words) == f"written  {path}  {FINGERPRINT}  {OS}\n"
    assert path.read_bytes() == PEM
    before = path.stat()
    assert session.run("key", "install", *words, "--pin", FINGERPRINT) == f"present  {path}  {FINGERPRINT}  {OS}\n"
    assert path.stat() == before
    assert json.loads(session.run("key", "install", *words, "--json")) == [
        {"path": str(path), "fingerprint": FINGERPRINT, "url": f"{OS}/os.rsa.pub", "repository": OS, "written": False}
    ]


def test_what_is_refused(session: Session) -> None:
    keys = session.place / "root/etc/apk/keys"
    words = ("key", "install", "--root", "root", "--offline")
    assert session.run_json_error(*words, "--pin", f"sha256:{'0' * 64}", code=4) == "pin-not-offered"
    assert session.run_json_error(*words, "--pin", "abc", code=3) == "bad-digest"
    assert session.run_json_error(*words, "--pin", f"sha1:{'0' * 40}", code=2) == "bad-digest"
    assert not keys.exists()
    keys.mkdir()
    (keys / "os.rsa.pub").write_bytes(b"mine")
    assert session.run_json_error(*words, code=7) == "key-differs"
    assert (keys / "os.rsa.pub").read_bytes() == b"mine"
    (session.place / "root/etc/apk/repositories").write_text("http://packages.example/os\n")
    assert session.run_json_error(*words, code=2) == "discovery-not-https"
    (session.place / "root/etc/apk/repositories").write_text("https://packages.example/never-seen\n")
    assert session.run_json_error(*words, code=8) == "offline"


def test_a_link_out_of_the_root_is_not_followed(session: Session) -> None:
    (session.place / "outside").mkdir()
    (session.place / "root/etc/apk/keys").symlink_to(session.place / "outside")
    assert session.run_json_error("key", "install", "--root", "root", "--offline", code=7) == "outside-root"
    assert list((session.place / "outside").iterdir()) == []


def test_words_of_apko() -> None:
    assert translated(["install-keys"]) == ["key", "install"]
