"""Garbage: which blobs nothing needs any more, marked first and removed a grace time later (spec repository.md §7, I11).

Both phases are ledger rows.  The row comes before the bytes go: whoever dies in between leaves bytes that are removed by
the next run, and never a served name without bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError
from apkiln.repository.equipment import Policy
from apkiln.repository.generations import retained_generations
from apkiln.repository.ledger.actions import AnyAction, Marked, Removed
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import RepositoryState, Status, Step
from apkiln.repository.service import RepositoryService
from apkiln.repository.transactions import declared_blobs


class Collection(NamedTuple):
    """What a run did."""

    kept: int
    marked: tuple[str, ...]
    """Hex digests that nothing needs, and that wait."""
    removed: tuple[str, ...]
    """Hex digests whose bytes are gone now."""


def needed_blobs(state: RepositoryState, now: int, policy: Policy, locked: Iterable[str] = ()) -> frozenset[str]:
    """Hex digests of everything that must stay; pure.  `now`: Unix milliseconds; `locked`: what image locks name."""
    held = [number for number, until in state.holds.items() if isinstance(number, int) and until * 1000 > now]
    retained = retained_generations(
        state.generations.values(), (*state.views.values(), *held), now, policy.full_days, policy.daily_days
    )
    needed = set(locked)
    needed.update(blob for blob, until in state.holds.items() if isinstance(blob, str) and until * 1000 > now)
    for number in retained & state.generations.keys():
        generation = state.generations[number]
        indexed = generation.indexed
        needed.update((generation.document, generation.signature, indexed.document, indexed.signature, indexed.sums))
        needed.update(index.sha256 for index in indexed.arches)
    if state.candidate is not None:
        needed.update((state.candidate.document, state.candidate.signature, state.candidate.sums))
        needed.update(index.sha256 for index in state.candidate.arches)
    numbers = sorted(retained)
    for accepted in state.accepted.values():
        kept = accepted.status is Status.WITHDRAWN or any(_covers(numbers, *span) for span in accepted.listed)
        if kept and accepted.status is not Status.COLLECTED:
            needed.add(accepted.package.digest)
    for number in state.unfinished:
        transaction = state.transactions[number]
        needed.update(declared_blobs(transaction.manifest))
        needed.update(package.digest for package in transaction.packages)
    return frozenset(needed)


def known_blobs(state: RepositoryState) -> frozenset[str]:
    """Hex digests of what went live at some time: what of it is not needed any more waits for a sweep, and is no surprise."""
    live = [item for item in state.transactions.values() if item.step is Step.LIVE]
    known = {blob for item in live for blob in declared_blobs(item.manifest)}
    known.update(package.digest for item in live for package in item.packages)
    for generation in state.generations.values():
        indexed = generation.indexed
        known.update((generation.document, generation.signature, indexed.document, indexed.signature, indexed.sums))
        known.update(index.sha256 for index in indexed.arches)
    return frozenset(known)


def _covers(numbers: Sequence[int], first: int, end: int) -> bool:
    """Whether one of the ascending `numbers` is in [first, end); an end of 0 is open."""
    place = bisect_left(numbers, first)
    return place < len(numbers) and (not end or numbers[place] < end)


def collect(
    service: RepositoryService,
    author: Author,
    locked: Iterable[str] = (),
    *,
    plan_only: bool = False,
    large: bool = False,
) -> Collection:
    """Mark what nothing needs, and remove what was marked long ago and still is not needed.

    All repositories of the database count, as they share the blobs.  ConflictError `sweep-too-large` when more than
    `largest_sweep` percent of the blobs would be marked, unless `large`.
    """
    policy, blobs = service.policy, service.equipment.blobs
    locked = tuple(locked)
    present = tuple(entry.digest.hex for entry in blobs.list())
    now = int(service.equipment.clock.now() * 1000)

    def unneeded(state: RepositoryState) -> tuple[str, ...]:
        needed = frozenset().union(*(needed_blobs(item, now, policy, locked) for item in (state, *service.neighbours())))
        return tuple(blob for blob in present if blob not in needed)

    waste = unneeded(service.refresh())
    if plan_only:
        return Collection(len(present) - len(waste), waste, _ripe(service.state, waste, now, policy))
    if len(waste) * 100 > policy.largest_sweep * len(present) and not large:
        raise ConflictError(
            f"{len(waste)} of {len(present)} blobs would be marked",
            reason="sweep-too-large",
            hint="look at the plan, and say that it may be large",
        )

    def remove(state: RepositoryState) -> tuple[AnyAction, ...]:
        ripe = _ripe(state, unneeded(state), now, policy)
        return (Removed(ripe),) if ripe else ()

    def mark(state: RepositoryState) -> tuple[AnyAction, ...]:
        marks = tuple(blob for blob in unneeded(state) if blob not in state.removed)
        return (Marked(marks),) if set(marks) != state.marked.keys() else ()

    service.append(author, remove)
    service.append(author, mark)
    gone = tuple(blob for blob in unneeded(service.state) if blob in service.state.removed)
    for blob in gone:
        blobs.remove(Digest.sha256(bytes.fromhex(blob)))
    return Collection(len(present) - len(gone), tuple(sorted(service.state.marked)), gone)


def _ripe(state: RepositoryState, unneeded: Iterable[str], now: int, policy: Policy) -> tuple[str, ...]:
    wanted = set(unneeded)
    return tuple(sorted(blob for blob, at in state.marked.items() if blob in wanted and now - at >= policy.removal_grace))
