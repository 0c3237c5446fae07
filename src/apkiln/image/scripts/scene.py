"""What a script would find: files of the image, accounts that exist by then."""

from __future__ import annotations

from typing import Protocol

from apkiln.core.errors import ConfigurationError
from apkiln.formats.archive.entry import EntryType
from apkiln.image.generated.draft import Draft

PROGRAM_DIRECTORIES = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")


class Scene(Protocol):
    """Questions that scripts ask."""

    def kind(self, path: str, *, follow: bool = True) -> EntryType | None:
        """What is at an absolute path; None = nothing."""

    def size(self, path: str) -> int:
        """Bytes of the file at a path, links followed; 0 for everything else."""

    def is_program(self, name: str) -> bool:
        """Whether a program of this name, or at this path, is in the image."""

    def has_account(self, table: str, name: str) -> bool:
        """Whether `name`, or the number it is, is in `passwd`, `group` or `shadow`."""


class DraftScene:
    """The scene of an unfinished tree."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def kind(self, path: str, *, follow: bool = True) -> EntryType | None:
        entry = self._draft.entry(self._place(path, follow=follow) or "")
        return entry.type if entry is not None else None

    def size(self, path: str) -> int:
        entry = self._draft.entry(self._place(path, follow=True) or "")
        return entry.size if entry is not None and entry.type is EntryType.FILE else 0

    def is_program(self, name: str) -> bool:
        places = [name] if "/" in name else [f"/{directory}/{name}" for directory in PROGRAM_DIRECTORIES]
        return any(self._draft.file_at(place.strip("/")) for place in places)

    def has_account(self, table: str, name: str) -> bool:
        path = f"etc/{table}"
        if not self._draft.file_at(path):
            return False
        rows = [line.split(":") for line in self._draft.read(path).decode("utf-8", "replace").splitlines()]
        return any(row[0] == name or (len(row) > 2 and row[2] == name) for row in rows)

    def _place(self, path: str, *, follow: bool) -> str:
        """Where a path leads; "" when it leads nowhere, or is the root."""
        clean = path.strip("/")
        try:
            return self._draft.resolve(clean) if follow else self._draft.resolve_parent(clean)
        except ConfigurationError:
            return ""
