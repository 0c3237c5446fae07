"""Who we are at which host: `HTTP_AUTH`, netrc text, bearer tokens and client certificates (spec image.md §11.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.secret import Secret
from apkiln.system.urls import Endpoint, UserPart

CLIENT_CERTIFICATES = "APKILN_CLIENT_CERTIFICATES"
"""The variable that names client certificates."""
_TOKEN = pattern(r'"((?:[^"\\]|\\.)*)"|(\S+)')


class Credential(NamedTuple):
    """One way to authenticate at one host."""

    host: str
    """Lower case; empty = any host (netrc `default`)."""
    port: int
    """0 = any port."""
    authorization: Secret
    """Value of the `Authorization` header."""


class Credentials(NamedTuple):
    """All of them; the first that fits a host is used."""

    entries: tuple[Credential, ...] = ()

    def header_for(self, endpoint: Endpoint) -> str:
        """The `Authorization` value for an endpoint, empty when there is none."""
        for entry in self.entries:
            if entry.host in {"", endpoint.host} and entry.port in {0, endpoint.port}:
                return entry.authorization.reveal()
        return ""


NO_CREDENTIALS = Credentials()


class ClientCertificate(NamedTuple):
    """What we show of ourselves while a TLS connection is made."""

    host: str
    """Lower case."""
    port: int
    """0 = any port."""
    certificate: str
    """Path of a PEM file with our certificate and those between it and the root."""
    key: str
    """Path of a PEM file with the private key; empty = it is in the same file."""


def certificate_for(certificates: tuple[ClientCertificate, ...], endpoint: Endpoint) -> ClientCertificate | None:
    """The first that fits a host; none for plain http."""
    if endpoint.scheme != "https":
        return None
    fitting = (item for item in certificates if item.host == endpoint.host and item.port in {0, endpoint.port})
    return next(fitting, None)


def parse_client_certificates(text: str) -> tuple[ClientCertificate, ...]:
    """`HOST[:PORT]=CERTIFICATE[,KEY]`, one a line, both PEM files.

    Raises UsageError `bad-client-certificate` with the number of the line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return tuple(_client_certificate(line, number) for number, line in lines if line)


def _client_certificate(line: str, number: int) -> ClientCertificate:
    place, _, files = line.partition("=")
    host, colon, port = place.strip().partition(":")
    certificate, _, key = files.partition(",")
    if not host or not certificate.strip() or (colon and not (port.isascii() and port.isdigit())):
        raise UsageError(
            f"entry {number} of {CLIENT_CERTIFICATES} is not understood",
            reason="bad-client-certificate",
            origin=Origin(source=CLIENT_CERTIFICATES, line=number),
            hint="write HOST=CERTIFICATE.pem or HOST:PORT=CERTIFICATE.pem,KEY.pem",
        )
    return ClientCertificate(host.lower(), int(port) if colon else 0, certificate.strip(), key.strip())


def basic(user: UserPart) -> str:
    """The `Authorization` value of a user and password."""
    return "Basic " + base64.b64encode(f"{user.user}:{user.password.reveal()}".encode()).decode()


def parse_http_auth(text: str) -> tuple[Credential, ...]:
    """`basic:HOST[:PORT]:USER:PASSWORD` or `bearer:HOST[:PORT]:TOKEN`, one a line.

    The password is all that remains, colons included; a user name of digits needs the port written out.  Raises
    UsageError `bad-http-auth` that names the line number, never its content.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return tuple(_parse_entry(line, number) for number, line in lines if line)


def _parse_entry(line: str, number: int) -> Credential:
    kind, _, rest = line.partition(":")
    fields = {"basic": 2, "bearer": 1}.get(kind, 0)
    host, _, rest = rest.partition(":")
    port = 0
    head, colon, tail = rest.partition(":")
    if colon and head.isascii() and head.isdigit() and tail.count(":") >= fields - 1:
        port, rest = int(head), tail
    values = rest.split(":", fields - 1) if fields else []
    if not (fields and host and len(values) == fields and values[0]):
        raise UsageError(
            f"entry {number} of HTTP_AUTH is not understood",
            reason="bad-http-auth",
            origin=Origin(source="HTTP_AUTH", line=number),
            hint="write basic:HOST:USER:PASSWORD or bearer:HOST:TOKEN",
        )
    authorization = f"Bearer {values[0]}" if kind == "bearer" else basic(UserPart(values[0], Secret(values[1])))
    return Credential(host.lower(), port, Secret(authorization))


def parse_netrc(text: str) -> tuple[Credential, ...]:
    """Machines of a netrc file in order, `default` last; `macdef` is skipped, unknown words are ignored."""
    entries: list[Credential] = []
    for host, values in _netrc_machines(text):
        if values.get("login") is not None and values.get("password") is not None:
            user = UserPart(values["login"], Secret(values["password"]))
            entries.append(Credential(host.lower(), 0, Secret(basic(user))))
    return tuple(sorted(entries, key=lambda entry: entry.host == ""))


def _netrc_machines(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    without_macros = re.sub(r"(?ms)^\s*macdef\b.*?(?:\n[ \t]*\n|\Z)", "", text)
    without_comments = re.sub(r"(?m)^\s*#.*$", "", without_macros)
    words = iter([quoted or plain for quoted, plain in _TOKEN.findall(without_comments)])
    host: str | None = None
    values: dict[str, str] = {}
    for word in words:
        if word in {"machine", "default"}:
            if host is not None:
                yield host, values
            host, values = next(words, "") if word == "machine" else "", {}
        elif word in {"login", "password", "account"}:
            values[word] = next(words, "")
    if host is not None:
        yield host, values
