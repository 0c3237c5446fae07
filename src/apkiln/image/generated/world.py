"""`/etc/apk/world`: what was asked for, as it was asked (spec image.md §5.3)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft

PATH = "etc/apk/world"


def world_text(requests: Iterable[str]) -> bytes:
    """One request a line, sorted as apk sorts them: without regard to case, then bytewise; distinct."""
    return "".join(f"{request}\n" for request in sorted(set(requests), key=lambda text: (text.lower(), text))).encode()


def world(draft: Draft, requests: Iterable[str]) -> None:
    """Rule `apk-world`."""
    draft.put("apk-world", Entry(PATH, EntryType.FILE), world_text(requests))
