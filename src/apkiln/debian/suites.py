"""Which of the machine's sources make the suite that is asked for (spec debian.md §11; platform.md §5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from apkiln.core.errors import ConflictError, UnavailableError, UsageError, VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.deb.sources import Source

ORIGINS = ("Debian", "Ubuntu")
"""Values of a release's `Origin` that count when the sources are the machine's own."""
UPDATES = ("", "-updates", "-security", "/updates")
"""What follows the base name in the suites that belong together; backports and proposed updates do not."""

MAXIMUM_SKEW = 24 * 3600
"""Seconds between snapshots that may be used together."""
_STAMP = re.compile(r"/([0-9]{8}T[0-9]{6})Z(?:/|$)")

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


def with_further_suites(sources: Sequence[Source], suites: Sequence[str]) -> tuple[Source, ...]:
    """The sources of the first suite (`select_sources`) and of suites beside it, such as `bookworm-backports` for `bookworm`.

    Raises UsageError (`other-suite`) for a suite that is not the first one's.
    """
    chosen = list(select_sources(sources, suites[0] if suites else ""))
    base = base_suite(chosen)
    for suite in suites[1:]:
        if not suite.startswith(f"{base}-"):
            message = f"`{suite}` is no suite beside `{base}`"
            raise UsageError(message, reason="other-suite", hint="import each suite into a repository of its own")
        chosen += [replace(source, suite=suite) for source in chosen if source.suite == base]
    return tuple(dict.fromkeys(chosen))


def check_instants(sources: Sequence[Source]) -> None:
    """Refuse dated snapshots that are more than a day apart, or used together with a live archive (§11).

    The date of a release file says nothing here: a stable suite is months older than its security updates.  What counts is
    the instant that the address of a snapshot archive names.  Raises VerificationError (`snapshot-skew`).
    """
    stamps = {_instant(source.uri) for source in sources}
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if known and (None in stamps or (known[-1] - known[0]).total_seconds() > MAXIMUM_SKEW):
        raise VerificationError(
            "the sources are of different instants",
            reason="snapshot-skew",
            hint="use snapshots of one day, or `--allow-skew`",
            details=[f"{source.suite}: {_instant(source.uri) or 'live'}" for source in sources],
        )


def _instant(uri: str) -> datetime | None:
    found = _STAMP.search(uri)
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%S") if found else None
    except ValueError:
        return None


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
