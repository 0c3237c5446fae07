"""Trigger globs of installed packages: `lib/apk/db/triggers` (spec apk.md §4)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.dependency import identity_digest
from apkiln.formats.apk.identity import identity_text
from apkiln.formats.archive.path import CONTROL


class InstalledTriggers(NamedTuple):
    """The globs of one package."""

    identity: bytes
    globs: tuple[str, ...]
    """Absolute, with path semantics; a leading `+` restricts to modified directories."""


def parse_triggers(content: bytes) -> tuple[InstalledTriggers, ...]:
    """Lines `Q1<identity> <glob> …` in order; empty lines are skipped.

    All faults together, with their line: FormatError `triggers-not-utf8`, `triggers-identity`, `triggers-glob`,
    `triggers-twice`.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise FormatError("the file is not UTF-8", reason="triggers-not-utf8", origin=Origin(member="triggers")) from None
    faults = FaultCollector.empty()
    found: dict[bytes, InstalledTriggers] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        first, *globs = line.split(" ")
        item = InstalledTriggers(identity_digest(first) or b"", tuple(glob for glob in globs if glob))
        reason = _reason(item) or ("triggers-twice" if item.identity in found else "")
        if reason:
            message = f"{line[:80]!r} breaks the rule `{reason}`"
            faults.add(FormatError(message, reason=reason, origin=Origin(member="triggers", line=number)))
        found[item.identity] = item
    faults.raise_if_any()
    return tuple(found.values())


def _reason(item: InstalledTriggers) -> str:
    if not item.identity:
        return "triggers-identity"
    return "" if item.globs and all(is_glob(glob) for glob in item.globs) else "triggers-glob"


def is_glob(text: str) -> bool:
    """Whether `text` can be a trigger: absolute after an optional `+`, no space or control character."""
    return text.removeprefix("+").startswith("/") and " " not in text and CONTROL.search(text) is None


def write_triggers(items: Iterable[InstalledTriggers]) -> bytes:
    """The file, in the given order; packages without globs have no line.  FormatError `triggers-glob`."""
    lines = []
    for item in items:
        for glob in item.globs:
            if not is_glob(glob):
                raise FormatError(f"{glob!r} cannot be a trigger", reason="triggers-glob", origin=Origin(member="triggers"))
        if item.globs:
            lines.append(" ".join((identity_text(item.identity), *item.globs)) + "\n")
    return "".join(lines).encode()
