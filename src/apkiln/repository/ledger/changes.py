"""What transactions would do to a state, as values; the state is left as it is.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apkiln.formats.apk.version import sort_key
from apkiln.repository.ledger.actions import KeyChange, Selection
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.state import RepositoryState, Status, Transaction


class Changes(NamedTuple):
    """What one or several transactions do, all names resolved."""

    publish: tuple[Package, ...] = ()
    withdraw: tuple[Key, ...] = ()
    restore: tuple[Key, ...] = ()
    aside: tuple[Key, ...] = ()
    back: tuple[Key, ...] = ()
    """Set aside by a rollback, and now taken back by another one."""
    keys: tuple[KeyChange, ...] = ()

    @property
    def touched(self) -> frozenset[Key]:
        published = (package.key for package in self.publish)
        return frozenset((*published, *self.withdraw, *self.restore, *self.aside, *self.back))

    def joined(self, other: Changes) -> Changes:
        return Changes(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[arg-type]


class ListingChange(NamedTuple):
    """The difference that changes make to what the current index lists."""

    added: tuple[Package, ...] = ()
    removed: tuple[Package, ...] = ()


def changes_of(state: RepositoryState, transactions: Iterable[Transaction]) -> Changes:
    """What transactions do to this very state; they must not touch each other's packages."""
    found = Changes()
    for transaction in transactions:
        found = found.joined(_changes(state, transaction))
    return found


def _changes(state: RepositoryState, transaction: Transaction) -> Changes:
    manifest = transaction.manifest
    aside: tuple[Key, ...] = ()
    back: tuple[Key, ...] = ()
    if manifest.rollback:
        aside, back = _rollback(state, manifest.rollback)
    return Changes(
        publish=tuple(item for item in transaction.packages if _is_news(state, item)),
        withdraw=_with_status(state, manifest.withdraw, (Status.LIVE, Status.ASIDE)),
        restore=_with_status(state, manifest.restore, (Status.WITHDRAWN,)),
        aside=aside,
        back=back,
        keys=manifest.keys,
    )


def _is_news(state: RepositoryState, package: Package) -> bool:
    known = state.accepted.get(package.key)
    return known is None or (known.status is Status.ASIDE and known.package.content == package.content)


def _with_status(state: RepositoryState, selections: Sequence[Selection], wanted: tuple[Status, ...]) -> tuple[Key, ...]:
    keys = dict.fromkeys(key for selection in selections for key in state.resolve(selection))
    return tuple(key for key in keys if state.accepted[key].status in wanted)


def _rollback(state: RepositoryState, generation: int) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """(set aside, taken back): what that generation lists is live afterwards, except what was withdrawn meanwhile (I8)."""
    then = {key for key, accepted in state.accepted.items() if accepted.is_listed_in(generation)}
    aside = (key for key, accepted in state.accepted.items() if accepted.status is Status.LIVE and key not in then)
    back = (key for key in then if state.accepted[key].status is Status.ASIDE)
    return tuple(aside), tuple(sorted(back))


def listing_change(state: RepositoryState, changes: Changes) -> ListingChange:
    """What changes do to the current indexes; this state is left as it is."""
    live: dict[tuple[str, str], set[Key]] = {}
    incoming = {package.key: package for package in changes.publish}
    for key in changes.touched:
        live.setdefault((key.arch, key.name), set(state.names.get((key.arch, key.name), ())))
    for key in (*incoming, *changes.restore, *changes.back):
        live[key.arch, key.name].add(key)
    for key in (*changes.withdraw, *changes.aside):
        live[key.arch, key.name].discard(key)
    added: list[Package] = []
    removed: list[Package] = []
    for (arch, name), keys in sorted(live.items()):
        before, after = state.listed(arch, name), ordered(keys)[-state.keep :]
        added += [_package(state, key, incoming) for key in after if key not in before]
        removed += [state.accepted[key].package for key in before if key not in after]
    return ListingChange(tuple(added), tuple(removed))


def _package(state: RepositoryState, key: Key, incoming: dict[Key, Package]) -> Package:
    known = state.accepted.get(key)
    return known.package if known is not None else incoming[key]


def ordered(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Oldest version first."""
    return tuple(sorted(keys, key=lambda key: (sort_key(key.version), key.version)))
