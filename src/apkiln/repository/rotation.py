"""Keys of a repository: which changes may be, and what each key did (spec repository.md §8).

A rotation: `staged` (published, signs nothing) → `active`, the old one `retiring` (both sign) → `retired` (published, signs
no more) → `revoked` (published nowhere).  All but the last step can be taken back.  Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from apkiln.core.errors import ApkilnError, ConflictError, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.apk.keys import PublicKey, parse_public_key
from apkiln.repository.ledger.actions import SIGNING, KeyChange, KeyState
from apkiln.repository.ledger.state import RepositoryState


def key_faults(state: RepositoryState, changes: Sequence[KeyChange]) -> Iterator[ApkilnError]:
    """What speaks against changes of keys, on this state.

    ConflictError `unknown-key`, `key-revoked`, `key-name-taken` (a new key has a new name), `key-twice` (a known key under
    another name), `key-not-published` (a new key is `staged` or `active` first), `no-signing-key`; FormatError as
    `parse_public_key`.
    """
    known = {key.name: parse_public_key(key.name, key.pem.encode()) for key in state.keys.values()}
    states = {key.name: key.state for key in state.keys.values()}
    for change in changes:
        try:
            yield from _fault(change, known, states)
        except FormatError as error:
            yield error
        states[change.name] = change.state
    if changes and not any(item in SIGNING for item in states.values()):
        yield _conflict("no key would be left to sign with", "no-signing-key", changes[0].name, "make another key active first")


def _fault(change: KeyChange, known: dict[str, PublicKey], states: Mapping[str, KeyState]) -> Iterator[ConflictError]:
    before = states.get(change.name)
    if before is None and not change.pem:
        yield _conflict(f"key `{change.name}` is not known and its public half is not given", "unknown-key", change.name)
        return
    if before == "revoked" and change.state != "revoked":
        yield _conflict(f"key `{change.name}` was revoked, and stays so", "key-revoked", change.name, "make a new key")
    if before is None and change.state not in ("staged", "active"):
        yield _conflict(f"key `{change.name}` is new and cannot be {change.state}", "key-not-published", change.name)
    if change.pem:
        key = parse_public_key(change.name, change.pem.encode())
        same = known.setdefault(change.name, key)
        if same.fingerprint != key.fingerprint:
            yield _conflict(f"`{change.name}` is the name of another key", "key-name-taken", change.name)
        twins = [name for name, item in known.items() if item.fingerprint == key.fingerprint and name != change.name]
        if twins:
            yield _conflict(f"`{change.name}` is the same key as `{twins[0]}`", "key-twice", change.name)


def _conflict(message: str, reason: str, name: str, hint: str = "") -> ConflictError:
    return ConflictError(message, reason=reason, origin=Origin(source=name), hint=hint)


def promotion(state: RepositoryState, name: str) -> tuple[KeyChange, ...]:
    """The changes that make a published key sign beside the ones that sign now, which begin to retire."""
    others = [key.name for key in state.keys.values() if key.state == "active" and key.name != name]
    return (KeyChange(name, "active"), *(KeyChange(other, "retiring") for other in sorted(others)))


class KeyUse(NamedTuple):
    """One key and what it did."""

    name: str
    state: KeyState
    fingerprint: str
    """Hex SHA-256 of the SubjectPublicKeyInfo: what a key is, whatever its file is called."""
    bits: int
    changed: int
    """Unix milliseconds of its last step."""
    generations: int
    """How many generations it signed."""


def key_uses(state: RepositoryState) -> tuple[KeyUse, ...]:
    """Every key that the repository ever had, by name."""
    signed = Counter(name for generation in state.generations.values() for name in generation.indexed.keys)
    found = []
    for key in sorted(state.keys.values()):
        public = parse_public_key(key.name, key.pem.encode())
        found.append(KeyUse(key.name, key.state, public.fingerprint.hex, public.bits, key.changed, signed[key.name]))
    return tuple(found)


def signed_since(state: RepositoryState, name: str, since: int) -> tuple[int, ...]:
    """Transactions that went live with a signature of a key since a time (Unix seconds): what to look at when it leaked."""
    return tuple(
        number
        for generation in state.generations.values()
        if name in generation.indexed.keys and generation.live_at >= since * 1000
        for number in generation.indexed.transactions
    )
