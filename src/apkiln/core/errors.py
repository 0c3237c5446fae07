"""The error tree of the product.

    ApkilnError
    ├── UsageError            the request itself is wrong: flags, arguments, settings
    ├── InputError            a document or archive breaks its own rules, with the place
    │   ├── ConfigurationError   image, package or other definition of the user
    │   └── FormatError          bytes that do not follow a file format
    ├── VerificationError     signature, identity or digest does not check; fails closed
    ├── UnsatisfiableError    no set of packages satisfies the request
    ├── UndecidedError        a step limit was reached before an answer
    ├── ConflictError         two things want one place: file conflicts, existing outputs
    ├── UnavailableError      something needed cannot be had: network, missing file, offline
    ├── EnvironmentFault      the machine: no space, no permission, missing program
    ├── ViolationError        an audit or check found what it looks for
    ├── CommandFailure        a command that was run as asked failed: a step of a build, a test
    └── FaultGroup            several of the above from one file, raised once

Libraries raise these and never exit; `apkiln.cli` maps each class to its exit code.  A broken invariant of ours is an
AssertionError, not one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apkiln.core.origin import Origin

NOWHERE = Origin()


class ApkilnError(Exception):
    """A fault that a user can act on.

    `message`: one sentence without a final period, values in backticks.  `reason`: stable machine-readable word such as
    `data-hash-mismatch` (tests assert on it, never on the sentence).  `origin`: the place.  `hint`: what to do next.
    `retriable`: the same call may succeed later.  `details`: further lines, for a reader who wants them.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        origin: Origin = NOWHERE,
        hint: str = "",
        retriable: bool = False,
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.origin = origin
        self.hint = hint
        self.retriable = retriable
        self.details = tuple(details)

    def located(self, origin: Origin) -> ApkilnError:
        """Add what the caller knows about the place (in place: the traceback is kept) and return self for `raise`."""
        self.origin = self.origin.filled(origin)
        return self

    def __str__(self) -> str:
        place = str(self.origin)
        return f"{place}: {self.message}" if place else self.message


class UsageError(ApkilnError):
    pass


class InputError(ApkilnError):
    pass


class ConfigurationError(InputError):
    pass


class FormatError(InputError):
    pass


class VerificationError(ApkilnError):
    pass


class UnsatisfiableError(ApkilnError):
    pass


class UndecidedError(ApkilnError):
    pass


class ConflictError(ApkilnError):
    pass


class UnavailableError(ApkilnError):
    pass


class EnvironmentFault(ApkilnError):
    pass


class ViolationError(ApkilnError):
    pass


class CommandFailure(ApkilnError):
    pass


class FaultGroup(ApkilnError):
    """All faults of one document, in order of appearance; never empty."""

    def __init__(self, faults: Iterable[ApkilnError]) -> None:
        self.faults = tuple(faults)
        assert self.faults, "a fault group needs at least one fault"
        first = self.faults[0]
        super().__init__(
            first.message if len(self.faults) == 1 else f"{len(self.faults)} faults",
            reason=first.reason if len(self.faults) == 1 else "several-faults",
            origin=first.origin,
            hint=first.hint,
        )

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class FaultCollector:
    """Gathers faults while a document is read on, so that one run reports all of them."""

    __slots__ = ("faults",)

    def __init__(self, faults: list[ApkilnError]) -> None:
        self.faults = faults

    @classmethod
    def empty(cls) -> FaultCollector:
        return cls([])

    def add(self, fault: ApkilnError) -> None:
        self.faults.append(fault)

    def raise_if_any(self) -> None:
        """Raise the single fault itself, or a FaultGroup of all of them."""
        if len(self.faults) == 1:
            raise self.faults[0]
        if self.faults:
            raise FaultGroup(self.faults)
