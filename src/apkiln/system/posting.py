"""One POST to an address that somebody configured: bounded in time, no redirects, no retries of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url

_SECONDS = 10.0


class Poster(Protocol):
    """Sends bodies."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whose body is not read.  UnavailableError `connection-failed`."""


class SystemPoster:
    """See `Poster`."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        import urllib3

        timeout = urllib3.Timeout(connect=_SECONDS / 2, read=_SECONDS)
        try:
            with urllib3.PoolManager(timeout=timeout, retries=False) as pool:
                answer = pool.request("POST", url, body=body, headers=dict(headers), redirect=False, preload_content=False)
                status = answer.status
                answer.close()
                return status
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"`{redact_url(url)}` cannot be reached: {type(error).__name__}",
                reason="connection-failed",
                origin=Origin(source=redact_url(url)),
                retriable=True,
            ) from error
