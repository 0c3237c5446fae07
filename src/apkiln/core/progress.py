"""How long work tells of itself without printing: a reporter is handed in and draws, or does nothing."""

from __future__ import annotations

from apkiln.core.protocol import Protocol


class Reporter(Protocol):
    """Receives progress; all methods may be called from several threads."""

    def start(self, task: str, total: int, unit: str) -> None:
        """A task begins.  `total` = expected amount in `unit` (`bytes`, `packages`), 0 = unknown."""

    def advance(self, task: str, amount: int) -> None:
        """`amount` more is done."""

    def finish(self, task: str) -> None:
        """The task ended."""

    def note(self, message: str) -> None:
        """A remark for the user, one line; not an error."""


class Silent:
    """The reporter that does nothing."""

    def start(self, task: str, total: int, unit: str) -> None: ...

    def advance(self, task: str, amount: int) -> None: ...

    def finish(self, task: str) -> None: ...

    def note(self, message: str) -> None: ...
