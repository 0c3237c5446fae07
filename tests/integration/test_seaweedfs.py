"""SeaweedFS: an S3 server that writes to a disk, is killed, and is asked again (slow: `make slow`)."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from tests.crash_back_ends import InBucket
from tests.crash_faults import FAULTS
from tests.crash_points import SCENARIOS, Scenario, enumerate_points
from tests.object_servers import bucket_at, make_bucket, object_server
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, manifest_of, names, places, publish, started, upload

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.repository.ledger.state import Step
from apkiln.repository.reconciling import compare
from apkiln.system.blob_store_object import object_store, open_bucket

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_one_of_many_creates(tmp_path: Path) -> None:
    """Conditional creation is what keeps an object from being written twice; the server has to enforce it."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    with object_server("seaweedfs", tmp_path) as endpoint:
        store = object_store(make_bucket(endpoint, "many"))
        for turn in range(5):
            outcomes: list[str] = []

            def create(number: int, turn: int = turn, outcomes: list[str] = outcomes) -> None:
                try:
                    obstore.put(store, f"object-{turn}", b"%d" % number * 1000, mode="create")
                    outcomes.append(str(number))
                except AlreadyExistsError:
                    outcomes.append("exists")

            threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            (winner,) = [item for item in outcomes if item != "exists"]
            assert len(outcomes) == 8
            assert bytes(obstore.get(store, f"object-{turn}").bytes()) == winner.encode() * 1000


def test_what_was_acknowledged_outlives_the_server(tmp_path: Path) -> None:
    """It is killed in the middle of an upload; the publisher is told so, and goes on when it is back (I14)."""
    first, second = sample_package("first"), sample_package("second", files={"usr/big": bytes(range(256)) * 4096})
    with object_server("seaweedfs", tmp_path) as endpoint:
        where = places(blobs=open_bucket(make_bucket(endpoint, "kept")))
        service = created(where)
        publish(service, first)
        opened = service.open(ALICE, manifest_of(second), "second")
        digest = Digest.sha256(hashlib.sha256(first.data).digest())
        assert where.blobs.size(digest) == len(first.data)
        where.blobs.put(Digest.sha256(hashlib.sha256(second.data).digest()), [second.data])
    with pytest.raises(ApkilnError) as caught:
        started(where._replace(blobs=open_bucket(bucket_at(endpoint, "kept", timeout=1)))).commit(ALICE, opened.number)
    assert (caught.value.reason, caught.value.retriable) == ("store-unavailable", True)
    with object_server("seaweedfs", tmp_path) as endpoint:
        service = started(where._replace(blobs=open_bucket(make_bucket(endpoint, "kept"))))
        upload(service, opened, [second])
        assert service.commit(ALICE, opened.number).step is Step.LIVE
        assert names(service) == ["first-1.0-r0", "second-1.0-r0"]
        assert not list(compare(service, deep=True))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_write_stopped_once(tmp_path: Path, scenario: Scenario) -> None:
    """The enumeration of `make crash`; the faults that differ on another server: death before a write and after it, and an
    answer that got lost."""
    faults = [fault for fault in FAULTS if fault.deadly or fault.name == "lost acknowledgement"]
    with object_server("seaweedfs", tmp_path) as endpoint:
        report = enumerate_points(InBucket(endpoint), [scenario], faults)
    assert report.violations == ()
    assert sum(report.points.values()) >= 6
