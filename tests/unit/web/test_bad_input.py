"""What hostile and unlucky publishers send, each by name: it is refused with its code, and nothing of it is kept."""

from __future__ import annotations

import errno
import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from tests.api_client import TOKENS, Body, Client, token
from tests.crash_faults import FAULTS, Fuse, FusedBlobs, FusedLedgers
from tests.sample_packages import sample_package
from tests.service_workshop import (
    ALICE,
    NEW,
    OLD,
    created,
    fetch,
    hex_of,
    key_change,
    manifest_of,
    names,
    places,
    started,
    upload,
)

from apkiln.formats.apk.index import read_index
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import Manifest, Owned
from apkiln.repository.ledger.rows import decode
from apkiln.repository.ledger.state import Step
from apkiln.repository.quotas import Quota
from apkiln.system.database import open_ledgers
from apkiln.system.faults import fault_of
from apkiln.web.uploading import Pace

A, B = sample_package("a"), sample_package("b")
QUICK = Pace(idle=0.2, grace=0.1, slowest=1_000_000)


def client(**fields: object) -> Client:
    return Client(created(), **fields)  # type: ignore[arg-type]


def opened(asking: Client) -> Client:
    """With a transaction that declares A."""
    assert asking.open(A).status == 201
    return asking


def nothing_kept(asking: Client) -> bool:
    blobs = {entry.digest.hex for entry in asking.service.equipment.blobs.list()}
    return hex_of(A) not in blobs and not asking.files.snapshot()


BLOB = f"blobs/{hex_of(A)}"


def test_upload_without_length() -> None:
    """Chunked: nobody says how long it is; what was declared bounds it."""
    asking = opened(client())
    pieces = tuple(A.data[start : start + 100] for start in range(0, len(A.data), 100))
    assert asking.ask("PUT", BLOB, Body(pieces), transfer_encoding="chunked").status == 201


def test_upload_without_length_that_never_ends() -> None:
    asking = opened(client())
    endless = asking.ask("PUT", BLOB, Body((A.data, *[b"x" * 10_000] * 50)), transfer_encoding="chunked")
    assert (endless.status, endless.code) == (422, "SIZE_MISMATCH")
    assert nothing_kept(asking)


def test_length_that_lies_and_a_client_that_goes_away() -> None:
    asking = opened(client())
    broken = asking.ask("PUT", BLOB, Body((A.data[:100],), breaks_off=True), content_length=str(len(A.data)))
    assert (broken.status, broken.code) == (503, "INCOMPLETE_UPLOAD")
    assert nothing_kept(asking)
    assert asking.ask("PUT", BLOB, A.data).status == 201, "and may come again"


def test_slow_loris() -> None:
    asking = opened(client(pace=QUICK))
    silent = asking.ask("PUT", BLOB, Body((A.data[:1],), hangs=True))
    assert (silent.status, silent.code) == (408, "TIMEOUT")
    trickling = asking.ask("PUT", BLOB, Body(tuple(A.data[at : at + 1] for at in range(20)), silence=0.05))
    assert (trickling.status, trickling.code) == (408, "TIMEOUT")
    assert nothing_kept(asking)


def test_wrong_hash() -> None:
    asking = opened(client())
    wrong = asking.ask("PUT", BLOB, bytes(len(A.data)))
    assert (wrong.status, wrong.code) == (422, "DIGEST_MISMATCH")
    assert nothing_kept(asking)


def test_undeclared_files_and_names_of_blobs_that_are_none() -> None:
    asking = opened(client())
    assert asking.ask("PUT", f"blobs/{hex_of(B)}", B.data).code == "NOT_DECLARED"
    for name in ("0" * 63, "g" * 64, "..%2f" + "0" * 60, hex_of(A).upper()):
        assert asking.ask("PUT", f"blobs/{name}", A.data).status in (404, 422)


@pytest.mark.parametrize(
    "text",
    [
        "bytes 0-9",
        "bytes 5-1/10",
        "bytes 0-10/10",
        "octets 0-1/2",
        "bytes */10",
        "bytes 0-1/99999999999999999999",
        "bytes -1-2/9",
    ],
)
def test_ranges_that_are_none(text: str) -> None:
    asking = opened(client())
    refused = asking.ask("PUT", BLOB, b"x", content_range=text)
    assert (refused.status, refused.code) == (422, "BAD_RANGE")


def test_parts_longer_than_what_was_declared() -> None:
    asking = opened(client())
    size = len(A.data)
    huge = asking.ask("PUT", BLOB, b"x", content_range=f"bytes 0-0/{size + 1}")
    assert (huge.status, huge.code) == (422, "SIZE_MISMATCH")
    longer = asking.ask("PUT", BLOB, A.data[:11], content_range=f"bytes 0-9/{size}")
    assert (longer.status, longer.code) == (422, "BAD_RANGE")
    assert nothing_kept(asking)


def test_duplicates() -> None:
    """In one manifest refused, by another transaction harmless, with other bytes a conflict."""
    asking = client()
    plain = {"arch": "x86_64", "name": "a", "version": "1.0-r0", "sha256": hex_of(A), "size": len(A.data)}
    twice = asking.open(files=[plain, plain])
    assert (twice.status, twice.code) == (422, "MANIFEST_FILE_TWICE")
    assert asking.publish(A).status == 200
    assert asking.publish(A).status == 200, "the same bytes again"
    other = asking.publish(sample_package("a", files={"usr/x": b"other"}))
    assert (other.status, other.json()["findings"][0]["code"]) == (422, "version-conflict")


def test_wrong_architecture() -> None:
    """The file says x86_64, the manifest something else."""
    asking = client()
    plain = {"arch": "aarch64", "name": "a", "version": "1.0-r0", "sha256": hex_of(A), "size": len(A.data)}
    number = asking.open(files=[plain]).json()["tx"]
    assert asking.ask("PUT", BLOB, A.data).status == 201
    refused = asking.json("POST", f"tx/{number}/commit")
    assert (refused.status, refused.json()["findings"][0]["code"]) == (422, "pkg-meta")
    for arch in ("", "../x86_64", "x86_64/..", "a b", "x" * 300):
        assert asking.open(files=[plain | {"arch": arch}]).code == "MANIFEST_FILE"


def test_a_name_of_another_team() -> None:
    service = created()
    service.append(ALICE, lambda state: (Owned("ssl-", "crypto"), Owned("ssl", "crypto")))
    own = token("crypto-ci", "publish", teams=("crypto",))
    asking = Client(service, (*TOKENS, own))
    ssl = sample_package("ssl-dev")
    refused = asking.open(ssl)
    assert (refused.status, refused.code) == (403, "OWNERSHIP")
    assert asking.publish(sample_package("mine", provides=["ssl=1"])).json()["findings"][0]["code"] == "ownership"
    assert asking.publish(ssl, who="crypto-ci").status == 200


def test_a_token_that_expired() -> None:
    service = created()
    asking = Client(service, (token("ci", "publish", expires=100),), now=100)
    assert asking.open(A).status == 401
    assert Client(service, (token("ci", "publish", expires=100),), now=99).open(A).status == 201


@pytest.mark.parametrize(
    "fields", [{"repositories": ("other",)}, {"prefixes": ("z",)}, {"arches": ("aarch64",)}, {"verbs": ("read", "approve")}]
)
def test_a_token_of_another_scope(fields: dict[str, tuple[str, ...]]) -> None:
    fields = dict(fields)
    verbs = fields.pop("verbs", ("publish",))
    service = created()
    refused = Client(service, (token("ci", *verbs, **fields),)).open(A)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")


def test_a_token_of_another_repository_reads_nothing_either() -> None:
    service = created()
    asking = Client(service, (token("ci", "publish"), token("stranger", "read", "publish", repositories=("other",))))
    number = asking.open(A).json()["tx"]
    for path in (f"tx/{number}", "packages/a", "diff?from=0&to=1", "reconcile", BLOB):
        assert asking.ask("GET", path, who="stranger").status == 403, path


def test_every_refusal_is_a_row() -> None:
    where = places()
    service = created(where)
    asking = Client(service)
    asking.open(A, who="reader")
    asking.json("POST", "withdraw", {"builds": [{"origin": "a", "version": "1"}], "reason": "x"}, "reader")
    refused = [decode(row.text) for row in where.ledgers.rows("os")]
    assert [(row.actor, row.body.verb) for row in refused if isinstance(row.body, actions.Refused)] == [
        ("reader", "open"),
        ("reader", "change"),
    ]


def test_quota() -> None:
    asking = Client(created(), (token("ci", "publish", quota=Quota(open_transactions=1)),))
    assert asking.open(A).status == 201
    refused = asking.open(B)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "QUOTA", "1")


def test_clock_skew() -> None:
    """A clock that goes back does not take ledger, generations or expiry back."""
    where = places()
    service = created(where)
    asking = Client(service)
    assert asking.publish(A).status == 200
    where.clock.advance(-86_400)
    assert asking.publish(B).status == 200
    times = [row.at for row in where.ledgers.rows("os")]
    assert times == sorted(times)
    where.clock.advance(3 * 86_400)
    assert service.expire() == (), "nothing is open"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_disk_full(number: int) -> None:
    """The publisher is told to come again, and does so with success."""
    where = places()
    created(where)
    fault = FAULTS[2]._replace(error=lambda: fault_of(OSError(number, "disk"), "disk", "write"))
    asking = Client(started(where._replace(blobs=FusedBlobs(where.blobs, Fuse(0, fault)))))
    asking.open(A)
    refused = asking.ask("PUT", BLOB, A.data)
    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"
    assert asking.publish(A).status == 200


def test_disk_full_for_the_ledger_alone() -> None:
    """At each row of a publication: what was accepted before stays, and the same request goes on afterwards."""
    for at in range(5):
        where = places()
        created(where)
        asking = Client(started(where._replace(ledgers=FusedLedgers(where.ledgers, Fuse(at, FAULTS[3])))))
        assert asking.publish(A).status in (200, 503)
        assert asking.publish(A).status == 200
        assert names(started(where)) == ["a-1.0-r0"]


def test_signer_down() -> None:
    where = places()
    created(where)
    asking = Client(started(where, signers=()))
    refused = asking.publish(A)
    assert (refused.status, refused.code) == (503, "SIGNER_UNAVAILABLE")
    repaired = Client(started(where))
    assert repaired.json("GET", "tx/" + str(max(repaired.service.state.transactions))).json()["state"] == "verified"
    assert repaired.service.recover() == ()
    assert names(repaired.service) == ["a-1.0-r0"]


def test_a_signing_key_that_ended() -> None:
    """The signer still has it, and nothing else: nothing is signed with it any more, and what is published stays."""
    where = places()
    service = created(where, Policy(sign_packages=False, two_persons=False))
    assert Client(service).publish(A).status == 200
    for signer, state in ((NEW, "staged"), (NEW, "active"), (OLD, "retiring"), (OLD, "retired"), (OLD, "revoked")):
        assert service.run(ALICE, Manifest(keys=(key_change(signer, state),))).step is Step.LIVE
    refused = Client(started(where, signers=(OLD,))).publish(B)
    assert (refused.status, refused.code) == (503, "SIGNER_UNAVAILABLE")
    recovered = started(where, signers=(OLD, NEW))
    assert recovered.recover() == ()
    assert names(recovered) == ["a-1.0-r0", "b-1.0-r0"]
    index = read_index(fetch(recovered, "x86_64/APKINDEX.tar.gz"))
    assert [item.key_name for item in index.signatures] == [NEW.name]


def test_database_locked(tmp_path: Path) -> None:
    """Somebody else holds SQLite's lock: the publisher is told to come again, readers notice nothing."""
    ledgers = open_ledgers(f"sqlite:///{tmp_path}/ledger.db", busy_seconds=0.1)
    where = places(ledgers)
    asking = Client(created(where))
    assert asking.publish(A).status == 200
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = asking.open(B)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "DATABASE_BUSY", "1")
    assert asking.ask("GET", "/os/x86_64/APKINDEX.tar.gz", who="").status == 200
    other.execute("ROLLBACK")
    other.close()
    assert asking.publish(B).status == 200
    assert names(started(where)) == ["a-1.0-r0", "b-1.0-r0"]
    ledgers.close()


def test_two_services_on_one_directory() -> None:
    """Both take requests; neither loses what the other accepted."""
    where = places()
    created(where)
    one, two = Client(started(where)), Client(started(where))
    assert [one.publish(A).status, two.publish(B).status] == [200, 200]
    first = one.open(sample_package("c"), key="k").json()
    assert two.open(sample_package("c"), key="k").json()["tx"] == first["tx"], "one key, whoever is asked"
    one.service.refresh()
    assert names(one.service) == names(two.service) == ["a-1.0-r0", "b-1.0-r0"]


def test_committed_without_the_files_and_other_peoples_transactions() -> None:
    service = created()
    asking = Client(service, (*TOKENS, token("other", "publish", prefixes=("z",))))
    number = asking.open(A).json()["tx"]
    early = asking.json("POST", f"tx/{number}/commit")
    assert (early.status, early.code) == (409, "BLOB_MISSING")
    assert asking.json("POST", f"tx/{number}/commit", who="other").status == 403
    assert asking.ask("DELETE", f"tx/{number}", who="other").status == 403
    assert asking.ask("DELETE", f"tx/{number}").json()["state"] == "aborted"
    assert asking.json("POST", f"tx/{number}/commit").status == 410


MANIFESTS = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"manifest":{}}',
    b'{"manifest":{"files":"no"}}',
    b'{"manifest":{"files":[{"arch":"x86_64"}]}}',
    b'{"manifest":{"files":[]},"reason":"x"}',
    b'{"manifest":{"files":[]},"surprise":1}',
    b"[" * 100_000,
    b'{"manifest":' * 5000,
    json.dumps({"manifest": {"rollback": -1}}).encode(),
    json.dumps({"manifest": {"rollback": 10**30}}).encode(),
    json.dumps({"manifest": {"continues": 77, "rollback": 1}}).encode(),
    json.dumps({"manifest": {"overrides": ["everything"], "rollback": 1}}).encode(),
]


@pytest.mark.parametrize("body", MANIFESTS)
def test_manifests_that_are_none(body: bytes) -> None:
    asking = client()
    before = asking.service.state.head
    refused = asking.ask("POST", "tx", body, content_type="application/json")
    assert 400 <= refused.status < 500
    assert "error" in refused.json()
    assert asking.service.refresh().head == before, "it left no row"


@pytest.mark.parametrize("name", ["a b", "a/b", "../a", "a\n", "a\0", "", "-a", "a" * 300, "A\u0301", "a=b"])
def test_names_that_are_none(name: str) -> None:
    plain = {"arch": "x86_64", "name": name, "version": "1.0-r0", "sha256": hex_of(A), "size": len(A.data)}
    refused = client().open(files=[plain])
    assert (refused.status, refused.code) == (422, "MANIFEST_FILE")


@pytest.mark.parametrize("size", [0, -1, 1 << 62])
def test_sizes_that_are_none(size: int) -> None:
    plain = {"arch": "x86_64", "name": "a", "version": "1.0-r0", "sha256": hex_of(A), "size": size}
    refused = client().open(files=[plain])
    assert (refused.status, refused.code) == (422, "MANIFEST_SIZE")


def test_packages_that_are_none() -> None:
    """Declared and uploaded as they are: refused when they are read, and the transaction ends."""
    import hashlib

    whole = A.data
    hostile = {
        "text": b"no package",
        "half": whole[: len(whole) // 2],
        "tail": whole + b"x",
        "member": whole + gzip.compress(b"more"),
        "bomb": gzip.compress(bytes(50_000_000)),
    }
    for name, data in hostile.items():
        asking = client()
        digest = hashlib.sha256(data).hexdigest()
        number = asking.open(files=[{"arch": "x86_64", "name": "a", "version": "1.0-r0", "sha256": digest, "size": len(data)}])
        assert asking.ask("PUT", f"blobs/{digest}", data).status == 201
        refused = asking.json("POST", f"tx/{number.json()['tx']}/commit")
        assert (refused.status, refused.json()["state"]) == (422, "rejected"), name
        assert refused.json()["findings"][0]["code"].startswith("pkg-"), name
        assert names(asking.service) == []


def test_headers_and_methods_that_are_none() -> None:
    asking = client()
    for header in ("Bearer", "Basic %%%", "Bearer " + "x" * 100_000, "Bearer \xff", "Negotiate abc", "Bearer a.b.c"):
        assert asking.ask("GET", "reconcile", who="", authorization=header).status == 401
    for method, path in (("PATCH", "tx"), ("DELETE", BLOB), ("POST", "/os/x86_64/APKINDEX.tar.gz"), ("TRACE", "/")):
        assert asking.ask(method, path).status in (404, 405)
    assert asking.json("POST", "tx", {"manifest": {"rollback": 1}}, idempotency_key="k" * 201).status == 400
    for path in (
        "tx/x",
        "tx/-1",
        "tx/99999999999999999999999",
        "packages/%00",
        "diff?from=a&to=b",
        "diff?from=-1&to=0",
        "nothing",
    ):
        assert 400 <= asking.ask("GET", path).status < 500, path


def test_what_is_accepted_is_in_the_index_or_its_publisher_was_told_no() -> None:
    """After all of the above in one service: each transaction ended, or is open."""
    asking = client()
    asking.publish(A)
    asking.publish(sample_package("broken", depends=["nothing-has-this"]))
    asking.open(B)
    steps = {item.step for item in asking.service.state.transactions.values()}
    assert steps == {Step.LIVE, Step.REJECTED, Step.OPEN}
    service = asking.service
    upload(service, service.open(ALICE, manifest_of(B)), [B])
    assert names(service) == ["a-1.0-r0"]


def test_holds_of_what_is_not_there() -> None:
    service = created()
    asking = Client(service, (token("root", "admin"),))
    bad = [
        {"until": 1},
        {"until": 1, "blob": "live"},
        {"until": 1, "blob": "0" * 64},
        {"until": 1, "generation": 77},
        {"until": -1, "generation": 1},
        {"until": 1 << 60, "generation": 1},
        {"until": 1, "generation": 1, "blob": "0" * 64},
    ]
    for value in bad:
        assert 400 <= asking.json("POST", "holds", value, "root").status < 500, value
    assert service.refresh().holds == {}
    assert asking.json("POST", "holds", {"until": 9, "generation": 1}, "root").status == 201
