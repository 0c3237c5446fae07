"""A browser without a screen: asks the application in this process, and reads what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, MutableMapping
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from apkiln.repository.service import RepositoryService
from apkiln.system.files import DiskFiles
from apkiln.system.partial_uploads import PartialUploads
from apkiln.web.application import Application, Hosted
from apkiln.web.tokens import Token

VOID = frozenset({"meta", "link", "input", "img", "br", "hr"})


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def document(self) -> Document:
        found = Document()
        found.feed(self.text)
        found.close()
        assert not found.open, f"never closed: {found.open}"
        return found


class Element(NamedTuple):
    """A start tag."""

    tag: str
    attributes: Mapping[str, str]


class Document(HTMLParser):
    """The elements and the text of a page; refuses tags that do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> stands twice: {names}"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


class Visitor:
    """Asks for pages of services."""

    def __init__(self, *services: RepositoryService, tokens: Iterable[Token] = (), private: bool = False) -> None:
        self.hosted = {service.name: Hosted(service, private) for service in services}
        uploads = PartialUploads(PurePosixPath("uploads"), DiskFiles())
        self.application = Application(self.hosted, tuple(tokens), uploads, lambda: 0.0)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return asyncio.run(self.ask(path, method, headers))

    async def ask(self, address: str, method: str, headers: Mapping[str, str]) -> Answer:
        path, _, query = address.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, body)
