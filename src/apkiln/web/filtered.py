"""Filtered views as configured: the policy with its list of rules, which is read anew as long as the service runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apkiln.core.limits import MIB
from apkiln.repository.filtering import DAY, ViewPolicy, parse_block_list
from apkiln.system.files import FileReader
from apkiln.web.configuration import ViewConfiguration

EVERY = 5.0
"""Seconds between two looks at the list."""
_LARGEST = 64 * MIB


class PolicySource:
    """Asked for each answer.  Raises what reading and parsing the list raise: without it nothing is let through."""

    def __init__(self, view: ViewConfiguration, home: Path, files: FileReader, monotonic: Callable[[], float]) -> None:
        self._view = view
        self._path = home / view.blocked if view.blocked else None
        self._files = files
        self._monotonic = monotonic
        self._known: ViewPolicy | None = None
        self._text: bytes | None = None
        self._looked = 0.0

    def __call__(self) -> ViewPolicy:
        now = self._monotonic()
        if self._known is not None and now - self._looked < EVERY:
            return self._known
        text = self._files.read(self._path, _LARGEST) if self._path is not None else b""
        if self._known is None or text != self._text:
            rules = parse_block_list(text.decode("utf-8", "replace"), str(self._path))
            denied = frozenset(item.lower() for item in self._view.denied_licenses)
            self._known = ViewPolicy(denied, self._view.minimum_age_days * DAY, rules)
        self._text, self._looked = text, now
        return self._known
