"""`/etc/apk/repositories`: where the running system would fetch from (spec image.md §2.1, §5.1 step 17).

Runtime and shared repositories and those appended on the command line; what only the build used does not appear, nor does
any user name or password of a URL.
"""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import Contents, RepositoryEntry
from apkiln.image.generated.draft import Draft

PATH = "etc/apk/repositories"


def repositories_text(entries: Iterable[RepositoryEntry], before: Iterable[str] = ()) -> bytes:
    """One entry a line in the given order, the first of equal ones kept, credentials left out.  `before`: lines of a base."""
    lines = (*before, *(entry.redacted for entry in entries))
    return "".join(f"{text}\n" for text in dict.fromkeys(lines)).encode()


def repositories(draft: Draft, contents: Contents, before: Iterable[str] = ()) -> None:
    """Rule `apk-repositories`.  `before`: lines of the base image, which its packages are still upgraded from."""
    written = (*contents.repositories, *contents.runtime_repositories)
    draft.put("apk-repositories", Entry(PATH, EntryType.FILE), repositories_text(written, before))
