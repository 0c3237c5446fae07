"""JSON with one byte form for one value: sorted or given key order, UTF-8, no spaces, no final newline."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """Bytes of `value`; keys in insertion order unless `sort_keys`.

    Raises ValueError on floats and NaN, which have no one form.
    """
    import json

    return _without_floats(json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)).encode()


def encode_pretty(value: Any) -> bytes:
    """The form for people and files on disk: two-space indent, insertion order, final newline."""
    import json

    return _without_floats(json.dumps(value, ensure_ascii=False, indent=2)).encode() + b"\n"


def _without_floats(text: str) -> str:
    """The text, if no number in it is a float.  Reading it back is several times faster than a walk over the value."""
    import json

    json.loads(text, parse_float=_refuse, parse_constant=_refuse)
    return text


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} has no canonical JSON form")
