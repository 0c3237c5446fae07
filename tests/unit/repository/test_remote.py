"""Publishing to a service over its interface: the service in this process, behind a line that breaks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
from tests.api_client import Body, Client
from tests.sample_packages import SamplePackage, sample_package
from tests.service_workshop import created, hex_of, names

from apkiln.core.errors import ApkilnError, FormatError, UnavailableError, UsageError, VerificationError
from apkiln.core.secret import Secret
from apkiln.repository.ledger.state import Step
from apkiln.repository.publishing import Workshop
from apkiln.repository.remote import ATTEMPTS, Progress, RemoteRepository, manifest_of
from apkiln.repository.remote_publishing import publish_files
from apkiln.repository.service import RepositoryService
from apkiln.system.clock import ManualClock
from apkiln.system.http import Response
from apkiln.system.memory_files import MemoryFiles

HOME = PurePosixPath("/packages")


class Line:
    """See `RequestExchange`.  From request `broken` on, and for `many` of them, it fails: before the service, or after it."""

    def __init__(self, client: Client, broken: int = -1, many: int = 1, *, after: bool = False) -> None:
        self._client = client
        self._broken = range(broken, broken + many) if broken >= 0 else range(0)
        self._after = after
        self.asked: list[tuple[str, str]] = []
        self.sent = 0

    @contextmanager
    def request(
        self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: Iterable[bytes] = ()
    ) -> Iterator[Response]:
        number = len(self.asked)
        parts = urlsplit(url)
        self.asked.append((method, parts.path))
        if number in self._broken and not self._after:
            raise _lost()
        content = tuple(body)
        self.sent += sum(map(len, content)) if method == "PUT" else 0
        given = {name.lower().replace("-", "_"): value for name, value in headers}
        who = given.pop("authorization", "").removeprefix("Bearer ")
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        reply = self._client.ask(method, path, Body(content or (b"",)), who, **given)
        if number in self._broken:
            raise _lost()
        yield Response(reply.status, reply.headers, iter((reply.body,)))


def _lost() -> UnavailableError:
    return UnavailableError("the line broke", reason="connection-lost", retriable=True)


def workshop(*packages: SamplePackage) -> tuple[Workshop, list[PurePosixPath]]:
    files = MemoryFiles({f"{HOME}/{item.record.arch}-{item.record.name_version}.apk": item.data for item in packages})
    paths = [HOME / f"{item.record.arch}-{item.record.name_version}.apk" for item in packages]
    return Workshop(files, jobs=1), paths


def send(line: Line, *packages: SamplePackage, who: str = "ci", part: int = 1 << 20, complete: tuple[str, ...] = ()) -> Progress:
    shop, paths = workshop(*packages)
    remote = RemoteRepository("http://service/os", Secret(f"Bearer {who}"), line, ManualClock(), part)
    return publish_files(paths, remote, shop, complete=complete, reason="build 7")


LIB = sample_package("lib", provides=["so:lib.so.1=1"])
APP = sample_package("app", depends=["so:lib.so.1"])
BIG = sample_package("big", files={"usr/big": random.Random(1).randbytes(300_000)})


def live(service: RepositoryService) -> list[int]:
    return [item.number for item in service.state.transactions.values() if item.step is Step.LIVE and item.manifest.files]


def test_a_receipt_and_the_same_again() -> None:
    service = created()
    line = Line(Client(service))
    done = send(line, APP, LIB)
    assert (done.state, names(service)) == ("live", ["app-1.0-r0", "lib-1.0-r0"])
    assert service.state.transactions[done.tx].reason == "build 7"
    sent = line.sent
    assert send(line, LIB, APP) == done
    assert (line.sent, live(service)) == (sent, [done.tx]), "nothing is sent or opened again"


@pytest.mark.parametrize("after", [False, True])
def test_one_broken_request_is_repeated(after: bool) -> None:
    whole = Line(Client(created()))
    send(whole, LIB, BIG, part=100_000)
    assert len(whole.asked) >= 6
    for broken in range(len(whole.asked)):
        service = created()
        assert send(Line(Client(service), broken, after=after), LIB, BIG, part=100_000).state == "live", broken
        assert (names(service), len(live(service))) == (["big-1.0-r0", "lib-1.0-r0"], 1)


@pytest.mark.parametrize("after", [False, True])
def test_who_gave_up_goes_on_where_it_was(after: bool) -> None:
    """The line stays broken; another run of the command publishes the same transaction, and sends only what is missing."""
    whole = Line(Client(created()))
    send(whole, LIB, BIG, part=100_000)
    for broken in range(len(whole.asked)):
        service = created()
        client = Client(service)
        first = Line(client, broken, ATTEMPTS, after=after)
        with pytest.raises(UnavailableError):
            send(first, LIB, BIG, part=100_000)
        second = Line(client)
        done = send(second, LIB, BIG, part=100_000)
        assert (done.state, live(service)) == ("live", [done.tx])
        opened = [item for item in service.state.transactions.values() if item.manifest.files]
        assert len(opened) == 1, "one transaction, whoever repeats it"
        if broken >= len(whole.asked) - 1 and whole.asked[-1][1].endswith("commit"):
            assert second.sent == 0
        elif not after and broken == len(whole.asked) - 2:
            assert second.sent < whole.sent / 2, "what was there is not sent again"


def test_what_was_refused_may_be_published_later() -> None:
    """The refusal of yesterday is not the answer of today."""
    service = created()
    line = Line(Client(service))
    refused = send(line, APP)
    assert (refused.state, [item.code for item in refused.findings]) == ("rejected", ["closure"])
    send(line, LIB)
    done = send(line, APP)
    assert (done.state, names(service)) == ("live", ["app-1.0-r0", "lib-1.0-r0"])
    assert done.tx != refused.tx


def test_half_a_build_is_refused_where_it_must_be_whole() -> None:
    service = created(arches=("x86_64", "aarch64"))
    half = [sample_package("zlib"), sample_package("zlib-dev", origin="zlib"), sample_package("zlib", arch="aarch64")]
    line = Line(Client(service))
    refused = send(line, *half, complete=("x86_64", "aarch64"))
    assert [item.code for item in refused.findings] == ["build-incomplete"]
    assert names(service) == names(service, "aarch64") == []
    whole = [*half, sample_package("zlib-dev", arch="aarch64", origin="zlib")]
    assert send(line, *whole, complete=("x86_64", "aarch64")).state == "live"


def test_manifests_do_not_depend_on_the_order_of_files() -> None:
    from apkiln.repository.publishing import read_all

    shop, paths = workshop(APP, LIB, BIG)
    assert manifest_of(read_all(paths, shop), ["x86_64"]) == manifest_of(read_all(paths[::-1], shop), ["x86_64"])


@pytest.mark.parametrize(("who", "reason"), [("nobody", "unauthorized"), ("reader", "forbidden")])
def test_who_may_not_is_told_so_once(who: str, reason: str) -> None:
    line = Line(Client(created()))
    with pytest.raises(UsageError) as caught:
        send(line, LIB, who=who)
    assert (caught.value.reason, len(line.asked)) == (reason, 1)
    assert "token" in caught.value.hint


def test_broken_packages_are_not_sent() -> None:
    line = Line(Client(created()))
    with pytest.raises(FormatError):
        send(line, LIB._replace(data=LIB.data[:-40]))
    assert line.asked == []


class Says:
    """A server that answers everything alike."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = Response(status, {}, iter((body,)))

    @contextmanager
    def request(self, *_: object) -> Iterator[Response]:
        yield self._answer


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (200, b"<html>", UnavailableError, "bad-answer"),
        (404, b"<html>", UnavailableError, "bad-answer"),
        (200, b'{"tx": 1, "state": 3}', UnavailableError, "bad-answer"),
        (200, b"x" * (65 << 20), UnavailableError, "bad-answer"),
        (404, b'{"error": {"code": "NOT_FOUND", "message": "m"}}', UsageError, "not-found"),
        (200, b'{"tx": 1, "state": "live", "receipt": {"entries": []}}', VerificationError, "receipt-incomplete"),
        (200, b'{"tx": 1, "state": "live"}', VerificationError, "receipt-incomplete"),
    ],
)
def test_other_servers(status: int, body: bytes, kind: type[ApkilnError], reason: str) -> None:
    with pytest.raises(kind) as caught:
        send(Says(status, body), LIB)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert hex_of(LIB) not in str(caught.value)
