"""A remark on a definition."""

from __future__ import annotations

from typing import NamedTuple

from apkiln.core.origin import Origin


class Note(NamedTuple):
    """Something legal that is probably not meant."""

    message: str
    origin: Origin
