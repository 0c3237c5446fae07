"""Webhooks: what happened to repositories, told to other services; signed, in order, until it was taken.

What to tell is read from the ledger behind a cursor of each hook, so nothing is lost by a restart and publishing never
waits; a receiver may get an event twice and knows it by its `Apkiln-Delivery`.  Incidents are told as they come and go.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

import msgspec

from apkiln.core.errors import ApkilnError
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.rows import Row, decode
from apkiln.repository.reconciling import Incident
from apkiln.system.files import Files
from apkiln.system.ledger_store import LedgerStore
from apkiln.system.posting import Poster

EventName = Literal["live", "rejected", "held", "incident"]
_CURSORS = 1 << 20
_LONGEST_WAIT = 300.0
_MOST_INCIDENTS = 1000


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[webhook]]`."""

    name: str
    url: str
    secret_file: str
    """What signs; the receiver has it too."""
    events: tuple[EventName, ...] = ("live", "rejected", "held", "incident")
    repositories: tuple[str, ...] = ()
    """Empty = all."""


class Event(NamedTuple):
    """Something to tell."""

    name: str
    delivery: str
    """Names it for ever: the same when it is sent again."""
    value: Mapping[str, Any]


def event_of(row: Row) -> Event | None:
    """What a row of the ledger tells; None for most."""
    delivery, common = f"{row.repository}/{row.number}", {"repository": row.repository, "row": row.number, "at": row.at // 1000}
    match row.body:
        case actions.Live():
            return Event("live", delivery, common | {"generation": row.body.generation, "sha256": row.body.document})
        case actions.Rejected():
            findings = [msgspec.to_builtins(item) for item in row.body.findings]
            return Event("rejected", delivery, common | {"transaction": row.body.transaction, "findings": findings})
        case actions.Verified() if row.body.held:
            findings = [msgspec.to_builtins(item) for item in row.body.held]
            return Event("held", delivery, common | {"transaction": row.body.transaction, "findings": findings})
        case _:
            return None


def incident_events(repository: str, before: Iterable[Incident], after: Iterable[Incident], now: int) -> Iterator[Event]:
    """Incidents that began and ended between two comparisons.  `now`: Unix seconds."""
    old = {item.difference[:2]: item for item in before}
    new = {item.difference[:2]: item for item in after}
    for state, places in (("opened", new.keys() - old.keys()), ("closed", old.keys() - new.keys())):
        for place in sorted(places):
            incident = new.get(place) or old[place]
            kind, subject, detail = incident.difference
            value = {"repository": repository, "at": now, "state": state, "class": kind, "subject": subject, "detail": detail}
            value |= {"since": incident.since // 1000, "pages": incident.pages}
            digest = hashlib.sha256(f"{kind} {subject} {incident.since} {state}".encode()).hexdigest()[:16]
            yield Event("incident", f"{repository}/incident/{digest}", value)


def signed(secret: bytes, time: int, event: Event) -> tuple[bytes, dict[str, str]]:
    """Body and headers.  The signature is over `<time>.<body>`, so that an old one cannot be sent anew much later."""
    body = json.dumps({"event": event.name, **event.value}, ensure_ascii=False, sort_keys=True).encode()
    signature = hmac.new(secret, f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/json",
        "Apkiln-Delivery": event.delivery,
        "Apkiln-Timestamp": str(time),
        "Apkiln-Signature": f"v1={signature}",
    }


class Delivery:
    """One hook: `step` sends what is due; `run` does so for ever."""

    def __init__(
        self,
        hook: Webhook,
        secret: bytes,
        ledgers: LedgerStore,
        repositories: Iterable[str],
        poster: Poster,
        cursors: PurePath,
        files: Files,
    ) -> None:
        self.hook = hook
        self.failures = 0
        """Posts that were not taken, since the start."""
        self._secret = secret
        self._ledgers = ledgers
        self._repositories = tuple(name for name in repositories if not hook.repositories or name in hook.repositories)
        self._poster = poster
        self._path = cursors / f"{hook.name}.json"
        self._files = files
        self._incidents: deque[Event] = deque(maxlen=_MOST_INCIDENTS)
        self._cursors = self._read()

    def tell(self, events: Iterable[Event]) -> None:
        """Incidents to send when it is their turn."""
        if "incident" in self.hook.events:
            self._incidents.extend(events)

    def step(self, now: int) -> bool:
        """Send everything that is due; False when the receiver did not take it, and the rest waits."""
        for repository in self._repositories:
            if not self._ledger_events(repository, now):
                return False
        while self._incidents:
            if not self._send(self._incidents[0], now):
                return False
            self._incidents.popleft()
        return True

    def run(self, stopped: threading.Event, now: Callable[[], float], every: float = 1.0) -> None:
        """Until it is stopped; a receiver that is down is asked ever more seldom, at least every five minutes."""
        wait = every
        while not stopped.wait(wait):
            try:
                taken = self.step(int(now()))
            except ApkilnError:  # the database or the cursors
                taken = False
            wait = every if taken else min(_LONGEST_WAIT, max(1.0, wait * 2))

    def _ledger_events(self, repository: str, now: int) -> bool:
        if repository not in self._cursors:  # a new hook is told what happens from now on
            self._keep(repository, max((row.number for row in self._ledgers.rows(repository)), default=0))
        for stored in self._ledgers.rows(repository, self._cursors[repository]):
            event = event_of(decode(stored.text)) if stored.kind in _TELLING else None
            if event is not None and event.name in self.hook.events:
                if not self._send(event, now):
                    return False
                self._keep(repository, stored.number)
            self._cursors[repository] = stored.number
        return True

    def _send(self, event: Event, now: int) -> bool:
        body, headers = signed(self._secret, now, event)
        try:
            status = self._poster.post(self.hook.url, body, headers)
        except ApkilnError:
            status = 0
        if not 200 <= status < 300:
            self.failures += 1
            return False
        return True

    def _keep(self, repository: str, number: int) -> None:
        self._cursors[repository] = number
        self._files.make_directory(self._path.parent)
        with self._files.create(self._path, replace=True) as stream:
            stream.write(json.dumps(self._cursors, sort_keys=True).encode())

    def _read(self) -> dict[str, int]:
        if self._files.status(self._path) is None:
            return {}
        try:
            found = json.loads(self._files.read(self._path, _CURSORS))
            return {str(name): int(number) for name, number in found.items()}
        except (ValueError, AttributeError, TypeError):
            return {}


_TELLING = frozenset({"live", "rejected", "verified"})
