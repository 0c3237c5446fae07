"""A bucket behind a network that loses requests and answers: what is published is whole, and published once."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from tests.object_servers import SERVERS, bucket_at, make_bucket, object_server
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, Places, created, hex_of, names, places, publish, selection

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.state import Step
from apkiln.repository.reconciling import compare
from apkiln.system.blob_store_object import ObjectBlobs, open_bucket

SLOW = 3.0
T = TypeVar("T")


class Gateway(ThreadingHTTPServer):
    """Passes requests on, and misbehaves at every `every`th write."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.fault = "none"
        self.every = 3
        self.writes = 0
        self.faults = 0
        self._lock = threading.Lock()

    def due(self) -> bool:
        """Whether this write goes wrong."""
        with self._lock:
            self.writes += 1
            wrong = self.fault != "none" and self.writes % self.every == 0
            self.faults += wrong
            return wrong


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Gateway

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        wrong = self.command in ("PUT", "DELETE", "POST") and self.server.due()
        fault = self.server.fault if wrong else "none"
        if fault == "refused":
            self._hang_up()
            return
        if fault in ("500", "503"):
            self._answer(int(fault), {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        if fault == "slow":
            time.sleep(SLOW)
        status, headers, data = self._forwarded(body)
        if fault in ("lost", "slow"):
            self._hang_up()
            return
        self._answer(status, headers, data)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.server.target).netloc, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        given = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "transfer-encoding")}
        connection.close()
        return answer.status, given, data

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture(scope="module", params=SERVERS)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with object_server(request.param, tmp_path_factory.mktemp("objects")) as endpoint:
        server = Gateway(endpoint)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        server.server_close()


@pytest.fixture
def bucket(gateway: Gateway) -> Callable[[], ObjectBlobs]:
    name = make_bucket(gateway.target, f"b{time.monotonic_ns()}").name
    address = f"http://127.0.0.1:{gateway.server_address[1]}"
    return lambda: open_bucket(bucket_at(address, name, timeout=1))


def patient(call: Callable[[], T]) -> T:
    """As a publisher that is told to come again: nobody below repeats a write that timed out, whose end is not known."""
    for _ in range(20):
        try:
            return call()
        except ApkilnError as error:
            if not error.retriable:
                raise
    raise AssertionError("it never worked")


@pytest.mark.parametrize("fault", ["lost", "refused", "500", "503", "slow"])
def test_publishing_through_faults(gateway: Gateway, bucket: Callable[[], ObjectBlobs], fault: str) -> None:
    """Lost acknowledgements above all: the repeated conditional write finds its own object, and that is success."""
    gateway.fault, gateway.faults, gateway.every = fault, 0, 3 if fault != "slow" else 5
    try:
        where: Places = places(blobs=bucket())
        service = patient(lambda: created(where))
        a, b = sample_package("a"), sample_package("b")
        assert patient(lambda: publish(service, a, b, key="one")).step is Step.LIVE
        assert patient(lambda: service.run(ALICE, Manifest(withdraw=(selection(b),)), "two")).step is Step.LIVE
        assert len(service.state.transactions) == 3, "repeating opens nothing new"
        assert gateway.faults >= 2
        assert names(service) == ["a-1.0-r0"]
        assert not list(compare(service, deep=True))
        where.blobs.remove(Digest.sha256(bytes.fromhex(hex_of(a))))
        assert where.blobs.size(Digest.sha256(bytes.fromhex(hex_of(a)))) is None
    finally:
        gateway.fault = "none"


def test_two_writers_of_one_blob(gateway: Gateway, bucket: Callable[[], ObjectBlobs]) -> None:
    data = b"x" * 100_000
    digest = Digest.sha256(hashlib.sha256(data).digest())
    sizes: list[int] = []
    threads = [threading.Thread(target=lambda: sizes.append(patient(lambda: bucket().put(digest, [data])))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [100_000] * 4
