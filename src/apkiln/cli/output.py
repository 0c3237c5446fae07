"""Where data and messages go: data to standard output, everything else to standard error."""

from __future__ import annotations

from apkiln.core import canonical_json
from apkiln.core.errors import ApkilnError, FaultGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class Output:
    """The data stream of a command."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def print(self, text: str = "") -> None:
        """One line of data."""
        self._stream.write(text + "\n")

    def text(self, text: str) -> None:
        """Text as it is, without a line end of its own."""
        self._stream.write(text)

    def json(self, value: Any) -> None:
        """One JSON document, two-space indent, keys in the order given."""
        self._stream.write(canonical_json.encode_pretty(value).decode())

    def bytes(self, data: bytes) -> None:
        """Raw bytes, unchanged."""
        self._stream.flush()
        self._stream.buffer.write(data)

    def flush(self) -> None:
        self._stream.flush()


def render_error(error: ApkilnError, *, color: bool) -> str:
    """The text of an error for people: message, place, details, hint; each fault of a group in turn; final newline."""
    faults = error.faults if isinstance(error, FaultGroup) else (error,)
    return "".join(_render_fault(fault, color) for fault in faults)


def _render_fault(fault: ApkilnError, color: bool) -> str:
    label = "\033[1;31merror\033[0m" if color else "error"
    lines = [f"{label}: {fault.message}"]
    place = str(fault.origin)
    if place:
        lines.append(f"  --> {place}")
    lines += [f"  {detail}" for detail in fault.details]
    if fault.hint:
        lines.append(f"  hint: {fault.hint}")
    return "\n".join(lines) + "\n"


def error_value(error: ApkilnError) -> dict[str, Any]:
    """The JSON form of an error: `{"error": {"reason", "message", "faults": […]}}`."""
    faults = error.faults if isinstance(error, FaultGroup) else (error,)
    return {"error": {"reason": error.reason, "message": error.message, "faults": [_fault_value(fault) for fault in faults]}}


def _fault_value(fault: ApkilnError) -> dict[str, Any]:
    origin = fault.origin
    place = {
        "source": origin.source,
        "line": origin.line,
        "column": origin.column,
        "member": origin.member,
        "offset": origin.offset,
        "package": origin.package,
        "digest": origin.digest,
    }
    unknown = ("", 0, -1)
    value: dict[str, Any] = {
        "reason": fault.reason,
        "kind": type(fault).__name__,
        "message": fault.message,
        "origin": {key: item for key, item in place.items() if item not in unknown or (key == "offset" and item == 0)},
        "retriable": fault.retriable,
    }
    if fault.hint:
        value["hint"] = fault.hint
    if fault.details:
        value["details"] = list(fault.details)
    return value
