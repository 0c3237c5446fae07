"""Which files hold a licence, by their names (spec package.md §15.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PREFERRED = r"\.(?:md|markdown|txt|html)"
_ANY = r"\.[^./]+"
_NAMES = tuple(
    (re.compile(pattern, re.IGNORECASE), weight)
    for pattern, weight in (
        (r"(?:un)?licen[sc]e", 1.00),
        (rf"(?:un)?licen[sc]e{_PREFERRED}", 0.95),
        (r"copy(?:ing|right)", 0.90),
        (rf"copy(?:ing|right){_PREFERRED}", 0.85),
        (rf"(?:un)?licen[sc]e{_ANY}", 0.80),
        (rf"copy(?:ing|right){_ANY}", 0.75),
        (r"(?:un)?licen[sc]e[-_].+", 0.70),
        (r"copy(?:ing|right)[-_].+", 0.65),
        (rf".+[-_](?:un)?licen[sc]e(?:{_ANY})?", 0.60),
        (rf".+[-_]copy(?:ing|right)(?:{_ANY})?", 0.55),
        (rf"ofl{_PREFERRED}", 0.50),
        (rf"ofl{_ANY}", 0.45),
        (r"ofl", 0.40),
        (r"patents", 0.35),
        (rf"patents{_ANY}", 0.30),
    )
)
_AT_ROOT = 0.5
_NEVER = (".xml", ".go", ".gemspec", ".spdx", ".header")
_FOREIGN = frozenset({".virtualenv", "env", "venv", "node_modules", "rust-src", "rustc-src", "melange-out"})
_VERSION = re.compile(r"-\d[\d.]*(?=-|/|$)")
SHALLOW = 2
"""Components of a path that lies near the root."""


def weight(path: str) -> float:
    """How likely the file at a path, relative with `/`, holds the licence of the whole: 0 = not at all, up to 1.5."""
    *directories, name = path.split("/")
    if name.lower().endswith(_NEVER) or _FOREIGN & {_VERSION.sub("", part) for part in directories}:
        return 0.0
    plain = _VERSION.sub("", name)
    for pattern, value in _NAMES:
        if pattern.fullmatch(plain) or pattern.fullmatch(name):
            return value + (0.0 if directories else _AT_ROOT)
    return 0.0


def licence_files(paths: Iterable[str], *, deep: bool = True) -> tuple[str, ...]:
    """Those that hold a licence, likeliest first, then by name.  Not `deep`: at most two components and nothing vendored."""
    found = [(-weight(path), path) for path in paths if deep or _is_near(path)]
    return tuple(path for value, path in sorted(found) if value)


def _is_near(path: str) -> bool:
    parts = path.split("/")
    return len(parts) <= SHALLOW and "vendor" not in parts
