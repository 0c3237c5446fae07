"""The signer behind a socket signs as the key itself does, digests only, and for nobody else."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sample_packages import keyring_of, sample_signer

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.signature import verify
from apkiln.system.signer_socket import SignerServer, SocketSigner, connect

KEY = sample_signer("socket.rsa.pub")


@pytest.fixture
def record() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path, record: list[str]) -> Iterator[Path]:
    yield from _serving(tmp_path / "s", os.getuid(), record)


def _serving(path: Path, user: int, record: list[str]) -> Iterator[Path]:
    server = SignerServer(path, {KEY.name: KEY}, user, record.append)
    server.open()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield path
    server.close()
    thread.join(timeout=10)


def ask(path: Path, line: bytes) -> Any:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(line + b"\n")
        return json.loads(connection.makefile().readline())


def test_same_signatures_and_each_is_recorded(path: Path, record: list[str]) -> None:
    (signer,) = connect(path)
    assert (signer.name, signer.public_key()) == (KEY.name, KEY.public_key())
    for algorithm in ("RSA256", "RSA512"):
        signature = signer.sign(b"data", algorithm)
        assert signature == KEY.sign(b"data", algorithm)
        assert verify([(algorithm, KEY.name, signature)], b"data", keyring_of(KEY)) == KEY.name
    assert [line.split()[:2] for line in record] == [[KEY.name, "RSA256"], [KEY.name, "RSA512"]]


def test_only_its_owner_may_open_the_socket(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"not json",
        b"[]",
        b'{"verb": "export"}',
        b'{"verb": "sign"}',
        json.dumps({"verb": "sign", "key": "other", "algorithm": "RSA256", "digest": "00" * 32}).encode(),
        json.dumps({"verb": "sign", "key": KEY.name, "algorithm": "RSA", "digest": "00" * 20}).encode(),
        json.dumps({"verb": "sign", "key": KEY.name, "algorithm": "RSA256", "digest": "00" * 31}).encode(),
        json.dumps({"verb": "sign", "key": KEY.name, "algorithm": "RSA256", "digest": "no hex"}).encode(),
    ],
)
def test_anything_but_a_digest_is_refused(path: Path, record: list[str], question: bytes) -> None:
    assert "error" in ask(path, question)
    assert record == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may always ask")
def test_other_users_are_refused(tmp_path: Path) -> None:
    for path in _serving(tmp_path / "o", os.getuid() + 1, []):
        assert ask(path, b'{"verb": "keys"}') == {"error": "not for this user"}


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ApkilnError) as caught:
        connect(tmp_path / "none")
    assert (caught.value.reason, caught.value.retriable) == ("signer-unavailable", True)
    with pytest.raises(ApkilnError):
        SocketSigner(tmp_path / "none", "k.rsa.pub", b"").sign(b"x", "RSA256")


def test_two_on_one_socket(path: Path) -> None:
    with pytest.raises(ApkilnError) as caught:
        SignerServer(path, {}, os.getuid(), print).open()
    assert caught.value.reason == "signer-socket"
    assert connect(path), "the first one still answers"
