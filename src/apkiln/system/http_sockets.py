"""One HTTP request over sockets, by urllib3, which is loaded with the first request."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.system.credentials import CLIENT_CERTIFICATES, ClientCertificate, certificate_for, parse_client_certificates
from apkiln.system.http import Response
from apkiln.system.urls import endpoint_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from urllib3 import PoolManager

_CHUNK = 1 << 18


class SocketExchange:
    """See `Exchange` and `RequestExchange`.  Up to `connections` threads share the connections.

    Proxies, trusted certificates and client certificates are those of `environment`.  A wrong entry there is a UsageError
    `bad-client-certificate`, a file that cannot be used UnavailableError `client-certificate`, with the first request.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        connections: int = 8,
        connect_timeout: float = 15.0,
        read_timeout: float = 60.0,
    ) -> None:
        self._environment = environment
        self._connections = connections
        self._timeouts = (connect_timeout, read_timeout)
        self._pools: dict[tuple[str, ClientCertificate | None], PoolManager] = {}
        self._lock = threading.Lock()

    def get(self, url: str, headers: tuple[tuple[str, str], ...]) -> AbstractContextManager[Response]:
        return self.request("GET", url, headers)

    @contextmanager
    def request(
        self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: Iterable[bytes] = ()
    ) -> Iterator[Response]:
        from urllib3 import exceptions

        pool = self._pool(self._proxy(url), self._certificate(url))
        content = None if body == () else iter(body)
        try:
            answer = pool.urlopen(
                method,
                url,
                headers=dict(headers),
                body=content,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except exceptions.HTTPError as error:
            raise _fault(url, error) from error
        try:
            names = {name.lower(): value for name, value in answer.headers.items()}
            yield Response(answer.status, names, _body(url, answer))
        finally:
            if method == "HEAD" or answer.status in {204, 304} or names.get("content-length") == "0":
                answer.drain_conn()  # no body: the connection can serve again
            answer.close()

    def _certificate(self, url: str) -> ClientCertificate | None:
        text = self._environment.get(CLIENT_CERTIFICATES, "")
        return certificate_for(parse_client_certificates(text), endpoint_of(url)) if text else None

    def _pool(self, proxy: str, certificate: ClientCertificate | None) -> PoolManager:
        with self._lock:
            if (proxy, certificate) not in self._pools:
                self._pools[proxy, certificate] = self._new_pool(proxy, certificate)
            return self._pools[proxy, certificate]

    def _new_pool(self, proxy: str, certificate: ClientCertificate | None) -> PoolManager:
        import urllib3

        options: dict[str, Any] = {
            "maxsize": self._connections,
            "timeout": urllib3.Timeout(connect=self._timeouts[0], read=self._timeouts[1]),
        }
        certificates = self._environment.get("SSL_CERT_FILE", "")
        if certificates:
            options["ca_certs"] = certificates
        if certificate is not None:
            _check_certificate(certificate)
            options |= {"cert_file": certificate.certificate, "key_file": certificate.key or None}
        pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        pool.pool_classes_by_scheme = _pools_that_keep_escapes()
        return pool

    def _proxy(self, url: str) -> str:
        """The proxy for a URL by the usual variables; the upper-case `HTTP_PROXY` is not read (a CGI client can set it)."""
        parts = urlsplit(url)
        environment = self._environment
        excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        if _is_excluded(parts.hostname or "", parts.netloc, excluded):
            return ""
        if parts.scheme == "https":
            return environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
        return environment.get("http_proxy") or ""


def _check_certificate(certificate: ClientCertificate) -> None:
    """Load it once by itself, so that a fault of its files is not taken for one of the server."""
    import ssl

    try:
        # An empty password: a key that needs one is an error, not a question on the terminal.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(certificate.certificate, certificate.key or None, password="")
    except OSError as error:
        message = f"the client certificate for `{certificate.host}` cannot be used: {error.strerror or type(error).__name__}"
        hint = "both files must be PEM, the key without a password"
        origin = Origin(source=certificate.certificate)
        raise UnavailableError(message, reason="client-certificate", origin=origin, hint=hint) from None


def _is_excluded(host: str, authority: str, excluded: str) -> bool:
    for entry in excluded.replace(",", " ").split():
        suffix = entry.lower().removeprefix("*").lstrip(".")
        if entry == "*" or suffix in {host, authority} or (suffix and host.endswith("." + suffix)):
            return True
    return False


def _pools_that_keep_escapes() -> dict[str, Any]:
    """Connection pools whose requests write `%7e` as apk does; urllib3 would make it `%7E`."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class PlainConnection(HTTPConnection):
        def putrequest(self, method: str, url: str, *args: Any, **more: Any) -> None:
            super().putrequest(method, url.replace("%7E", "%7e"), *args, **more)

    class SecureConnection(HTTPSConnection):
        def putrequest(self, method: str, url: str, *args: Any, **more: Any) -> None:
            super().putrequest(method, url.replace("%7E", "%7e"), *args, **more)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": PlainPool, "https": SecurePool}


def _body(url: str, answer: Any) -> Iterator[bytes]:
    from urllib3 import exceptions

    try:
        yield from answer.stream(_CHUNK, decode_content=False)
    except exceptions.HTTPError as error:
        raise _fault(url, error, lost=True) from error


def _fault(url: str, error: Exception, *, lost: bool = False) -> UnavailableError:
    """urllib3's error as ours.  Only its kind is told: its text may hold a URL with credentials."""
    from urllib3 import exceptions

    shown = redact_url(url).partition("?")[0]  # a query may hold a signature or a token
    if isinstance(error, exceptions.SSLError):
        message, reason = f"no trusted TLS connection to `{shown}`: {_cause(error)}", "tls-failed"
    elif isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError):
        message, reason = f"`{shown}` does not answer in time", "timeout"
    elif lost or isinstance(error, exceptions.ProtocolError):
        message, reason = f"the connection to `{shown}` broke", "connection-lost"
    else:
        message, reason = f"cannot connect to `{shown}`: {_cause(error)}", "connection-failed"
    return UnavailableError(message, reason=reason, origin=Origin(source=shown), retriable=reason != "tls-failed")


def _cause(error: BaseException) -> str:
    """The operating system's or TLS library's words at the root of an error."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return getattr(error, "strerror", None) or type(error).__name__
