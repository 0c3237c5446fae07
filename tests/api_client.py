"""The application in this process, asked over ASGI without a socket, with bodies as they come from hostile networks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from tests.sample_packages import SamplePackage
from tests.service_workshop import declared, hex_of

from apkiln.repository.service import RepositoryService
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.partial_uploads import PartialUploads
from apkiln.web.application import Application, Hosted
from apkiln.web.tokens import Token
from apkiln.web.uploading import DEFAULT_PACE, Pace


class Reply(NamedTuple):
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json()["error"]["code"])


class Body(NamedTuple):
    """A request body in pieces."""

    pieces: tuple[bytes, ...] = ()
    silence: float = 0.0
    """Seconds before each piece but the first."""
    breaks_off: bool = False
    """The client goes away instead of ending it."""
    hangs: bool = False
    """Nothing comes after the last piece, and the connection stays."""


def token(name: str, *verbs: str, **fields: Any) -> Token:
    """Whose secret is its name."""
    return Token(name, hashlib.sha256(name.encode()).hexdigest(), verbs, **fields)  # type: ignore[arg-type]


TOKENS = (token("ci", "publish", "withdraw", "restore"), token("carol", "approve", "key"), token("reader", "read"))


class Client:
    """Speaks for one token at a time."""

    def __init__(
        self,
        service: RepositoryService,
        tokens: Sequence[Token] = TOKENS,
        pace: Pace = DEFAULT_PACE,
        now: float | None = None,
        private: bool = False,
    ) -> None:
        self.service = service
        self.files = MemoryFiles()
        uploads = PartialUploads(PurePosixPath("/uploads"), self.files)
        clock = service.equipment.clock
        self.application = Application(
            {service.name: Hosted(service, private)}, tokens, uploads, (lambda: now) if now is not None else clock.now, pace=pace
        )

    def ask(self, method: str, path: str, body: Body | bytes = b"", who: str = "ci", **headers: str) -> Reply:
        """A request to the interface of `os`, or to a path that begins with `/`."""
        address = path if path.startswith("/") else f"/os/api/v1/{path}"
        return asyncio.run(self._ask(method, address, body if isinstance(body, Body) else Body((body,)), who, headers))

    async def _ask(self, method: str, address: str, body: Body, who: str, headers: Mapping[str, str]) -> Reply:
        path, _, query = address.partition("?")
        given = {"authorization": f"Bearer {who}"} if who else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        messages = _messages(body)
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return await anext(messages)

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(sent[0]["status"], {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}, content)

    def json(self, method: str, path: str, value: Any = None, who: str = "ci", **headers: str) -> Reply:
        data = b"" if value is None else json.dumps(value).encode()
        return self.ask(method, path, data, who, content_type="application/json", **headers)

    def open(
        self, *packages: SamplePackage, who: str = "ci", files: Iterable[Mapping[str, Any]] | None = None, key: str = ""
    ) -> Reply:
        given = files if files is not None else [_plain(item) for item in packages]
        headers = {"idempotency_key": key} if key else {}
        return self.json("POST", "tx", {"manifest": {"files": list(given)}, "reason": "test"}, who, **headers)

    def publish(self, *packages: SamplePackage, who: str = "ci") -> Reply:
        opened = self.open(*packages, who=who)
        if opened.status != 201:
            return opened
        for package in packages:
            if hex_of(package) in opened.json()["missing"]:
                put = self.ask("PUT", f"blobs/{hex_of(package)}", package.data, who)
                if put.status != 201:
                    return put
        return self.json("POST", f"tx/{opened.json()['tx']}/commit", who=who)


def _plain(package: SamplePackage) -> dict[str, Any]:
    return {name: getattr(declared(package), name) for name in declared(package).__struct_fields__}


async def _messages(body: Body) -> AsyncIterator[MutableMapping[str, Any]]:
    for number, piece in enumerate(body.pieces):
        if number and body.silence:
            await asyncio.sleep(body.silence)
        more = number + 1 < len(body.pieces) or body.breaks_off or body.hangs
        yield {"type": "http.request", "body": piece, "more_body": more}
    if body.hangs:
        await asyncio.sleep(3600)
    while True:
        yield {"type": "http.disconnect"}
