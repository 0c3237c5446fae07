"""Which addresses a registry may send us to: its answers name URLs (supply-chain.md §7.1, row SSRF)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.system.http import RequestExchange, Response
from apkiln.system.urls import Endpoint, endpoint_of, is_http

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data"})


def is_loopback(host: str) -> bool:
    """`localhost`, a name under it, or a loopback address."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def scheme_for(host: str, plain_http: frozenset[str]) -> str:
    """How a registry is spoken to; `host` may end in a port.  Plain http only on the loopback device or where asked for."""
    bare = endpoint_of(f"https://{host}/").host
    return "http" if is_loopback(bare) or {host, bare} & plain_http else "https"


def check_address(url: str, home: Endpoint) -> None:
    """Refuse a URL that `home`, the registry, may not send us to.

    UnavailableError `insecure-address`: not https, except for a plain-http registry's own host or the loopback device.
    `forbidden-address`: an address or name of the loopback device, of a link or of a private network that is not
    the registry's own.  Names are not resolved.
    """
    target = endpoint_of(url) if is_http(url) else None
    if target is None or (target.scheme != "https" and (home.scheme == "https" or not _may_be_plain(target, home))):
        raise _refused(url, home, "which is not https", "insecure-address")
    if target.host == home.host or (is_loopback(target.host) and is_loopback(home.host)):
        return
    if is_loopback(target.host) or target.host.rstrip(".") in _METADATA_NAMES or _is_internal(target.host):
        raise _refused(url, home, "an address of this machine or its network", "forbidden-address")


class GuardedExchange:
    """An exchange that asks no address which the registry at `home` may not send us to."""

    def __init__(self, exchange: RequestExchange, home: Endpoint) -> None:
        self._exchange = exchange
        self._home = home

    def get(self, url: str, headers: tuple[tuple[str, str], ...]) -> AbstractContextManager[Response]:
        return self.request("GET", url, headers)

    def request(
        self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: Iterable[bytes] = ()
    ) -> AbstractContextManager[Response]:
        check_address(url, self._home)
        return self._exchange.request(method, url, headers, body)


def shown(url: str) -> str:
    """A URL for messages: no user part, and no query, which may hold a signature or the state of an upload."""
    return redact_url(url).partition("?")[0]


def _may_be_plain(target: Endpoint, home: Endpoint) -> bool:
    return target.host == home.host or (is_loopback(target.host) and is_loopback(home.host))


def _is_internal(host: str) -> bool:
    address = _address(host.rstrip("."))
    return address is not None and not address.is_global


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is written as, also in the short and hexadecimal forms that resolvers accept; None for names."""
    import socket
    from ipaddress import IPv4Address, ip_address

    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def _refused(url: str, home: Endpoint, what: str, reason: str) -> UnavailableError:
    message = f"the registry `{home.host}` sends us to `{shown(url)}`, {what}"
    return UnavailableError(message, reason=reason, origin=Origin(source=home.host))
