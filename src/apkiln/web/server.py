"""The service as a process: uvicorn in front, the work of the background in a thread."""

from __future__ import annotations

import gc
import hashlib
import logging
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import MIB
from apkiln.repository.filtering import FilteredView
from apkiln.repository.reconciling import compare
from apkiln.repository.service import RepositoryService
from apkiln.system.clock import Clock, SystemClock
from apkiln.system.files import DiskFiles
from apkiln.system.partial_uploads import PartialUploads
from apkiln.system.posting import SystemPoster
from apkiln.system.transfer import Transfer
from apkiln.web.application import Application, Hosted
from apkiln.web.building import Stores, ensure_created, open_service, open_stores
from apkiln.web.configuration import Configuration
from apkiln.web.expecting import Expecting
from apkiln.web.filtered import PolicySource
from apkiln.web.oidc import Verifier
from apkiln.web.tokens import Token
from apkiln.web.webhooks import Delivery, incident_events

if TYPE_CHECKING:
    import uvicorn

Report = Callable[[str], None]
DAY = 86_400
_TURN = 0.0001
"""Seconds that publishing computes before readers get their turn, which they need three times an answer.  Python waits 5 ms."""


class Background:
    """Begins repositories, resumes transactions, follows the ledger, compares, renews; until it is stopped."""

    def __init__(
        self,
        application: Application,
        prepare: Callable[[], None],
        every: int,
        clock: Clock,
        report: Report,
        expecting: Expecting,
    ) -> None:
        self._application = application
        self._expecting = expecting
        self._prepare = prepare
        self._every = every
        self._clock = clock
        self._report = report
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._tellers = [
            threading.Thread(target=hook.run, args=(self._stopped, clock.now), name=f"webhook {hook.hook.name}", daemon=True)
            for hook in application.deliveries
        ]

    def start(self) -> None:
        for thread in (self._thread, *self._tellers):
            thread.start()

    def stop(self) -> None:
        """Let it finish what it does."""
        self._stopped.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._application.ready and not self._stopped.is_set():
            try:
                self._prepare()
                self._application.ready = True
            except ApkilnError as error:
                self._report(f"not ready: {error}")
                self._stopped.wait(2)
        compared = 0.0
        while not self._stopped.wait(1):
            due = self._clock.monotonic() - compared >= self._every
            for name, hosted in self._application.hosted.items():
                try:
                    self._tend(hosted, due)
                except ApkilnError as error:
                    self._report(f"{name}: {error}")
            self._application.sweep_uploads()
            if due:
                compared = self._clock.monotonic()

    def _tend(self, hosted: Hosted, due: bool) -> None:
        service = hosted.service
        service.recover()
        service.expire()
        service.renew(service.policy.lifetime - DAY)
        if due:
            before, now = hosted.incidents.open, int(self._clock.now() * 1000)
            expected = self._expecting.read(f"{service.equipment.public_url.rstrip('/')}/{service.name}", now)
            self._application.site.shelves[service.name].images = expected.images
            after = hosted.incidents.take(compare(service, expected), now)
            for hook in self._application.deliveries:
                hook.tell(incident_events(service.name, before, after, now // 1000))


def make_server(configuration: Configuration, home: Path, report: Report) -> tuple[uvicorn.Server, Background, Stores]:
    """Everything but the running of it."""
    import uvicorn

    from apkiln.system.network import open_transfer

    stores = open_stores(configuration, home)
    host, _, port = configuration.listen.rpartition(":")
    own = f"http://{host}:{port}"
    transfer = open_transfer({}, DiskFiles(), offline=False, jobs=4)
    public = configuration.public_url or own
    reader, credentials = _own_reader()
    services: dict[str, RepositoryService] = {
        item.name: open_service(item, stores, transfer, _with_credentials(public, credentials) if item.private else public)
        for item in configuration.repository
    }
    hosted: Mapping[str, Hosted] = {item.name: Hosted(services[item.name], item.private) for item in configuration.repository}
    clock = SystemClock()
    uploads = PartialUploads(home / configuration.uploads, DiskFiles())
    verifier = Verifier(configuration.issuer, lambda place: _key_set(place, home, transfer)) if configuration.issuer else None
    application = Application(hosted, (*configuration.token, reader), uploads, clock.now, verifier)
    application.views = {
        view.name: FilteredView(view.name, services[view.repository], PolicySource(view, home, DiskFiles(), clock.monotonic))
        for view in configuration.view
    }
    application.deliveries = tuple(
        Delivery(
            hook,
            DiskFiles().read(home / hook.secret_file, MIB).strip(),
            stores.ledgers,
            services,
            SystemPoster(),
            home / configuration.webhooks,
            DiskFiles(),
        )
        for hook in configuration.webhook
    )

    def prepare() -> None:
        for item in configuration.repository:
            ensure_created(services[item.name], item, stores)
            services[item.name].recover()
            services[item.name].warm()  # or readers and the first publisher wait for it
        application.site.warm()
        gc.collect()
        gc.freeze()  # what is loaded now lives as long as the process, and is not looked at again for cycles

    expecting = Expecting(configuration.expect, home, DiskFiles())
    background = Background(application, prepare, configuration.reconcile_seconds, clock, report, expecting)
    settings = uvicorn.Config(
        application,
        host=host,
        port=int(port),
        access_log=False,
        log_level=logging.WARNING,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=30,
        http="httptools",
    )
    return uvicorn.Server(settings), background, stores


def _key_set(place: str, home: Path, transfer: Transfer) -> bytes:
    """Keys of an issuer."""
    if not place.startswith("https://"):
        return DiskFiles().read(home / place, MIB)
    received = bytearray()
    transfer.fetch(place, received.extend, limit=MIB)
    return bytes(received)


def _own_reader() -> tuple[Token, str]:
    """A token of this process alone, with which it reads back what is private; its user part of a URL."""
    secret = secrets.token_urlsafe(32)
    return Token("read-back", hashlib.sha256(secret.encode()).hexdigest(), ("read",)), f"read-back:{secret}@"


def _with_credentials(url: str, credentials: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{credentials}{rest}"


def serve(configuration: Configuration, home: Path, report: Report) -> None:
    """Until SIGTERM or SIGINT."""
    server, background, _ = make_server(configuration, home, report)
    sys.setswitchinterval(_TURN)
    background.start()
    try:
        report(f"listening on http://{configuration.listen}")
        server.run()
    finally:
        background.stop()
