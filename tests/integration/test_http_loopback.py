"""The HTTP client over real sockets, against a small server on the loopback device."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from apkiln.core.errors import ApkilnError, FormatError
from apkiln.system.clock import ManualClock
from apkiln.system.credentials import Credentials, parse_http_auth
from apkiln.system.files import DiskFiles
from apkiln.system.http import HttpPolicy, HttpTransfer
from apkiln.system.http_sockets import SocketExchange
from apkiln.system.network import open_transfer
from apkiln.system.transfer import Fetched, Transfer, Validators

DATA = bytes(range(256)) * 4_000
ETAG = '"v1"'

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers by a list of functions, one per request; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = [whole]
        self.seen: list[tuple[str, dict[str, str]]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in ({"Content-Length": str(len(body))} | names).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: BaseHTTPRequestHandler) -> None:
    asked = handler.headers
    start = int(asked["Range"].removeprefix("bytes=").removesuffix("-")) if "Range" in asked else 0
    if asked.get("If-None-Match") == ETAG:
        reply(handler, 304, ETag=ETAG)
    elif start:
        reply(handler, 206, DATA[start:], ETag=ETAG, Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
    else:
        reply(handler, 200, DATA, ETag=ETAG)


def cut(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 200, DATA[:300_000], ETag=ETAG, Content_Length=str(len(DATA)))
    handler.close_connection = True


def cut_chunked(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"400\r\n" + DATA[:1024] + b"\r\n400\r\nonly a part")
    handler.close_connection = True


def status(code: int, **headers: str) -> Answer:
    return lambda handler: reply(handler, code, b"no", **headers)


def shifted(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 206, DATA[5:], ETag=ETAG, Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}")


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        return


@pytest.fixture
def server(socket_enabled: None) -> Iterator[Server]:
    instance = Server()
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


def client(http_auth: str = "", **timeouts: float) -> Transfer:
    exchange = SocketExchange({}, **timeouts)  # type: ignore[arg-type]
    return HttpTransfer(exchange, ManualClock(), lambda: 0.5, Credentials(parse_http_auth(http_auth)), HttpPolicy(retries=2))


def fetch(transfer: Transfer, url: str, limit: int = 10_000_000, known: Validators | None = None) -> tuple[bytes, Fetched]:
    received = bytearray()
    fetched = transfer.fetch(url, received.extend, limit=limit, known=known or Validators())
    return bytes(received), fetched


def reason(transfer: Transfer, url: str) -> str:
    with pytest.raises(ApkilnError) as caught:
        fetch(transfer, url)
    return caught.value.reason


def test_whole_and_unchanged_over_one_connection(server: Server) -> None:
    transfer = client()
    data, fetched = fetch(transfer, server.url + "/x")
    assert data == DATA
    assert fetch(transfer, server.url + "/x", known=fetched.validators) == (b"", Fetched(True, 0, fetched.validators))


@pytest.mark.parametrize(
    "answers",
    [
        [cut, whole],
        [cut, status(416), whole],
        [cut, shifted, whole],
        [cut, status(503), whole],
        [cut_chunked, whole],
        [cut, cut, whole],
    ],
    ids=["resume", "416", "wrong range", "busy", "chunked", "no range support"],
)
def test_broken_downloads_are_completed(server: Server, answers: list[Answer]) -> None:
    server.answers = answers
    assert fetch(client(), server.url + "/x")[0] == DATA


def test_resumption_asks_with_range_and_version(server: Server) -> None:
    server.answers = [cut, whole]
    fetch(client(), server.url + "/x")
    headers = server.seen[1][1]
    assert headers["if-range"] == ETAG
    assert headers["range"].startswith("bytes=")
    assert headers["range"] != "bytes=0-"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(status(404), "not-found"), (status(401), "unauthorized"), (status(500), "server-error"), (cut, "connection-lost")],
)
def test_failures_are_told_apart(server: Server, answer: Answer, expected: str) -> None:
    server.answers = [answer]
    assert reason(client(), server.url + "/x") == expected


def test_an_endless_body_stops_at_the_limit(server: Server) -> None:
    server.answers = [endless]
    with pytest.raises(FormatError) as caught:
        fetch(client(), server.url + "/x", limit=100_000)
    assert caught.value.reason == "response-too-large"


def test_a_silent_server_times_out(server: Server) -> None:
    server.answers = [silent]
    transfer = HttpTransfer(SocketExchange({}, read_timeout=0.3), ManualClock(), lambda: 0.5, policy=HttpPolicy(retries=0))
    assert reason(transfer, server.url + "/x") == "timeout"


def test_nobody_listens(socket_enabled: None) -> None:
    lonely = Server()
    url = lonely.url
    lonely.server_close()
    assert reason(client(), url + "/x") == "connection-failed"


def test_credentials_and_encoding_arrive(server: Server) -> None:
    port = server.server_port
    fetch(client(f"basic:127.0.0.1:{port}:user:pa:ss"), server.url + "/repo/a~1+2-r0.apk")
    path, headers = server.seen[0]
    assert path == "/repo/a%7e1%2B2-r0.apk"
    assert headers["authorization"] == "Basic dXNlcjpwYTpzcw=="
    fetch(client(), server.url.replace("http://", "http://me:word@") + "/x")
    assert server.seen[1][1]["authorization"] == "Basic bWU6d29yZA=="


def test_redirects_to_another_port_lose_url_credentials_but_stay_on_the_host(server: Server) -> None:
    other = Server()
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        server.answers = [status(302, Location=other.url + "/y")]
        data, _ = fetch(client(), server.url.replace("http://", "http://me:word@") + "/x")
        assert data == DATA
        assert "authorization" not in other.seen[0][1]
    finally:
        other.shutdown()
        thread.join()
        other.server_close()


def test_a_proxy_of_the_environment_is_used(server: Server) -> None:
    transfer = open_transfer({"http_proxy": server.url, "HOME": "/nowhere"}, DiskFiles())
    fetch(transfer, "http://host.example/repo/x")
    assert server.seen[0][0] == "http://host.example/repo/x"
    direct = open_transfer({"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1", "HOME": "/nowhere"}, DiskFiles())
    assert fetch(direct, server.url + "/x")[0] == DATA


def test_plain_http_on_a_tls_port_and_the_reverse(server: Server) -> None:
    assert reason(client(), server.url.replace("http://", "https://") + "/x") in {"tls-failed", "connection-lost"}


def test_local_files_need_no_network(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    assert fetch(open_transfer({}, DiskFiles()), str(tmp_path / "x"))[0] == DATA


def certificate(directory: Path) -> Path:
    """A self-signed certificate for the loopback address, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM) + private)
    return directory / "certificate.pem"


def test_tls_needs_a_trusted_certificate(tmp_path: Path, socket_enabled: None) -> None:
    path = certificate(tmp_path)
    instance = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    instance.socket = context.wrap_socket(instance.socket, server_side=True)
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = instance.url.replace("http://", "https://") + "/x"
    try:
        trusting = open_transfer({"SSL_CERT_FILE": str(path), "HOME": "/nowhere"}, DiskFiles())
        assert fetch(trusting, url)[0] == DATA
        assert reason(client(), url) == "tls-failed"
        other = open_transfer({"SSL_CERT_FILE": str(path), "HOME": "/nowhere"}, DiskFiles())
        assert reason(other, url.replace("127.0.0.1", "localhost")) == "tls-failed"
    finally:
        instance.shutdown()
        thread.join()
        instance.server_close()


def test_a_server_that_asks_who_connects_is_shown_a_certificate(tmp_path: Path, socket_enabled: None) -> None:
    path = certificate(tmp_path)
    instance = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.load_verify_locations(path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 the refusal comes after the handshake
    instance.socket = context.wrap_socket(instance.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = instance.url.replace("http://", "https://") + "/x"
    trusting = {"SSL_CERT_FILE": str(path), "HOME": "/nowhere"}

    def shown(text: str) -> Transfer:
        return open_transfer(trusting | {"APKILN_CLIENT_CERTIFICATES": text}, DiskFiles())

    try:
        port = instance.server_port
        assert fetch(shown(f"127.0.0.1={path}"), url)[0] == DATA
        assert fetch(shown(f"other.example=/nowhere\n127.0.0.1:{port}={path},{path}"), url)[0] == DATA
        assert reason(open_transfer(trusting, DiskFiles()), url) in {"tls-failed", "connection-lost"}
        assert reason(shown(f"127.0.0.1:{port + 1}={path}"), url) in {"tls-failed", "connection-lost"}
        assert reason(shown("127.0.0.1=/nowhere.pem"), url) == "client-certificate"
        assert reason(shown("nonsense"), url) == "bad-client-certificate"
    finally:
        instance.shutdown()
        thread.join()
        instance.server_close()
