"""JSON with one byte form for one value: sorted or given key order, UTF-8, no spaces, no final newline."""

from __future__ import annotations

import json
from typing import Any


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """Bytes of `value`; keys in insertion order unless `sort_keys`.

    Raises ValueError on floats and NaN, which have no one form.
    """
    _refuse_floats(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys).encode()


def encode_pretty(value: Any) -> bytes:
    """The form for people and files on disk: two-space indent, insertion order, final newline."""
    _refuse_floats(value)
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError(f"{value!r} has no canonical JSON form")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)
