"""The frozen settings every command gets: read once from argv and the environment, passed down as arguments."""

from __future__ import annotations

from collections.abc import Mapping

from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.value import value


@value
class Settings:
    """Everything ambient, made explicit."""

    working_directory: str
    """Absolute path; relative arguments are relative to it."""
    cache_directory: str
    """Root of the content-addressed store."""
    environment: Mapping[str, str]
    """The process environment, read-only."""
    offline: bool = False
    """True: no socket is opened."""
    jobs: int = 2
    """Upper bound on worker threads."""
    verbosity: int = 0
    """-1 quiet, 0 normal, 1 and more: details."""
    json: bool = False
    """Print data as JSON, and errors too."""
    color: bool = False
    """Colour may be used on the error stream."""
    limits: Limits = DEFAULT_LIMITS


def cache_directory(environment: Mapping[str, str], flag: str | None) -> str:
    """The flag, else `APKILN_CACHE`, else `$XDG_CACHE_HOME/apkiln`, else `$HOME/.cache/apkiln`."""
    if flag:
        return flag
    if environment.get("APKILN_CACHE"):
        return environment["APKILN_CACHE"]
    base = environment.get("XDG_CACHE_HOME") or environment.get("HOME", "/") + "/.cache"
    return f"{base}/apkiln"
