"""The service on twins: publish, retry, withdraw, restore, rotate, roll back, collect."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from tests.sample_packages import sample_package, sample_signer
from tests.service_workshop import (
    ALICE,
    BOB,
    NEW,
    OLD,
    blob,
    build_of,
    created,
    fetch,
    hex_of,
    key_change,
    listed,
    manifest_of,
    names,
    places,
    publish,
    selection,
    started,
    upload,
)

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.index import read_index
from apkiln.repository.collecting import collect
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.actions import Finding, Indexed, Manifest
from apkiln.repository.ledger.folding import fold
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.rows import Author, decode, verified
from apkiln.repository.ledger.state import Status, Step, Transaction
from apkiln.repository.promotion import Promotion
from apkiln.repository.reconciling import compare
from apkiln.repository.service import RepositoryService
from apkiln.system.memory_files import Crash

A = sample_package("a", depends=["b>=1"])
B = sample_package("b")
DAY = 86_400


def failing(reason: str, call: object, *arguments: object) -> ApkilnError:
    assert callable(call)
    with pytest.raises(ApkilnError) as caught:
        call(*arguments)
    assert caught.value.reason == reason
    return caught.value


def codes(service: RepositoryService, number: int) -> set[str]:
    return {finding.code for finding in service.state.transactions[number].findings}


def test_an_empty_repository_has_a_signed_index() -> None:
    service = created(arches=("x86_64", "aarch64"))
    assert names(service) == names(service, "aarch64") == []
    assert service.state.current == 1


def test_published_is_indexed_and_can_be_fetched() -> None:
    service = created()
    done = publish(service, A, B)
    assert (done.step, done.generation) == (Step.LIVE, 2)
    assert names(service) == ["a-1.0-r0", "b-1.0-r0"]
    assert names(service, view="@2/") == names(service)
    assert names(service, view="@1/") == []
    assert not list(compare(service, deep=True))


def test_packages_are_signed_before_they_are_indexed() -> None:
    """F5: the builder's signature goes, the repository's comes, and size and digest are those of what is served."""
    service = created(policy=Policy())
    signed = sample_package("signed", signer=sample_signer("a-builder-with-a-much-longer-name.rsa.pub"))
    assert publish(service, signed).step is Step.LIVE
    record = listed(service)[0]
    served = fetch(service, "x86_64/signed-1.0-r0.apk")
    assert record.size == len(served) != len(signed.data)
    assert served.count(b"") and signed.data[signed.borders[0] :] == served[len(served) - len(signed.data) + signed.borders[0] :]
    assert publish(service, sample_package("signed")).step is Step.LIVE, "the same content, whoever signed it"
    assert len(listed(service)) == 1


def test_the_same_again_changes_nothing_and_other_bytes_are_refused() -> None:
    service = created()
    publish(service, B)
    again = publish(service, B)
    assert again.step is Step.LIVE
    other = publish(service, sample_package("b", files={"usr/other": b"x"}))
    assert other.step is Step.REJECTED
    assert codes(service, other.number) == {"version-conflict"}
    assert listed(service)[0].identity == B.record.identity


def test_an_idempotency_key_opens_once() -> None:
    service = created()
    first = publish(service, B, key="k")
    assert publish(service, B, key="k").number == first.number
    failing("idempotency-key-reused", service.open, ALICE, manifest_of(A), "k")


def test_all_or_nothing() -> None:
    service = created()
    opened = service.open(ALICE, manifest_of(A, B))
    service.upload(hex_of(A), [A.data])
    error = failing("blob-missing", service.commit, ALICE, opened.number)
    assert error.details == (hex_of(B),)
    assert names(service) == []
    service.upload(hex_of(B), [B.data])
    assert service.commit(ALICE, opened.number).step is Step.LIVE


def test_only_declared_files_are_taken() -> None:
    service = created()
    failing("not-declared", service.upload, hex_of(B), [B.data])
    service.open(ALICE, manifest_of(B))
    failing("digest-mismatch", service.upload, hex_of(B), [b"x" + B.data[1:]])
    failing("size-mismatch", service.upload, hex_of(B), [B.data, b"more"])
    assert blob(service, hex_of(B)) is None


def test_a_damaged_package_is_refused_with_its_fault() -> None:
    service = created()
    damaged = sample_package("b")._replace(data=B.data[:-1])
    done = publish(service, damaged)
    assert done.step is Step.REJECTED
    assert codes(service, done.number) <= {"pkg-format", "pkg-meta"} and done.findings
    assert names(service) == []


def test_what_is_declared_must_be_what_it_is() -> None:
    service = created()
    renamed = sample_package("b")._replace(record=B.record._replace(name="c"))
    assert codes(service, publish(service, renamed).number) == {"pkg-meta"}


def test_a_transaction_that_does_nothing_and_a_file_twice() -> None:
    service = created()
    failing("empty-transaction", service.open, ALICE, Manifest())
    failing("manifest-file-twice", service.open, ALICE, manifest_of(B, B))


def test_a_package_that_cannot_be_installed_is_refused() -> None:
    service = created()
    done = publish(service, A)
    assert (done.step, codes(service, done.number)) == (Step.REJECTED, {"closure"})
    allowed = publish(service, A, overrides=("closure",))
    assert allowed.step is Step.VERIFIED, "an override waits for a second person"
    failing("same-person", service.approve, ALICE, allowed.number)
    assert service.approve(BOB, allowed.number).step is Step.LIVE
    assert [finding.code for finding in service.state.transactions[allowed.number].findings] == ["closure"]


def test_older_versions_need_an_override() -> None:
    service = created()
    publish(service, sample_package("b", "2.0-r0"))
    older = publish(service, B)
    assert codes(service, older.number) == {"version-not-newer"}


def test_withdraw_restore_and_what_breaks() -> None:
    service = created()
    publish(service, A, B)
    refused = service.run(ALICE, Manifest(withdraw=(selection(B),)))
    assert (refused.step, codes(service, refused.number)) == (Step.REJECTED, {"breaks"})
    newer = sample_package("b", "2.0-r0")
    publish(service, newer)
    assert service.run(ALICE, Manifest(withdraw=(selection(B),))).step is Step.LIVE
    assert names(service) == ["a-1.0-r0", "b-2.0-r0"]
    failing("not-found", fetch, service, "x86_64/b-1.0-r0.apk")
    assert codes(service, publish(service, B).number) == {"version-conflict"}, "withdrawn stays withdrawn"
    restore = service.run(ALICE, Manifest(restore=(selection(B),)))
    assert restore.step is Step.VERIFIED
    assert service.approve(BOB, restore.number).step is Step.LIVE
    assert names(service) == ["a-1.0-r0", "b-1.0-r0", "b-2.0-r0"]
    failing("unknown-build", service.open, ALICE, Manifest(withdraw=(selection(sample_package("never")),)))


def test_only_the_newest_versions_are_listed() -> None:
    service = created()
    for version in range(1, 6):
        publish(service, sample_package("b", f"{version}-r0"))
    assert names(service) == ["b-3-r0", "b-4-r0", "b-5-r0"]
    assert names(service, view="@4/") == ["b-1-r0", "b-2-r0", "b-3-r0"], "frozen views keep what they list"
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("b", "5-r0")),)))
    assert names(service) == ["b-2-r0", "b-3-r0", "b-4-r0"]


def test_noarch_is_listed_everywhere_and_counts_once() -> None:
    service = created(arches=("x86_64", "aarch64"))
    publish(service, sample_package("any", arch="noarch"))
    assert names(service) == names(service, "aarch64") == ["any-1.0-r0"]
    assert fetch(service, "aarch64/any-1.0-r0.apk") == fetch(service, "noarch/any-1.0-r0.apk")


def test_rollback_is_a_new_generation_and_brings_nothing_withdrawn_back() -> None:
    service = created()
    publish(service, B)  # 2
    publish(service, sample_package("c"))  # 3
    publish(service, sample_package("b", "2.0-r0"))  # 4
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("c")),)))  # 5
    assert service.run(ALICE, Manifest(rollback=3)).generation == 6
    assert names(service) == ["b-1.0-r0"]
    failing("not-found", fetch, service, "@4/x86_64/c-1.0-r0.apk")
    service.run(ALICE, Manifest(rollback=4))
    assert names(service) == ["b-1.0-r0", "b-2.0-r0"]


def test_rotation_with_overlap() -> None:
    service = created(policy=Policy(sign_packages=False, two_persons=False))
    publish(service, B)

    def signatures() -> list[str]:
        return [item.key_name for item in read_index(fetch(service, "x86_64/APKINDEX.tar.gz")).signatures]

    for change, signed in (
        (key_change(NEW, "staged"), [OLD.name]),
        (key_change(NEW, "active"), [NEW.name, OLD.name]),
        (key_change(OLD, "retiring"), [NEW.name, OLD.name]),
        (key_change(OLD, "retired"), [NEW.name]),
        (key_change(OLD, "revoked"), [NEW.name]),
    ):
        assert service.run(ALICE, Manifest(keys=(change,))).step is Step.LIVE
        assert signatures() == signed
        assert names(service) == ["b-1.0-r0"]
    failing("not-found", fetch, service, f"keys/{OLD.name}")
    failing("no-signing-key", service.run, ALICE, Manifest(keys=(key_change(NEW, "revoked"),)))


def test_a_transaction_that_nobody_goes_on_with_ends() -> None:
    where = places()
    service = created(where)
    opened = service.open(ALICE, manifest_of(B))
    where.clock.advance(3601)
    assert service.expire() == (opened.number,)
    failing("tx-expired", service.commit, ALICE, opened.number)


def test_builds_are_whole() -> None:
    service = created(arches=("x86_64", "aarch64"))
    arm = sample_package("b", arch="aarch64")
    build = build_of(B, arches=("x86_64", "aarch64"))
    half = publish(service, B, builds=(build,))
    assert codes(service, half.number) == {"build-incomplete"}
    pending = publish(service, B, builds=(build,), pending_allowed=True)
    assert pending.step is Step.LIVE
    assert list(service.state.pending) == [("b", "1.0-r0", "aarch64")]
    rest = publish(service, arm, builds=(build,), continues=pending.number)
    assert rest.step is Step.LIVE and not service.state.pending


def test_many_publishers_at_once() -> None:
    """I5: none lost, none doubled, generations in one order."""
    service = created()
    packages = [sample_package(f"p{number}") for number in range(24)]
    threads = [threading.Thread(target=publish, args=(service, package)) for package in packages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(service)) == 24
    assert sorted(service.state.generations) == list(range(1, service.state.current + 1))


def test_two_processes_on_one_ledger() -> None:
    where = places()
    one = created(where)
    two = started(where)
    publish(one, B)
    publish(two, A)
    publish(one, sample_package("c"))
    two.refresh()
    assert names(one) == names(two) == ["a-1.0-r0", "b-1.0-r0", "c-1.0-r0"]


def test_a_process_that_starts_later_has_the_same_state_and_the_same_bytes() -> None:
    where = places()
    service = created(where)
    publish(service, A, B)
    service.run(ALICE, Manifest(withdraw=(selection(A),)))
    rows = [decode(item.text) for item in where.ledgers.rows("os")]
    assert verified(rows, "os") == service.state.head
    anew = fold("os", rows)
    assert (anew.accepted, anew.generations, anew.names) == (
        service.state.accepted,
        service.state.generations,
        service.state.names,
    )
    assert not list(compare(started(where), deep=True))


def test_nothing_is_published_from_a_broken_ledger() -> None:
    where = places()
    publish(created(where), B)
    table = where.ledgers.tables["os"]  # type: ignore[attr-defined]
    place = next(number for number, row in enumerate(table) if row.actor == "alice")
    table[place] = table[place]._replace(text=table[place].text.replace(b"alice", b"mallory"))
    failing("ledger-broken", started, where)


def test_garbage_is_marked_and_removed_later() -> None:
    where = places()
    policy = Policy(sign_packages=False, two_persons=False, full_days=1, daily_days=2)
    service = created(where, policy)
    for version in range(1, 6):
        publish(service, sample_package("b", f"{version}-r0"))
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("b", "2-r0")),)))
    where.clock.advance(30 * DAY)
    publish(service, sample_package("c"))
    failing("sweep-too-large", collect, service, ALICE)
    marked = collect(service, ALICE, large=True)
    assert hex_of(sample_package("b", "1-r0")) in marked.marked and not marked.removed
    where.clock.advance(8 * DAY)
    removed = collect(service, ALICE, large=True).removed
    assert hex_of(sample_package("b", "1-r0")) in removed
    assert hex_of(sample_package("b", "2-r0")) not in removed, "what is withdrawn can be restored"
    assert service.state.accepted[Key("x86_64", "b", "1-r0")].status is Status.COLLECTED
    assert names(service) == ["b-3-r0", "b-4-r0", "b-5-r0", "c-1.0-r0"]
    assert codes(service, publish(service, sample_package("b", "1-r0")).number) & {"version-conflict"}
    assert list(compare(service, deep=True)) == []


def test_locks_and_holds_keep_what_they_name() -> None:
    where = places()
    service = created(where, Policy(sign_packages=False, two_persons=False, full_days=1, daily_days=2))
    for version in range(1, 6):
        publish(service, sample_package("b", f"{version}-r0"))
    where.clock.advance(30 * DAY)
    locked = hex_of(sample_package("b", "1-r0"))
    assert locked not in collect(service, ALICE, [locked], plan_only=True).marked
    assert locked in collect(service, ALICE, plan_only=True).marked


def test_ownership() -> None:
    from apkiln.repository.ledger.actions import Owned

    service = created()
    service.append(Author("root"), lambda state: () if "b" in state.owners else (Owned("b", "base"),))
    failing("ownership", service.open, ALICE, manifest_of(B))
    opened = service.open(ALICE, manifest_of(B), "", ["base"])
    upload(service, opened, [B])
    assert service.commit(ALICE, opened.number).step is Step.LIVE
    taker = publish(service, sample_package("x", provides=["b=9"]))
    assert codes(service, taker.number) == {"ownership"}


def test_the_reconciler_sees_what_is_wrong() -> None:
    service = created()
    publish(service, A, B)
    blobs = service.equipment.blobs.contents  # type: ignore[attr-defined]
    key = next(item for item in blobs if item.hex == hex_of(A))
    blobs[key] = b"x" * len(A.data)
    assert {item.kind for item in compare(service, deep=True)} == {"blob-corrupt", "unfetchable"}
    del blobs[key]
    assert {item.kind for item in compare(service)} == {"blob-missing"}
    index = service.state.generations[2].indexed.arches[0].sha256
    blobs[next(item for item in blobs if item.hex == index)] = b"not an index"
    assert {"index-drift", "edge-wrong"} <= {item.kind for item in compare(service)}


def test_a_sweep_leaves_what_other_repositories_need() -> None:
    where = places()
    one = created(where)
    publish(one, B)
    other = RepositoryService("other", one.equipment, one.policy)
    other.refresh()
    assert hex_of(B) not in collect(other, ALICE, plan_only=True).marked
    assert not [item for item in compare(other) if item.kind == "orphan"]


def test_what_waits_for_a_second_person_holds_up_nobody_else() -> None:
    service = created()
    first, second = sample_package("first"), sample_package("second")
    publish(service, first)
    service.run(ALICE, Manifest(withdraw=(selection(first),)))
    staged = service.run(ALICE, Manifest(keys=(key_change(NEW, "staged"),)))
    restoring = service.run(ALICE, Manifest(restore=(selection(first),)))
    assert (staged.step, restoring.step) == (Step.VERIFIED, Step.VERIFIED)
    assert publish(service, second).step is Step.LIVE
    assert service.approve(BOB, restoring.number).step is Step.LIVE
    assert service.run(ALICE, Manifest(rollback=2)).step is Step.LIVE
    assert service.approve(BOB, staged.number).step is Step.LIVE


def test_a_package_for_any_architecture_and_one_for_this_never_share_a_name() -> None:
    service = created(arches=("x86_64", "aarch64"))
    own, any_arch = sample_package("a"), sample_package("a", arch="noarch")
    both = publish(service, own, any_arch)
    assert [finding.code for finding in both.findings] == ["version-conflict"] * 2
    assert publish(service, own).step is Step.LIVE
    assert [finding.code for finding in publish(service, any_arch).findings] == ["version-conflict"]
    assert publish(service, sample_package("b", arch="noarch")).step is Step.LIVE
    assert [finding.code for finding in publish(service, sample_package("b")).findings] == ["version-conflict"]
    assert publish(service, sample_package("a", "2.0-r0", "noarch")).step is Step.LIVE


class Withdrawer(Promotion):
    """Judged; then it waits for somebody else to judge; goes live, and dies before it looks at anything else."""

    def _index(self, batch: Sequence[Transaction], notes: tuple[Finding, ...], base: int) -> None:
        WITHDRAWAL_JUDGED.set()
        assert APP_JUDGED.wait(30)
        super()._index(batch, notes, base)

    def _finish_candidate(self, indexed: Indexed) -> None:
        super()._finish_candidate(indexed)
        raise Crash


class Publisher(Promotion):
    """Judges, and then the other one goes live."""

    other: threading.Thread

    def _findings(self, batch: Sequence[Transaction], base: int) -> tuple[Finding, ...]:
        found = super()._findings(batch, base)
        APP_JUDGED.set()
        self.other.join(30)
        return found


WITHDRAWAL_JUDGED, APP_JUDGED = threading.Event(), threading.Event()


def test_a_judgement_on_an_older_generation_counts_for_nothing() -> None:
    """The library goes while the application that needs it is judged: the application is judged again, and refused (I7)."""
    where = places()
    first, second = created(where), started(where)
    lib, app = sample_package("lib"), sample_package("app", depends=["lib"])
    publish(first, lib)
    opened = first.open(ALICE, manifest_of(app))
    upload(first, opened, [app])
    second.promotion.__class__, first.promotion.__class__ = Withdrawer, Publisher

    def withdraw() -> None:
        with pytest.raises(Crash):
            second.run(BOB, Manifest(withdraw=(selection(lib),)))

    first.promotion.other = threading.Thread(target=withdraw)  # type: ignore[attr-defined]
    first.promotion.other.start()  # type: ignore[attr-defined]
    assert WITHDRAWAL_JUDGED.wait(30)
    done = first.commit(ALICE, opened.number)
    assert (done.step, [finding.code for finding in done.findings]) == (Step.REJECTED, ["closure"])
    assert names(first) == []


def test_what_a_signed_publication_leaves_behind_is_no_surprise() -> None:
    """The file as it came is replaced by the signed one and waits for a sweep; only what the ledger never heard of is told."""
    service = created(policy=Policy(sign_packages=True))
    publish(service, sample_package("a"))
    publish(service, sample_package("b"))
    assert list(compare(service, deep=True)) == []
    blobs = service.equipment.blobs.contents  # type: ignore[attr-defined]
    blobs[Digest.sha256(b"\1" * 32)] = b"stray"
    assert [item.kind for item in compare(service)] == ["orphan"]
