"""Backups: whole at every moment, going on where the last one ended, and a restored service is the service it was (I14)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.crash_faults import FAULTS, Fuse, FusedBlobs, FusedLedgers
from tests.sample_packages import sample_package
from tests.service_workshop import (
    ALICE,
    Places,
    created,
    hex_of,
    key_change,
    manifest_of,
    names,
    places,
    publish,
    selection,
    started,
    upload,
)

from tests.service_workshop import NEW, OLD  # isort: skip

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, ConflictError, VerificationError
from apkiln.repository.backing_up import Copied, Keeping, copy_repository
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.state import Step
from apkiln.repository.reconciling import compare
from apkiln.system.blob_store import MemoryBlobs
from apkiln.system.ledger_store import MemoryLedgers
from apkiln.system.memory_files import Crash

FREE = Policy(sign_packages=False, two_persons=False)


def copied(source: Places, target: Places) -> Copied:
    now = int(source.clock.now() * 1000)
    return copy_repository("os", Keeping(source.ledgers, source.blobs), Keeping(target.ledgers, target.blobs), Policy(), now)


def busy() -> Places:
    """A repository with something of everything."""
    where = places()
    service = created(where, FREE)
    publish(service, sample_package("a"), sample_package("b"))
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("b")),)))
    service.run(ALICE, Manifest(keys=(key_change(NEW, "active"), key_change(OLD, "retiring"))))
    opened = service.open(ALICE, manifest_of(sample_package("half")))
    assert opened.step is Step.OPEN
    return where


def test_a_restored_service_is_the_service_it_was() -> None:
    where, backup, again = busy(), places(), places()
    copied(where, backup)
    copied(backup, again)
    before, after = started(where, FREE), started(again, FREE)
    assert (after.state.head, after.state.accepted, after.state.current) == (
        before.state.head,
        before.state.accepted,
        before.state.current,
    )
    assert names(after) == ["a-1.0-r0"]
    assert list(compare(after, deep=True)) == []
    assert publish(after, sample_package("c")).step is Step.LIVE
    assert publish(after, sample_package("b")).step is Step.REJECTED, "withdrawn stays withdrawn (I8)"


def test_what_is_bound_for_ever_stays_so() -> None:
    """The claims of the database come along: a damaged state could not publish other bytes under an old version."""
    where, backup = busy(), places()
    copied(where, backup)
    assert isinstance(backup.ledgers, MemoryLedgers) and isinstance(where.ledgers, MemoryLedgers)
    assert backup.ledgers.claims == where.ledgers.claims


def test_a_second_backup_takes_what_is_new() -> None:
    where, backup = busy(), places()
    first = copied(where, backup)
    assert copied(where, backup)._replace(head=0) == first._replace(rows=0, blobs=0, size=0, head=0)
    publish(started(where, FREE), sample_package("c"))
    more = copied(where, backup)
    assert 0 < more.rows < first.rows
    assert names(started(backup, FREE)) == ["a-1.0-r0", "c-1.0-r0"]


def test_a_backup_of_something_else_is_left_alone() -> None:
    where, other = busy(), busy()
    publish(started(other, FREE), sample_package("x"))
    backup = places()
    copied(other, backup)
    publish(started(where, FREE), sample_package("y"))
    with pytest.raises(ConflictError) as caught:
        copied(where, backup)
    assert caught.value.reason == "backup-diverged"
    with pytest.raises(ConflictError):
        copied(places(), backup)


def test_missing_and_damaged_files_are_named() -> None:
    where, backup = busy(), places()
    assert isinstance(where.blobs, MemoryBlobs)
    lost = Digest.sha256(bytes.fromhex(hex_of(sample_package("a"))))
    del where.blobs.contents[lost]
    damaged = max(where.blobs.contents, key=lambda digest: digest.value)
    where.blobs.contents[damaged] = b"x"
    with pytest.raises(VerificationError) as caught:
        copied(where, backup)
    assert caught.value.reason == "backup-incomplete"
    assert lost.hex in caught.value.details
    assert list(backup.ledgers.rows("os")) == [], "no row names what is not there"


def test_a_ledger_that_was_changed_is_not_copied() -> None:
    where, backup = busy(), places()
    assert isinstance(where.ledgers, MemoryLedgers)
    table = where.ledgers.tables["os"]
    table[0] = table[0]._replace(text=table[0].text.replace(b'"root"', b'"mallory"'))
    with pytest.raises(VerificationError) as caught:
        copied(where, backup)
    assert caught.value.reason == "ledger-broken"


def whole(backup: Places) -> Iterable[str]:
    """What is wrong with a backup that somebody opens now."""
    if not list(backup.ledgers.rows("os")):
        return []
    return [item.kind for item in compare(started(backup, FREE), deep=True)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_backup_that_is_stopped_at_any_write_is_whole(fault: object) -> None:
    where = busy()
    fuse = Fuse()
    counted = places()
    copied(where, counted._replace(ledgers=FusedLedgers(counted.ledgers, fuse), blobs=FusedBlobs(counted.blobs, fuse)))
    assert fuse.count > 8
    for at in range(fuse.count):
        backup = places()
        blown = Fuse(at, fault)  # type: ignore[arg-type]
        with pytest.raises((ApkilnError, Crash)):
            copied(where, backup._replace(ledgers=FusedLedgers(backup.ledgers, blown), blobs=FusedBlobs(backup.blobs, blown)))
        assert whole(backup) == []
        copied(where, backup)
        assert (whole(backup), names(started(backup, FREE))) == ([], ["a-1.0-r0"])


def test_publishing_goes_on_meanwhile() -> None:
    where, backup = busy(), places()
    service = started(where, FREE)
    copied(where, backup)
    opened = service.open(ALICE, manifest_of(sample_package("later")))
    upload(service, opened, [sample_package("later")])
    copied(where, backup)
    assert service.commit(ALICE, opened.number).step is Step.LIVE
    copied(where, backup)
    assert names(started(backup, FREE)) == ["a-1.0-r0", "later-1.0-r0"]
