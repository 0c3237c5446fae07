"""Bytes from somewhere else: one Protocol over http, local files, and no network at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apkiln.core.errors import ApkilnError, FormatError, UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol
from apkiln.core.secret import redact_url
from apkiln.system.files import FileReader
from apkiln.system.urls import is_http, local_path

_CHUNK = 1 << 18

Write = Callable[[bytes], object]
"""Receives the body in order, each byte once."""


class Validators(NamedTuple):
    """What a server said about the version it sent."""

    etag: str = ""
    last_modified: str = ""

    @property
    def known(self) -> bool:
        return bool(self.etag or self.last_modified)


NO_VALIDATORS = Validators()


class Fetched(NamedTuple):
    """How a transfer ended."""

    unchanged: bool
    """True: the server still has the version of the validators that were given; nothing was written."""
    size: int
    """Bytes written."""
    validators: Validators = NO_VALIDATORS
    content_type: str = ""
    """Lower case, without parameters; empty when unknown."""


class Transfer(Protocol):
    """Fetches a location: an http(s) URL, a `file://` URL or a path."""

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        """Deliver the whole content to `write`, or raise; on an error `write` may have been given a beginning.

        `limit`: FormatError `response-too-large` beyond that many bytes.  Otherwise UnavailableError: `missing-file`,
        `not-found`, `unauthorized`, `offline`, `server-error`, `connection-failed`, `connection-lost`, `timeout`,
        `tls-failed`, `insecure-redirect`, `foreign-redirect`, `too-many-redirects`, `content-changed`, `http-status`.
        Credentials never appear in an error.
        """


class LocalTransfer:
    """Files of this machine."""

    def __init__(self, files: FileReader) -> None:
        self._files = files

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        path = local_path(location)
        if path is None:
            raise unsupported(location)
        size = 0
        with self._files.open(Path(path)) as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise too_large(location, limit)
                write(chunk)
        return Fetched(False, size)


class OfflineTransfer:
    """Refuses everything, without opening a socket."""

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        raise UnavailableError(
            f"`{redact_url(location)}` is not in the cache and the network is off",
            reason="offline",
            origin=Origin(source=redact_url(location)),
            hint="run once without `--offline`",
        )


class RoutedTransfer:
    """http and https to one transfer, everything else to the other."""

    def __init__(self, network: Transfer, local: Transfer) -> None:
        self._network = network
        self._local = local

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        chosen = self._network if is_http(location) else self._local
        return chosen.fetch(location, write, limit=limit, known=known)


def too_large(location: str, limit: int) -> FormatError:
    """The content is larger than it may be."""
    shown = redact_url(location)
    return FormatError(f"`{shown}` is larger than {limit} bytes", reason="response-too-large", origin=Origin(source=shown))


def unsupported(location: str) -> ApkilnError:
    """A scheme we do not speak."""
    shown = redact_url(location)
    return UnavailableError(
        f"cannot fetch `{shown}`: only http, https, file and paths are supported",
        reason="unsupported-url",
        origin=Origin(source=shown),
    )
