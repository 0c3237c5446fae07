"""What fetching needs, in one value: where to keep, how to get, how much, how many at once."""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

from apkiln.acquire.generations import Pins
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.progress import Reporter, Silent
from apkiln.core.value import value
from apkiln.system.files import FileReader
from apkiln.system.store import Store
from apkiln.system.transfer import Transfer
from apkiln.system.urls import is_http, local_path

HERE = PurePosixPath(".")


@value
class Access:
    """The objects and bounds of one run."""

    store: Store
    transfer: Transfer
    """Refuses the network by itself when the run is offline."""
    files: FileReader
    """Local repositories and keys."""
    offline: bool = False
    """True: what the cache recorded last is taken as current, and what is missing is listed in one error."""
    limits: Limits = DEFAULT_LIMITS
    reporter: Reporter = Silent()
    jobs: int = 2
    """Upper bound on threads."""
    now: int = 0
    """Unix seconds, for what expires; 0 = not known, nothing has expired."""
    allow_expired: bool = False
    """Take indexes of generations that have expired."""
    pins: Pins | None = None
    """The generations that this run began with."""
    directory: PurePath = HERE
    """What relative repository and key paths are relative to."""

    def locate(self, location: str) -> str:
        """A URL unchanged, a path or `file://` URL as a path in `directory`."""
        path = None if is_http(location) else local_path(location)
        return location if path is None else str(self.directory / path)
