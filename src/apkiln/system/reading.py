"""Files opened for reading.  Loads no library of paths: some commands do little else than this."""

from __future__ import annotations

import os

from apkiln.system.faults import faults_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


def open_file(path: os.PathLike[str] | str) -> BinaryIO:
    """A reader at offset 0.  Raises UnavailableError (`missing-file`, `is-directory`), EnvironmentFault (`no-permission`)."""
    with faults_named(path, "read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.fdopen(descriptor, "rb")
        except IsADirectoryError:
            os.close(descriptor)
            raise
