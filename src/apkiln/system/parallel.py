"""One function over many values on a few threads (hashing, decompressing and waiting for the network release the lock)."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")
    R = TypeVar("R")


def map_in_threads(function: Callable[[T], R], values: Iterable[T], jobs: int) -> list[R]:
    """The results in the order of `values`.

    After the first exception no further value is begun; the exception of the earliest value that failed is raised, so
    the outcome does not depend on which thread was faster among those that ran.  With one job or one value no thread
    is made.
    """
    items = list(values)
    threads = min(jobs, len(items))
    if threads <= 1:
        return [function(item) for item in items]
    from threading import Thread

    work = _Work(function, items)
    others = [Thread(target=work.run, daemon=True) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    try:
        work.run()
    except BaseException:
        work.stop()
        raise
    finally:
        for thread in others:
            thread.join()
    return work.finished()


class _Work:
    def __init__(self, function: Callable[[Any], Any], items: list[Any]) -> None:
        self._function = function
        self._items = items
        self._next = 0
        self._lock = allocate_lock()
        self._results: dict[int, Any] = {}
        self._errors: dict[int, BaseException] = {}

    def run(self) -> None:
        """Take values until there are none."""
        while (position := self._take()) is not None:
            try:
                self._results[position] = self._function(self._items[position])
            except Exception as error:  # noqa: BLE001 (raised again by `finished` in the caller's thread)
                self._errors[position] = error
                self.stop()

    def stop(self) -> None:
        """Begin no further value."""
        with self._lock:
            self._next = len(self._items)

    def finished(self) -> list[Any]:
        """All results, or the first error."""
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[position] for position in range(len(self._items))]

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= len(self._items):
                return None
            self._next += 1
            return self._next - 1
