"""Several files that appear together: all of them, or after an error none that was not there before."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import PurePath
from types import TracebackType
from typing import BinaryIO

from apkiln.core.errors import ApkilnError
from apkiln.system.files import Files


class Publication:
    """A context: files are written inside, and appear under their names when it is left without an error.

    When one of them cannot appear, those that did are removed again, except where they replaced a file.  A machine that stops
    between two of them leaves some of them, each whole; the same call made again completes the set.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._stack = ExitStack()
        self._new: list[PurePath] = []

    def create(self, path: PurePath) -> BinaryIO:
        """A new file, or one that takes the place of another."""
        if self._files.status(path) is None:
            self._new.append(path)
        return self._stack.enter_context(self._files.create(path, replace=True))

    def __enter__(self) -> Publication:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._stack.__exit__(kind, error, trace)
        except BaseException:
            self._withdraw()
            raise

    def _withdraw(self) -> None:
        """The first error is the one to be told."""
        for path in self._new:
            with suppress(ApkilnError):
                if self._files.status(path) is not None:
                    self._files.remove(path)
