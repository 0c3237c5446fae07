"""Progress for people: bars on a terminal, plain lines elsewhere, nothing when quiet; and for programs: JSON lines."""

from __future__ import annotations

from _thread import allocate_lock as new_lock  # `threading` would bring five modules along

from apkiln.core.progress import Reporter, Silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from rich.progress import Progress, TaskID


class LineReporter:
    """One line when a task ends and one for each note; the form for logs and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = new_lock()
        self._tasks: dict[str, tuple[int, int, str]] = {}

    def start(self, task: str, total: int, unit: str) -> None:
        with self._lock:
            self._tasks[task] = (0, total, unit)

    def advance(self, task: str, amount: int) -> None:
        with self._lock:
            done, total, unit = self._tasks.get(task, (0, 0, ""))
            self._tasks[task] = (done + amount, total, unit)

    def finish(self, task: str) -> None:
        with self._lock:
            done, _, unit = self._tasks.pop(task, (0, 0, ""))
            self._stream.write(f"{task}: {amount_text(done, unit)}\n")

    def note(self, message: str) -> None:
        with self._lock:
            self._stream.write(f"note: {message}\n")


class JsonReporter:
    """One JSON object a line: `{"event": "start" | "finish" | "note", …}`; the form for programs that watch.

    `start` has `task`, `total` (0 = unknown) and `unit`, `finish` has `task`, `amount` and `unit`, `note` has `message`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = new_lock()
        self._tasks: dict[str, tuple[int, str]] = {}

    def start(self, task: str, total: int, unit: str) -> None:
        with self._lock:
            self._tasks[task] = (0, unit)
            self.write({"event": "start", "task": task, "total": total, "unit": unit})

    def advance(self, task: str, amount: int) -> None:
        with self._lock:
            done, unit = self._tasks.get(task, (0, ""))
            self._tasks[task] = (done + amount, unit)

    def finish(self, task: str) -> None:
        with self._lock:
            done, unit = self._tasks.pop(task, (0, ""))
            self.write({"event": "finish", "task": task, "amount": done, "unit": unit})

    def note(self, message: str) -> None:
        with self._lock:
            self.write({"event": "note", "message": message})

    def write(self, event: dict[str, object]) -> None:
        """One line."""
        from apkiln.core import canonical_json

        self._stream.write(canonical_json.encode(event).decode() + "\n")
        self._stream.flush()


class BarReporter:
    """Live bars drawn by rich, which is imported with the first task."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = new_lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def start(self, task: str, total: int, unit: str) -> None:
        with self._lock:
            if self._progress is None:
                self._progress = _new_bars(self._stream)
                self._progress.start()
            self._tasks[task] = self._progress.add_task(task, total=total or None)

    def advance(self, task: str, amount: int) -> None:
        if self._progress is not None and task in self._tasks:
            self._progress.advance(self._tasks[task], amount)

    def finish(self, task: str) -> None:
        with self._lock:
            if self._progress is None or task not in self._tasks:
                return
            self._progress.remove_task(self._tasks.pop(task))
            if not self._tasks:
                self._progress.stop()
                self._progress = None

    def note(self, message: str) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.console.print(f"note: {message}", markup=False, highlight=False)
            else:
                self._stream.write(f"note: {message}\n")


def choose_reporter(stream: TextIO, verbosity: int, log_format: str = "text") -> Reporter:
    """Nothing when quiet, JSON lines when asked for, bars on a terminal where rich is installed, lines otherwise."""
    if verbosity < 0:
        return Silent()
    if log_format == "json":
        return JsonReporter(stream)
    if stream.isatty() and _rich_is_installed():
        return BarReporter(stream)
    return LineReporter(stream)


def amount_text(amount: int, unit: str) -> str:
    """`12.3 MB` for bytes, `57 packages` for anything else."""
    if unit != "bytes":
        return f"{amount} {unit}".rstrip()
    size = float(amount)
    for suffix in ("B", "kB", "MB", "GB"):
        if size < 1000 or suffix == "GB":
            return f"{size:.0f} {suffix}" if suffix == "B" else f"{size:.1f} {suffix}"
        size /= 1000
    raise AssertionError("unreachable")


def _rich_is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("rich") is not None


def _new_bars(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=Console(file=stream),
        transient=True,
    )
