"""Webhooks: in order, signed, at least once, never in the way of anybody."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, Places, created, places, publish, selection

from apkiln.core.errors import UnavailableError
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.reconciling import Difference, Incidents
from apkiln.repository.service import RepositoryService
from apkiln.system.memory_files import MemoryFiles
from apkiln.web.webhooks import Delivery, Webhook, incident_events

SECRET = b"shared"


class Receiver:
    """Takes bodies, unless it is told to fail."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.answers: list[int] = []
        """Statuses of the next posts; 0 = no connection; afterwards 204."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        status = self.answers.pop(0) if self.answers else 204
        if not status:
            raise UnavailableError("down", reason="connection-failed", retriable=True)
        if status < 300:
            self.taken.append((json.loads(body), dict(headers)))
            mac = hmac.new(SECRET, f"{headers['Apkiln-Timestamp']}.".encode() + body, hashlib.sha256).hexdigest()
            assert headers["Apkiln-Signature"] == f"v1={mac}"
        return status

    @property
    def events(self) -> list[str]:
        return [body["event"] for body, _ in self.taken]


class World:
    def __init__(self, **fields: Any) -> None:
        self.where: Places = places()
        self.service: RepositoryService = created(self.where)
        self.files = MemoryFiles()
        self.receiver = Receiver()
        self.hook = Webhook("ci", "https://ci.example/hook", "secret", **fields)
        self.delivery = self.started()

    def started(self) -> Delivery:
        """Another process with the same cursors."""
        return Delivery(self.hook, SECRET, self.where.ledgers, ["os"], self.receiver, PurePosixPath("/hooks"), self.files)


def test_what_happens_is_told_once_and_in_order() -> None:
    world = World()
    assert world.delivery.step(100)
    assert world.receiver.taken == [], "nothing of the past"
    publish(world.service, sample_package("a"))
    publish(world.service, sample_package("b", depends=["missing"]))
    world.service.run(ALICE, Manifest(withdraw=(selection(sample_package("a")),)))
    assert world.delivery.step(100)
    assert world.receiver.events == ["live", "rejected", "live"]
    assert [body.get("generation") for body, _ in world.receiver.taken] == [2, None, 3]
    assert world.receiver.taken[1][0]["findings"][0]["code"] == "closure"
    assert world.delivery.step(100) and world.started().step(100)
    assert len(world.receiver.taken) == 3


def test_a_receiver_that_is_down_gets_everything_later() -> None:
    world = World()
    world.delivery.step(1)
    publish(world.service, sample_package("a"))
    publish(world.service, sample_package("b"))
    world.receiver.answers = [0, 500, 204, 302, 404]
    for expected in (False, False, False, False, True):
        assert world.delivery.step(1) is expected
    assert [body["generation"] for body, _ in world.receiver.taken] == [2, 3]
    assert world.delivery.failures == 4


def test_a_restart_in_the_middle_loses_nothing() -> None:
    """At worst an event comes twice, under the same name."""
    world = World()
    world.delivery.step(1)
    for name in "abc":
        publish(world.service, sample_package(name))
    world.receiver.answers = [204, 500]
    assert not world.delivery.step(1)
    assert world.started().step(1)
    names = [headers["Apkiln-Delivery"] for _, headers in world.receiver.taken]
    assert len(set(names)) == 3
    assert [body["generation"] for body, _ in world.receiver.taken] == [2, 3, 4]


def test_cursors_that_are_damaged_begin_anew() -> None:
    world = World()
    world.files.put("/hooks/ci.json", b"[")
    assert world.started().step(1)
    publish(world.service, sample_package("a"))


def test_only_what_was_asked_for() -> None:
    world = World(events=("rejected",), repositories=("os",))
    world.delivery.step(1)
    publish(world.service, sample_package("a"))
    publish(world.service, sample_package("b", depends=["missing"]))
    world.delivery.tell(incident_events("os", (), Incidents().take([Difference("orphan", "x")], 1), 1))
    assert world.delivery.step(1)
    assert world.receiver.events == ["rejected"]
    other = World(repositories=("other",))
    other.delivery.step(1)
    publish(other.service, sample_package("a"))
    other.delivery.step(1)
    assert other.receiver.taken == []


def test_incidents_open_and_close() -> None:
    world, incidents = World(), Incidents()
    world.delivery.step(1)
    steps: tuple[list[Difference], ...] = (
        [Difference("blob-missing", "x"), Difference("orphan", "y")],
        [Difference("orphan", "y", "still")],
        [],
    )
    for time, found in enumerate(steps):
        before = incidents.open
        world.delivery.tell(incident_events("os", before, incidents.take(found, time * 1000), time))
    world.receiver.answers = [503]
    assert not world.delivery.step(1)
    assert world.delivery.step(1)
    told = [(body["class"], body["state"], body["pages"]) for body, _ in world.receiver.taken]
    assert told == [
        ("blob-missing", "opened", True),
        ("orphan", "opened", False),
        ("blob-missing", "closed", True),
        ("orphan", "closed", False),
    ]


def test_publishing_does_not_wait_for_a_receiver_that_hangs() -> None:
    world = World()
    world.delivery.step(1)
    asked, go_on = threading.Event(), threading.Event()

    class Hanging:
        def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
            asked.set()
            go_on.wait(30)
            return 204

    hanging = Delivery(world.hook, SECRET, world.where.ledgers, ["os"], Hanging(), PurePosixPath("/hooks"), world.files)
    publish(world.service, sample_package("a"))
    stopped = threading.Event()
    thread = threading.Thread(target=hanging.run, args=(stopped, lambda: 1.0, 0.01))
    thread.start()
    assert asked.wait(30)
    assert publish(world.service, sample_package("b")).generation == 3
    stopped.set()
    go_on.set()
    thread.join(30)
    assert not thread.is_alive()
