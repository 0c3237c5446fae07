"""Paths inside archives and trees: the one place where they are checked and joined (spec apk.md §12.3 "names").

The form used everywhere: relative, `/` between components, no `./`, no leading or trailing slash, never empty.
"""

from __future__ import annotations

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern

CONTROL = pattern("[\x00-\x1f\x7f]")
"""Characters that no path, link target or field may hold: they would inject lines into text databases."""
_SUSPECT = pattern(r"[\x00-\x1f\x7f]|//|(?:^|/)\.\.?(?:/|$)|^/|/$|^$")


def fault(path: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """The first rule `path` breaks, as a reason, or "" when it is good.

    Reasons: `name-empty`, `name-absolute`, `name-control-character`, `name-double-slash`, `name-trailing-slash`,
    `name-dot-component`, `name-dot-dot-component`, `name-too-long`, `name-component-too-long`.  Lengths count UTF-8 bytes.
    """
    if _SUSPECT.search(path) is not None:
        return _suspect_fault(path)
    length = len(path) if path.isascii() else len(path.encode("utf-8", "surrogateescape"))
    if length <= limits.name:
        return ""
    if length > limits.path:
        return "name-too-long"
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in path.split("/"))
    return "name-component-too-long" if longest > limits.name else ""


def _suspect_fault(path: str) -> str:
    if not path:
        return "name-empty"
    if CONTROL.search(path):
        return "name-control-character"
    if path.startswith("/"):
        return "name-absolute"
    if "//" in path:
        return "name-double-slash"
    if path.endswith("/"):
        return "name-trailing-slash"
    return "name-dot-dot-component" if ".." in path.split("/") else "name-dot-component"


def check(path: str, *, limits: Limits = DEFAULT_LIMITS, origin: Origin = NOWHERE) -> str:
    """`path` itself when it is good; else FormatError with the reason of `fault`."""
    reason = fault(path, limits)
    if reason:
        raise FormatError(f"the path {path!r} breaks the rule `{reason}`", reason=reason, origin=origin)
    return path


def join(base: str, path: str) -> str:
    """`base` and a foreign relative `path` as one path that lies below `base`.

    The only way foreign names become longer paths.  `base` may be "" (the root of a tree) or any trusted prefix, absolute
    ones included; `path` is checked.  Raises FormatError with the reasons of `fault`.
    """
    check(path)
    if not base:
        return path
    return f"{base}{path}" if base.endswith("/") else f"{base}/{path}"


def printable(text: str) -> str:
    """`text` for messages and terminals: what is not printable is written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode() for letter in text
    )


def parent(path: str) -> str:
    """The path of the directory that holds `path`; "" is the root."""
    return path.rpartition("/")[0]


def resolve_target(link: str, target: str) -> str | None:
    """The path, inside the root, that the symlink at `link` with text `target` names; "" is the root.

    Lexical: an absolute target starts at the root, `..` goes up one component.  None when the target is empty, holds a
    control character, or climbs out of the root (a running system would clamp it; an archive that needs that is suspect).
    """
    if not target or CONTROL.search(target):
        return None
    parts = [] if target.startswith("/") else link.split("/")[:-1]
    for component in target.split("/"):
        if component == "..":
            if not parts:
                return None
            parts.pop()
        elif component not in ("", "."):
            parts.append(component)
    return "/".join(parts)
