"""A signer in a process of its own, reached through a Unix socket (spec repository.md §3.2, §8).

Whoever asks sends digests and never sees the key; the process signs for one purpose list and one user only.  One request
is one line of JSON: `{"verb": "keys"}` or `{"verb": "sign", "key", "algorithm", "digest"}`; so is the answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError
from apkiln.core.origin import Origin
from apkiln.system.signer import RsaSigner

_LINE = 64 * 1024
_SECONDS = 30.0
_HASHES = {"RSA256": "sha256", "RSA512": "sha512"}
"""SHA-1 is not signed: nothing that this process serves needs it."""


class SocketSigner:
    """See `Signer`: one key of a signer process."""

    def __init__(self, path: PurePath, name: str, public_key: bytes) -> None:
        self._path = path
        self._name = name
        self._public_key = public_key

    @property
    def name(self) -> str:
        return self._name

    def public_key(self) -> bytes:
        return self._public_key

    def sign(self, data: bytes, algorithm: str) -> bytes:
        digest = hashlib.new(_HASHES[algorithm], data).hexdigest()
        answer = _ask(self._path, {"verb": "sign", "key": self._name, "algorithm": algorithm, "digest": digest})
        return b64decode(answer["signature"])


def connect(path: PurePath) -> tuple[SocketSigner, ...]:
    """The keys of the process at a socket, by name.  UnavailableError `signer-unavailable`."""
    answer = _ask(path, {"verb": "keys"})
    return tuple(SocketSigner(path, name, pem.encode()) for name, pem in sorted(answer["keys"].items()))


def _ask(path: PurePath, question: Mapping[str, str]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(path))
            connection.sendall(json.dumps(question).encode() + b"\n")
            line = _read_line(connection)
        answer = json.loads(line)
    except (OSError, ValueError) as error:
        raise _unavailable(path, str(error)) from error
    if not isinstance(answer, dict) or "error" in answer:
        raise _unavailable(path, str(answer.get("error") if isinstance(answer, dict) else "an answer of another shape"))
    return answer


def _unavailable(path: PurePath, why: str) -> ApkilnError:
    return UnavailableError(
        f"the signer does not sign: {why}",
        reason="signer-unavailable",
        origin=Origin(source=str(path)),
        hint="start it with `python -m apkiln.system.signer_process`",
        retriable=True,
    )


def _read_line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        chunk = connection.recv(4096)
        if not chunk or len(data) > _LINE:
            raise ValueError("the connection ended early")
        data += chunk
    return data


class SignerServer:
    """The other side: holds keys, answers on a socket that only `user` may speak to: the kernel says who it is.

    `record` is told of every signature before it is given.
    """

    def __init__(self, path: Path, keys: Mapping[str, RsaSigner], user: int, record: Callable[[str], object]) -> None:
        self._path = path
        self._keys = dict(keys)
        self._user = user
        self._record = record
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin to listen.  EnvironmentFault `signer-socket` when the path cannot be used or another one answers there."""
        with suppress(UnavailableError):
            connect(self._path)
            raise EnvironmentFault(f"a signer answers at `{self._path}` already", reason="signer-socket")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            before = os.umask(0o177 if self._user == os.getuid() else 0o111)
            try:
                listening.bind(str(self._path))
            finally:
                os.umask(before)
            listening.listen(64)
        except OSError as error:
            listening.close()
            message = f"cannot listen at `{self._path}`: {error.strerror}"
            raise EnvironmentFault(message, reason="signer-socket", origin=Origin(source=str(self._path))) from error
        self._socket = listening

    def serve(self) -> None:
        """Answer until `close`; call after `open`."""
        assert self._socket is not None, "open first"
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._path.unlink(missing_ok=True)

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(_SECONDS)
            if _peer(connection) not in (self._user, 0):
                answer: dict[str, Any] = {"error": "not for this user"}
            else:
                try:
                    answer = self._reply(json.loads(_read_line(connection)))
                except (ValueError, KeyError, TypeError) as error:
                    answer = {"error": f"bad request: {error}"}
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _reply(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["verb"] == "keys":
            return {"keys": {name: signer.public_key().decode() for name, signer in self._keys.items()}}
        if question["verb"] != "sign":
            return {"error": "unknown verb"}
        signer, algorithm = self._keys.get(question["key"]), question["algorithm"]
        digest = bytes.fromhex(question["digest"])
        if signer is None or algorithm not in _HASHES or len(digest) != hashlib.new(_HASHES[algorithm]).digest_size:
            return {"error": "not a digest of a known algorithm for a known key"}
        self._record(f"{signer.name} {algorithm} {digest.hex()}")
        return {"signature": b64encode(signer.sign_digest(digest, algorithm)).decode()}


def _peer(connection: socket.socket) -> int:
    """User id of the process at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user
