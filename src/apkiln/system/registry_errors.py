"""A registry's refusals as errors: status and body to class, reason and hint (supply-chain.md §7.1, row Errors)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.system.http import RETRIED_STATUS, Busy, retry_after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ERROR_LIMIT = 64 << 10
"""Bytes of an error body that are read."""
_SHOWN_ERRORS, _SHOWN_CHARACTERS = 5, 300


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes = b""

    def get(self, name: str) -> str:
        return self.headers.get(name, "")


class RegistryError(NamedTuple):
    """One entry of an error body."""

    code: str
    message: str


def registry_errors(content: bytes) -> tuple[RegistryError, ...]:
    """The errors that a body tells of; none when it is something else.  Never raises; text is cut and made printable."""
    try:
        rows = json.loads(content[:ERROR_LIMIT])["errors"]
        return tuple(RegistryError(_text(row, "code"), _text(row, "message")) for row in rows[:_SHOWN_ERRORS])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ()


def refusal(answer: Answer, what: str, host: str, now: float, secrets: Iterable[str] = ()) -> ApkilnError:
    """The error for an answer that is none of those expected.  `what`: what was wanted, for example `to store blob …`.

    `secrets` are blotted out of the registry's own words.  UnavailableError `unauthorized`, `denied`, `not-found`,
    `quota-exceeded`, `too-large`, `server-error` (retriable), `manifest-refused`, `blob-missing`, `registry-refusal`;
    VerificationError `digest-refused`.
    """
    errors = registry_errors(answer.content)
    details = tuple(_without(f"{error.code}: {error.message}".strip(": "), secrets) for error in errors)
    message = f"registry `{host}` refused {what} (HTTP {answer.status})"
    place = Origin(source=host)
    codes = {error.code for error in errors}
    if "DIGEST_INVALID" in codes:
        return VerificationError(message, reason="digest-refused", origin=place, details=details)
    if (answer.status >= 500 and answer.status != 507) or answer.status in RETRIED_STATUS:
        message = f"registry `{host}` cannot serve {what} now (HTTP {answer.status})"
        busy = Busy(message, reason="server-error", origin=place, retriable=True, details=details)
        busy.wait = retry_after(answer.get("retry-after"), now)
        return busy
    reason, hint = _reason(answer.status, codes, " ".join(details).lower(), host)
    return UnavailableError(message, reason=reason, origin=place, hint=hint, details=details)


def _reason(status: int, codes: set[str], told: str, host: str) -> tuple[str, str]:
    if status == 507 or "quota" in told:
        return "quota-exceeded", "remove old images there, or have the quota raised"
    if status == 401:
        return "unauthorized", f"log in with `docker login {host}` or `podman login {host}`"
    if status == 403:
        return "denied", "this login may not do that; check the name of the repository and the login's rights"
    if status == 413 or "SIZE_INVALID" in codes:
        return "too-large", ""
    if codes & {"MANIFEST_BLOB_UNKNOWN"}:
        return "blob-missing", ""
    if codes & {"MANIFEST_INVALID", "MANIFEST_UNVERIFIED", "TAG_INVALID"}:
        return "manifest-refused", ""
    if status in {404, 410}:
        return "not-found", ""
    return "registry-refusal", ""


def _text(row: Any, name: str) -> str:
    value = row.get(name) or ""
    clean = "".join(char if char.isprintable() else " " for char in value)
    return clean[:_SHOWN_CHARACTERS]


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "****")
    return text
