"""Errors of the product as HTTP statuses and JSON (spec repository.md §10.1, §10.2)."""

from __future__ import annotations

import msgspec

from apkiln.core import errors

BY_REASON = {
    "unauthorized": 401,
    "forbidden": 403,
    "ownership": 403,
    "not-found": 404,
    "unknown-transaction": 404,
    "unknown-repository": 404,
    "tx-expired": 410,
    "too-large": 413,
    "timeout": 408,
    "idempotency-key-reused": 422,
    "upload-offset": 409,
    "quota": 429,
}
BY_CLASS: tuple[tuple[type[errors.ApkilnError], int], ...] = (
    (errors.UsageError, 400),
    (errors.ConflictError, 409),
    (errors.InputError, 422),
    (errors.VerificationError, 422),
    (errors.UnsatisfiableError, 422),
    (errors.ViolationError, 422),
    (errors.UnavailableError, 503),
    (errors.EnvironmentFault, 503),
)


def status_of(error: errors.ApkilnError) -> int:
    """The status of an error; a group counts as its first fault."""
    if isinstance(error, errors.FaultGroup):
        return status_of(error.faults[0])
    by_class = next((status for kind, status in BY_CLASS if isinstance(error, kind)), 500)
    return BY_REASON.get(error.reason, by_class)


class Fault(msgspec.Struct, frozen=True):
    """One of several errors."""

    code: str
    message: str


class ErrorValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong."""

    code: str
    """Stable, in capitals."""
    message: str
    retriable: bool
    """The same request may succeed later."""
    hint: str = ""
    details: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    """All of them where there are several; the first is the error itself."""


class ErrorDocument(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    error: ErrorValue


def body_of(error: errors.ApkilnError) -> ErrorDocument:
    """The code is the reason in capitals with underscores."""
    faults = error.faults if isinstance(error, errors.FaultGroup) else (error,)
    first = faults[0]
    several = tuple(Fault(code_of(fault.reason), str(fault)) for fault in faults) if len(faults) > 1 else ()
    value = ErrorValue(code_of(first.reason), str(first), first.retriable, first.hint or "", tuple(first.details), several)
    return ErrorDocument(value)


def code_of(reason: str) -> str:
    """`blob-missing` → `BLOB_MISSING`."""
    return reason.upper().replace("-", "_")
