"""One exit code for each class of error; 0 is success, 1 a fault without a class of its own, 70 a bug, 130 an interrupt."""

from __future__ import annotations

from apkiln.core import errors

OK = 0
BUG = 70
INTERRUPTED = 130

BY_CLASS: tuple[tuple[type[errors.ApkilnError], int], ...] = (
    (errors.UsageError, 2),
    (errors.InputError, 3),
    (errors.VerificationError, 4),
    (errors.UnsatisfiableError, 5),
    (errors.UndecidedError, 6),
    (errors.ConflictError, 7),
    (errors.UnavailableError, 8),
    (errors.EnvironmentFault, 9),
    (errors.ViolationError, 10),
    (errors.CommandFailure, 11),
)


def exit_code(error: errors.ApkilnError) -> int:
    """The code for an error; a group counts as its first fault."""
    if isinstance(error, errors.FaultGroup):
        return exit_code(error.faults[0])
    return next((code for kind, code in BY_CLASS if isinstance(error, kind)), 1)
