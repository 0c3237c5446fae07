"""What the operating system refuses, said in the product's own errors."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from apkiln.core.errors import ApkilnError, ConflictError, EnvironmentFault, UnavailableError
from apkiln.core.origin import Origin

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NO_PERMISSION = {errno.EACCES, errno.EPERM}


def fault_of(error: OSError, path: object, doing: str) -> ApkilnError:
    """`error`, met while `doing` (for example `write`) something with `path`, as one of ours.

    Reasons: `no-space`, `no-permission`, `read-only-file-system`, `file-too-large`, `missing-file` (UnavailableError),
    `is-directory`, `not-a-directory`, `output-exists` (ConflictError), otherwise `input-output-error`.
    """
    origin = Origin(source=str(path))
    number = error.errno
    if number in _NO_SPACE:
        return EnvironmentFault(
            f"no space left to {doing} `{path}`",
            reason="no-space",
            origin=origin,
            hint="free space there, or choose another place",
        )
    if number in _NO_PERMISSION:
        return EnvironmentFault(f"no permission to {doing} `{path}`", reason="no-permission", origin=origin)
    if number == errno.EROFS:
        return EnvironmentFault(f"cannot {doing} `{path}`: read-only file system", reason="read-only-file-system", origin=origin)
    if number == errno.EFBIG:
        return EnvironmentFault(f"cannot {doing} `{path}`: larger than allowed here", reason="file-too-large", origin=origin)
    if number == errno.ENOENT:
        return UnavailableError(f"`{path}` does not exist", reason="missing-file", origin=origin)
    if number in {errno.EEXIST, errno.ENOTEMPTY}:
        return ConflictError(f"`{path}` exists already", reason="output-exists", origin=origin, hint="choose another name")
    if number == errno.EISDIR:
        return UnavailableError(f"`{path}` is a directory", reason="is-directory", origin=origin)
    if number == errno.ENOTDIR:
        return UnavailableError(f"`{path}` lies below something that is not a directory", reason="not-a-directory", origin=origin)
    return EnvironmentFault(f"cannot {doing} `{path}`: {error.strerror}", reason="input-output-error", origin=origin)


@contextmanager
def faults_named(path: object, doing: str) -> Iterator[None]:
    """Turn an OSError of the body into `fault_of` it."""
    try:
        yield
    except OSError as error:
        raise fault_of(error, path, doing) from error
