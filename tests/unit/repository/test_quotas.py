"""Quotas: counted from the ledger, so that no restart and no second process forgets them."""

from __future__ import annotations

import pytest
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, BOB, created, manifest_of, places, started, upload

from apkiln.core.errors import ApkilnError
from apkiln.repository.quotas import Quota
from apkiln.repository.service import RepositoryService

A, B, C = (sample_package(name) for name in "abc")


def refused(service: RepositoryService, *packages: object, quota: Quota) -> str:
    with pytest.raises(ApkilnError) as caught:
        service.open(ALICE, manifest_of(*packages), quota=quota)  # type: ignore[arg-type]
    return caught.value.reason


def test_open_transactions() -> None:
    where, quota = places(), Quota(open_transactions=1)
    service = created(where)
    first = service.open(ALICE, manifest_of(A), "one", quota=quota)
    assert refused(service, B, quota=quota) == "quota"
    assert refused(started(where), B, quota=quota) == "quota", "another process counts the same"
    assert service.open(ALICE, manifest_of(A), "one", quota=quota) == first, "asking again opens nothing"
    service.open(BOB, manifest_of(B), quota=quota)
    upload(service, first, [A])
    service.commit(ALICE, first.number)
    service.open(ALICE, manifest_of(C), quota=quota)


def test_bytes_and_transactions_of_a_day() -> None:
    where = places()
    service = created(where)
    size = len(A.data)
    service.open(ALICE, manifest_of(A), quota=Quota(bytes_per_day=size))
    assert refused(service, B, quota=Quota(bytes_per_day=size + 1)) == "quota"
    assert refused(service, B, quota=Quota(transactions_per_day=1)) == "quota"
    where.clock.advance(86_401)
    service.open(ALICE, manifest_of(B), quota=Quota(bytes_per_day=len(B.data), transactions_per_day=1))


def test_files_of_a_transaction() -> None:
    service = created()
    assert refused(service, A, B, quota=Quota(files=1)) == "quota"
    service.open(ALICE, manifest_of(A, B), quota=Quota(files=2))
