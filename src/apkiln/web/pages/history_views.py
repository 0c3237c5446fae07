"""Pages about what happened: generations, their differences, transactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from apkiln.repository.browsing.differences import Difference, difference, rows_of
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.state import ENDED, Generation, RepositoryState, Step, Transaction
from apkiln.repository.transactions import is_approved, needs_approval
from apkiln.web.pages.questions import excerpt, number_of
from apkiln.web.pages.visit import Page, Visit, missing

ROWS = 50
CHANGES = 200
"""Names of a difference."""
FILES = 200
"""Declared files of a transaction."""
PATH = (Step.OPEN, Step.UPLOADED, Step.VERIFIED, Step.INDEXED, Step.LIVE)
REFRESH_SECONDS = 2


class GenerationRow(NamedTuple):
    """One generation in a list."""

    number: int
    live_at: int
    packages: int
    """Lines of all indexes."""
    added: int
    removed: int
    transactions: tuple[int, ...]
    summary: str
    views: tuple[str, ...]
    """Names that somebody gave it."""


class TransactionRow(NamedTuple):
    """One transaction in a list."""

    number: int
    step: str
    actor: str
    reason: str
    summary: str
    opened: int
    changed: int
    generation: int
    is_running: bool


def generations(visit: Visit) -> Page:
    """Newest first."""
    with visit.shelf.reading() as state:
        part = excerpt(visit.question, state.current, ROWS)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        newest = state.current - part.start
        numbers = range(newest, max(0, newest - part.size), -1)
        rows = [_generation_row(visit, state, state.generations[number]) for number in numbers]
        current = state.current
    return Page("generations.html", {"rows": rows, "part": part, "current": current})


def _generation_row(visit: Visit, state: RepositoryState, generation: Generation) -> GenerationRow:
    turnover = visit.inventory.turnover[generation.number]
    numbers = generation.indexed.transactions
    return GenerationRow(
        generation.number,
        generation.live_at,
        sum(index.packages for index in generation.indexed.arches),
        len(turnover.added),
        len(turnover.removed),
        numbers,
        "; ".join(summary(state.transactions[number]) for number in numbers[:3]) + ("; …" if len(numbers) > 3 else ""),
        tuple(sorted(name for name, number in state.views.items() if number == generation.number)),
    )


def generation(visit: Visit, text: str) -> Page:
    """One generation: its indexes, who made it, what it changed."""
    number = number_of(text)
    with visit.shelf.reading() as state:
        found = state.generations.get(number or 0)
        if found is None or number is None:
            return missing(f"no generation {text}")
        changes = _difference(visit, found.number - 1, found.number)
        part = excerpt(visit.question, len(changes), CHANGES)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        values = {
            "generation": found,
            "row": _generation_row(visit, state, found),
            "current": state.current,
            "transactions": transaction_rows(state.transactions[item] for item in found.indexed.transactions),
            "changes": rows_of(visit.inventory, changes, part.of(changes.names)),
            "part": part,
            "is_collected": found.document in state.removed,
        }
    return Page("generation.html", values)


def differences(visit: Visit) -> Page:
    """What changed between two generations; 0 is the empty one, and without a question it is the last step."""
    with visit.shelf.reading() as state:
        current = state.current
        before = visit.question.number("from", max(0, current - 1))
        after = visit.question.number("to", current)
        if before is None or after is None or max(before, after) > current:
            wrong = visit.question.text("from" if before is None or before > current else "to")
            return missing(f"no generation {wrong}")
        changes = _difference(visit, before, after)
        part = excerpt(visit.question, len(changes), CHANGES)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        values = {
            "before": before,
            "after": after,
            "current": current,
            "changes": rows_of(visit.inventory, changes, part.of(changes.names)),
            "part": part,
            "added": len(changes.added),
            "removed": len(changes.removed),
        }
    return Page("differences.html", values)


def _difference(visit: Visit, before: int, after: int) -> Difference:
    return visit.shelf.recent.get(("difference", before, after), lambda: difference(visit.inventory, before, after))


def transactions(visit: Visit) -> Page:
    """Newest first, of one state or of all."""
    wanted = visit.question.text("state")
    steps = {step.value: step for step in Step}
    if wanted not in ("", "running", *steps):
        return missing(f"no state {wanted}")
    with visit.shelf.reading() as state:
        chosen = _chosen(state, wanted, steps)
        part = excerpt(visit.question, len(state.transactions) if chosen is None else len(chosen), ROWS)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        if chosen is None:
            chosen = list(islice(reversed(state.transactions.values()), part.start, part.start + part.size))
        else:
            chosen = chosen[part.start : part.start + part.size]
        rows = transaction_rows(chosen)
        running = len(state.unfinished)
    values = {"rows": rows, "part": part, "wanted": wanted, "states": ("running", *steps), "running": running}
    return Page("transactions.html", values | _refreshing(visit, is_running=bool(running)))


def _chosen(state: RepositoryState, wanted: str, steps: dict[str, Step]) -> list[Transaction] | None:
    """None = all of them."""
    if not wanted:
        return None
    if wanted == "running":
        return [state.transactions[number] for number in reversed(state.unfinished)]
    step = steps[wanted]
    if step not in ENDED:
        return [item for item in (state.transactions[number] for number in reversed(state.unfinished)) if item.step is step]
    return [item for item in reversed(state.transactions.values()) if item.step is step]


def _refreshing(visit: Visit, *, is_running: bool) -> dict[str, object]:
    """A page follows what runs only when somebody asks for it, and stops when nothing runs any more."""
    asked = visit.question.text("follow") == "1"
    return {"refresh": REFRESH_SECONDS if asked and is_running else 0, "can_follow": is_running}


def transaction(visit: Visit, text: str) -> Page:
    """One transaction: where it is on its way, what it does, what speaks against it."""
    number = number_of(text)
    with visit.shelf.reading() as state:
        found = state.transactions.get(number or 0)
        if found is None:
            return missing(f"no transaction {text}")
        part = excerpt(visit.question, len(found.manifest.files), FILES)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        is_running = found.step not in ENDED
        values = {
            "transaction": found,
            "row": _row(found),
            "path": _path(found),
            "files": part.of(found.manifest.files),
            "part": part,
            "waits": _waits(visit, found),
            "pending": [place for place, item in sorted(state.pending.items()) if item == found.number],
            "accepted": {file: (file.arch, file.name, file.version) in state.accepted for file in part.of(found.manifest.files)},
        }
    return Page("transaction.html", values | _refreshing(visit, is_running=is_running))


def _waits(visit: Visit, transaction: Transaction) -> bool:
    """Whether a second person must agree before it goes on."""
    if not visit.shelf.service.policy.two_persons or transaction.step not in (Step.UPLOADED, Step.VERIFIED):
        return False
    return needs_approval(transaction.manifest) and not is_approved(transaction)


def _path(transaction: Transaction) -> Sequence[tuple[str, str]]:
    """The steps in order, each `done`, `now` or `ahead`; what ended early ends there."""
    if transaction.step in (Step.REJECTED, Step.ABORTED):
        done = [Step.OPEN] if transaction.step is Step.ABORTED else [Step.OPEN, Step.UPLOADED]
        return [*((step.value, "done") for step in done), (transaction.step.value, "now")]
    place = PATH.index(transaction.step)
    return [(step.value, "done" if n < place else "now" if n == place else "ahead") for n, step in enumerate(PATH)]


def transaction_rows(transactions: Iterable[Transaction]) -> list[TransactionRow]:
    """What lists say of them."""
    return [_row(transaction) for transaction in transactions]


def _row(transaction: Transaction) -> TransactionRow:
    return TransactionRow(
        transaction.number,
        transaction.step.value,
        transaction.actor,
        transaction.reason,
        summary(transaction),
        transaction.opened,
        transaction.changed,
        transaction.generation,
        transaction.step not in ENDED,
    )


def summary(transaction: Transaction) -> str:
    """What a transaction does, in a few words."""
    manifest: Manifest = transaction.manifest
    found = []
    if manifest.files:
        first = manifest.files[0]
        arches = sorted({file.arch for file in manifest.files})
        names = {file.name for file in manifest.files}
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(f"publish {first.name}-{first.version}{more} for {', '.join(arches)}")
    for verb, selections in (("withdraw", manifest.withdraw), ("restore", manifest.restore)):
        if selections:
            more = f" and {len(selections) - 1} more" if len(selections) > 1 else ""
            found.append(f"{verb} {selections[0].origin}-{selections[0].version}{more}")
    found += [f"key {change.name} becomes {change.state}" for change in manifest.keys[:2]]
    if manifest.rollback:
        found.append(f"go back to generation {manifest.rollback}")
    return ", ".join(found) or "publish packages"
