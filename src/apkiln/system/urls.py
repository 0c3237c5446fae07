"""The little that the product must know about URLs: schemes, hosts, user parts, and the encoding apk clients use."""

from __future__ import annotations

from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import Secret, redact_url

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """Who is spoken to: credentials never leave it."""

    scheme: str
    host: str
    """Lower case."""
    port: int


class UserPart(NamedTuple):
    """`user:password@` of a URL."""

    user: str
    password: Secret


def is_http(location: str) -> bool:
    """Whether this names something on the network."""
    return location.lower().startswith(("http://", "https://"))


def local_path(location: str) -> str | None:
    """The path of a `file://` URL or of a plain path; None for anything else that has a scheme."""
    scheme, separator, rest = location.partition("://")
    if not separator:
        return location
    if scheme.lower() != "file":
        return None
    host, slash, path = rest.partition("/")
    return unquote(slash + path) if host in {"", "localhost"} else None


def endpoint_of(url: str) -> Endpoint:
    """Scheme, host and port.  Raises UsageError `bad-url`."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        port = parts.port or _DEFAULT_PORTS.get(scheme, 0)
        host = (parts.hostname or "").lower()
    except ValueError as error:
        raise _bad_url(url) from error
    if scheme not in _DEFAULT_PORTS or not host:
        raise _bad_url(url)
    return Endpoint(scheme, host, port)


def split_user(url: str) -> tuple[str, UserPart | None]:
    """The URL without its user part, and that part decoded."""
    clean = redact_url(url)
    if clean == url:
        return url, None
    parts = urlsplit(url)
    return clean, UserPart(unquote(parts.username or ""), Secret(unquote(parts.password or "")))


def encode(url: str) -> str:
    """The path in the form apk itself asks for: `~` as `%7e`, `+` as `%2B`, what is not allowed in a URL escaped (apk.md §19)."""
    parts = urlsplit(url)
    path = quote(parts.path, safe="/%:@!$&'()*,;=~-._").replace("~", "%7e")
    return urlunsplit((parts.scheme, parts.netloc, path, quote(parts.query, safe="/%:@!$&'()*+,;=?~-._"), ""))


def redirected(base: str, target: str) -> str:
    """Where a `Location` header points, without fragment and user part."""
    return redact_url(urljoin(base, target)).partition("#")[0]


def _bad_url(url: str) -> UsageError:
    shown = redact_url(url)
    return UsageError(f"`{shown}` is not an http or https URL", reason="bad-url", origin=Origin(source=shown))
