"""`/etc/apk/arch`: the architecture of the root, for apk (spec apk.md §4)."""

from __future__ import annotations

from apkiln.core.arch import Arch
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft


def architecture(draft: Draft, arch: Arch) -> None:
    """Rule `apk-arch`."""
    draft.put("apk-arch", Entry("etc/apk/arch", EntryType.FILE), f"{arch.apk}\n".encode())
