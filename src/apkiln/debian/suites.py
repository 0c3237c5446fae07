"""Which of the machine's sources make the suite that is asked for (spec debian.md §11; platform.md §5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apkiln.core.errors import ConflictError, UnavailableError, UsageError
from apkiln.core.origin import Origin
from apkiln.formats.deb.sources import Source

ORIGINS = ("Debian", "Ubuntu")
"""Values of a release's `Origin` that count when the sources are the machine's own."""
UPDATES = ("", "-updates", "-security", "/updates")
"""What follows the base name in the suites that belong together; backports and proposed updates do not."""

ROLLING = ("sid", "unstable")
"""Suites that have no updates beside them."""


def select_sources(sources: Sequence[Source], suite: str) -> tuple[Source, ...]:
    """The base suite and its updates, in the order of the sources.

    `suite`: a base name such as `bookworm`; empty = the one the sources have.  A suite that is not configured is looked for
    where the configured one lies: the same archives with the other name.  Raises UsageError (`ambiguous-suite`),
    UnavailableError (`no-archive`).
    """
    usable = [source for source in sources if source.components and _ending(source.suite) is not None]
    bases = list(dict.fromkeys(_base(source.suite) for source in usable))
    if not bases:
        raise UnavailableError(
            "no source of the distribution itself is configured",
            reason="no-archive",
            hint="name a source list with `--sources FILE` and its keyring with `--keyring FILE`",
        )
    if not suite and len(bases) > 1:
        raise UsageError(
            f"several suites are configured: {', '.join(bases)}", reason="ambiguous-suite", hint="choose one with `--suite`"
        )
    wanted = suite or bases[0]
    if wanted in bases:
        return tuple(source for source in usable if _base(source.suite) == wanted)
    alike = [source for source in usable if _base(source.suite) == bases[0]]
    endings = [_ending(source.suite) or "" for source in alike]
    return tuple(
        replace(source, suite=wanted + ending)
        for source, ending in zip(alike, endings, strict=True)
        if not ending or wanted not in ROLLING
    )


def base_suite(sources: Sequence[Source]) -> str:
    """The base name that selected sources have in common."""
    return _base(sources[0].suite)


def check_same_suite(recorded: str, suite: str, origin: Origin) -> None:
    """A repository holds one suite: names and library versions change between them (§9 "time_t transition", §14 row 17).

    `recorded`: base name of earlier imports, empty when there are none.  Raises ConflictError (`suite-mixed`).
    """
    if recorded and recorded != suite:
        raise ConflictError(
            f"the repository holds packages of `{recorded}`, not of `{suite}`",
            reason="suite-mixed",
            origin=origin,
            hint="import each suite into a repository of its own",
        )


def _ending(suite: str) -> str | None:
    """The known ending of a suite's name, None for suites that are no part of a release (backports, experimental lines)."""
    for ending in UPDATES:
        base = suite.removesuffix(ending)
        if suite.endswith(ending) and base and "-" not in base and "/" not in base:
            return ending
    return None


def _base(suite: str) -> str:
    return suite.removesuffix(_ending(suite) or "")
