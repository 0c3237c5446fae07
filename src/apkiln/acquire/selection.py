"""A package that was chosen, and where it comes from."""

from __future__ import annotations

from apkiln.acquire.repositories import Repository
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.records import IndexRecord


class SelectedPackage(NamedTuple):
    """One package that is wanted."""

    record: IndexRecord
    """From a verified index."""
    repository: Repository
    arch: str = ""
    """apk name of the architecture whose index listed it; needed for `noarch` packages only."""
