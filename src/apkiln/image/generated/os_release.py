"""Single keys of `/etc/os-release` set by the definition (spec image.md §2.3 `os-release`)."""

from __future__ import annotations

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import Pairs
from apkiln.image.generated.draft import Draft

RULE = "os-release"
PATH = "etc/os-release"


def os_release(draft: Draft, overrides: Pairs) -> None:
    """Rule `os-release`: lines of the keys are replaced in place, new keys appended; the file is made when it is missing."""
    if not overrides:
        return
    place = draft.file_at(PATH) or draft.resolve(PATH)
    entry = draft.entry(place) or Entry(place, EntryType.FILE)
    before = draft.read(place).decode("utf-8", "surrogateescape") if draft.exists(place) else ""
    text = overridden(before, dict(overrides))
    draft.put(RULE, entry._replace(type=EntryType.FILE, target=""), text.encode("utf-8", "surrogateescape"))


def overridden(text: str, overrides: dict[str, str]) -> str:
    """The text with each key set once."""
    waiting = dict(overrides)
    lines = []
    for line in text.splitlines():
        key = line.partition("=")[0].strip()
        if key not in overrides:
            lines.append(line)
        elif key in waiting:
            lines.append(f"{key}={quoted(waiting.pop(key))}")
    lines += [f"{key}={quoted(value)}" for key, value in waiting.items()]
    return "".join(f"{line}\n" for line in lines)


def quoted(value: str) -> str:
    """As os-release wants it: bare when it holds only letters, digits and `._-`, else in double quotes with escapes."""
    if value and all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in value):
        return value
    escaped = "".join(f"\\{letter}" if letter in '"\\$`' else letter for letter in value)
    return f'"{escaped}"'
