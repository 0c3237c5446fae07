"""Pages about how a repository stands: overview, incidents, what was withdrawn, keys; and the list of repositories."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from apkiln.repository.browsing.standing import last_first
from apkiln.repository.ledger.state import RepositoryState
from apkiln.web.pages.history_views import transaction_rows
from apkiln.web.pages.package_views import version_row
from apkiln.web.pages.questions import excerpt
from apkiln.web.pages.visit import Page, Shelf, Visit, missing

LAST = 8
"""Transactions on the overview."""
ROWS = 100
KEY_STATES = (
    ("staged", "published, so that clients have it before it signs"),
    ("active", "signs every new index"),
    ("retiring", "signs beside its successor until clients have that one"),
    ("retired", "signs no more; what it signed can still be checked"),
    ("revoked", "not to be trusted; no longer published"),
)


class RepositoryRow(NamedTuple):
    """One repository in the list of all."""

    name: str
    generation: int
    live_at: int
    packages: int
    """Names that an index lists."""
    arches: tuple[str, ...]
    incidents: int


def repositories(shelves: Sequence[tuple[Shelf, int]]) -> Page:
    """Those that the visitor may read, each with the number of its incidents."""
    rows = [_repository_row(shelf, incidents) for shelf, incidents in shelves]
    return Page("repositories.html", {"rows": rows})


def _repository_row(shelf: Shelf, incidents: int) -> RepositoryRow:
    with shelf.reading() as state:
        live_at = state.generations[state.current].live_at if state.current else 0
        arches = tuple(sorted(shelf.inventory.names_of))
        return RepositoryRow(shelf.service.name, state.current, live_at, len(shelf.inventory.names), arches, incidents)


def overview(visit: Visit) -> Page:
    """Where a repository stands now."""
    with visit.shelf.reading() as state:
        current = state.generations.get(state.current)
        running = [state.transactions[number] for number in state.unfinished]
        last = islice(reversed(state.transactions.values()), LAST)
        values = {
            "generation": current,
            "arches": current.indexed.arches if current else (),
            "names": len(visit.inventory.names),
            "files": len(state.accepted),
            "running": transaction_rows(running[-LAST:]),
            "waiting": len(running),
            "last": transaction_rows(last),
            "keys": state.signing_keys(),
            "views": sorted(state.views.items(), key=lambda item: (-item[1], item[0]))[:LAST],
            "pending": sorted(state.pending),
            "incidents": len(visit.incidents),
        }
    return Page("overview.html", values)


def incidents(visit: Visit) -> Page:
    """What the last comparison found, the oldest first."""
    found = sorted(visit.incidents, key=lambda item: (not item.pages, item.since))
    part = excerpt(visit.question, len(found), ROWS)
    if not part.is_there:
        return missing(f"no page {visit.question.text('page')} of this list")
    return Page("incidents.html", {"rows": part.of(found), "part": part})


def withdrawals(visit: Visit) -> Page:
    """Everything that was withdrawn, the newest first."""
    with visit.shelf.reading() as state:
        keys = visit.at("withdrawn", lambda: last_first(state, visit.inventory.withdrawn))
        part = excerpt(visit.question, len(keys), ROWS)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        rows = [version_row(state, key) for key in part.of(keys)]
    return Page("withdrawn.html", {"rows": rows, "part": part})


def keys(visit: Visit) -> Page:
    """Every key that ever was, those that sign first."""
    order = [name for name, _ in KEY_STATES]
    with visit.shelf.reading() as state:
        found = sorted(state.keys.values(), key=lambda key: (order.index(key.state), key.name))
        signed = _signed(state)
    return Page("keys.html", {"rows": found, "states": KEY_STATES, "signed": signed})


def _signed(state: RepositoryState) -> dict[str, int]:
    """Key → how many of the last hundred generations it signed."""
    counts: dict[str, int] = {}
    for number in range(max(1, state.current - 99), state.current + 1):
        for name in state.generations[number].indexed.keys:
            counts[name] = counts.get(name, 0) + 1
    return counts
