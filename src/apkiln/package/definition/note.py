"""A remark on a definition."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin


class Note(NamedTuple):
    """Something legal that is probably not meant."""

    message: str
    origin: Origin
