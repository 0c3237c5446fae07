"""The HTTP client over a server in memory."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import FormatError, UnavailableError, UsageError
from apkiln.system.clock import ManualClock
from apkiln.system.credentials import Credentials, parse_http_auth
from apkiln.system.http import HttpPolicy
from apkiln.system.memory_server import MemoryServer, Misbehaviour, Resource, memory_transfer
from apkiln.system.transfer import Fetched, OfflineTransfer, Transfer, Validators

URL = "https://host.example/repo/x86_64/a-1.0-r0.apk"
DATA = hashlib.shake_128(b"data").digest(10_000)


def fetch(transfer: Transfer, url: str = URL, limit: int = 1_000_000, known: Validators | None = None) -> tuple[bytes, Fetched]:
    received = bytearray()
    fetched = transfer.fetch(url, received.extend, limit=limit, known=known or Validators())
    return bytes(received), fetched


def refused(transfer: Transfer, url: str = URL, limit: int = 1_000_000) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        fetch(transfer, url, limit)
    return caught.value


def test_a_plain_fetch() -> None:
    resource = Resource(DATA, '"v1"', "Wed, 25 Nov 2026 10:00:00 GMT", (("content-type", "Application/Gzip; q=1"),))
    data, fetched = fetch(memory_transfer(MemoryServer({URL: resource})))
    assert data == DATA
    assert fetched == Fetched(False, 10_000, Validators('"v1"', "Wed, 25 Nov 2026 10:00:00 GMT"), "application/gzip")


@pytest.mark.parametrize("validators", [Validators('"v1"', ""), Validators("", "then"), Validators('"v1"', "then")])
def test_an_unchanged_file_is_not_sent_again(validators: Validators) -> None:
    transfer = memory_transfer(MemoryServer({URL: Resource(DATA, *validators)}))
    assert fetch(transfer, known=validators) == (b"", Fetched(True, 0, validators))
    other = Validators('"v0"' if validators.etag else "", "before" if validators.last_modified else "")
    assert fetch(transfer, known=other)[0] == DATA


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 9_999), max_size=4),
    etag=st.sampled_from(["", '"v1"', 'W/"v1"']),
    ignore_range=st.booleans(),
    silent=st.booleans(),
)
def test_a_broken_download_continues_and_delivers_each_byte_once(
    cuts: list[int], etag: str, ignore_range: bool, silent: bool
) -> None:
    server = MemoryServer({URL: Resource(DATA, etag)})
    server.misbehave(URL, *(Misbehaviour(cut=cut, ignore_range=ignore_range, silent_end=silent) for cut in cuts))
    assert fetch(memory_transfer(server))[0] == DATA


def test_a_resumed_request_asks_for_the_rest_of_the_same_version() -> None:
    server = MemoryServer({URL: Resource(DATA, '"v1"')})
    server.misbehave(URL, Misbehaviour(cut=4_321))
    fetch(memory_transfer(server))
    assert "range" not in server.asked[0].headers
    assert (server.asked[1].headers["range"], server.asked[1].headers["if-range"]) == ("bytes=4321-", '"v1"')


def test_a_file_that_changes_between_attempts_is_refused() -> None:
    server = MemoryServer({URL: Resource(DATA, '"v1"')})
    clock = ManualClock()
    server.misbehave(URL, Misbehaviour(cut=5_000))

    def change(_: bytes) -> None:
        server.put(URL, Resource(DATA[::-1], '"v2"'))

    with pytest.raises(UnavailableError) as caught:
        memory_transfer(server, clock).fetch(URL, change, limit=1_000_000)
    assert caught.value.reason == "content-changed"


def test_a_wrong_range_is_not_appended() -> None:
    server = MemoryServer({URL: Resource(DATA, '"v1"')})
    server.misbehave(URL, Misbehaviour(cut=4_000), Misbehaviour(shift=7))
    assert fetch(memory_transfer(server))[0] == DATA
    assert "range" not in server.asked[2].headers


def test_416_while_resuming_begins_again() -> None:
    server = MemoryServer({URL: DATA})
    server.misbehave(URL, Misbehaviour(cut=4_000), Misbehaviour(status=416))
    assert fetch(memory_transfer(server))[0] == DATA


def test_a_download_that_stays_short_is_an_error() -> None:
    server = MemoryServer({URL: DATA})
    server.misbehave(URL, *[Misbehaviour(cut=4_000, silent_end=True, ignore_range=True)] * 20)
    assert refused(memory_transfer(server)).reason == "connection-lost"


@pytest.mark.parametrize(
    "fault", [Misbehaviour(status=503), Misbehaviour(status=429), Misbehaviour(status=500), Misbehaviour(refuse=True)]
)
def test_passing_faults_are_retried_with_growing_varied_waits(fault: Misbehaviour) -> None:
    server, clock = MemoryServer({URL: DATA}), ManualClock()
    server.misbehave(URL, fault, fault, fault)
    assert fetch(memory_transfer(server, clock))[0] == DATA
    assert len(clock.slept) == 3
    for number, pause in enumerate(clock.slept):
        assert 0.25 * 2**number <= pause <= 0.75 * 2**number


def test_lasting_faults_end() -> None:
    server, clock = MemoryServer({URL: DATA}), ManualClock()
    server.misbehave(URL, *[Misbehaviour(status=503)] * 50)
    assert refused(memory_transfer(server, clock, policy=HttpPolicy(retries=2))).reason == "server-error"
    assert len(server.asked) == 3


@pytest.mark.parametrize("text", ["7", "Tue, 14 Nov 2023 22:13:27 GMT"])
def test_retry_after_is_kept(text: str) -> None:
    server, clock = MemoryServer({URL: DATA}), ManualClock(1_700_000_000.0)
    server.misbehave(URL, Misbehaviour(status=503, headers=(("retry-after", text),)))
    fetch(memory_transfer(server, clock))
    assert clock.slept == [7.0]


def test_the_total_time_is_bounded() -> None:
    server, clock = MemoryServer({URL: DATA}), ManualClock()
    server.misbehave(URL, *[Misbehaviour(cut=100 * number + 100) for number in range(60)])
    fault = refused(memory_transfer(server, clock, policy=HttpPolicy(total_time=3)))
    assert fault.reason == "connection-lost"
    assert sum(clock.slept) <= 3


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "not-found"),
        (410, "not-found"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (405, "http-status"),
        (206, "http-status"),
    ],
)
def test_final_answers_are_not_retried(status: int, reason: str) -> None:
    server = MemoryServer({URL: DATA})
    server.misbehave(URL, Misbehaviour(status=status))
    fault = refused(memory_transfer(server))
    assert (fault.reason, fault.origin.source, len(server.asked)) == (reason, URL, 1)


def test_an_unasked_304_is_an_error() -> None:
    server = MemoryServer({URL: DATA})
    server.misbehave(URL, Misbehaviour(status=304))
    assert refused(memory_transfer(server)).reason == "http-status"


@pytest.mark.parametrize("announced", [True, False])
def test_too_much_is_refused(announced: bool) -> None:
    headers = () if announced else (("content-length", ""),)
    server = MemoryServer({URL: DATA})
    server.misbehave(URL, Misbehaviour(headers=headers))
    received = bytearray()
    with pytest.raises(FormatError) as caught:
        memory_transfer(server).fetch(URL, received.extend, limit=9_999)
    assert caught.value.reason == "response-too-large"
    assert len(received) <= 9_999


def redirecting(target: str, url: str = URL, policy: HttpPolicy | None = None) -> tuple[MemoryServer, Transfer]:
    server = MemoryServer()
    server.misbehave(url, Misbehaviour(status=302, headers=(("location", target),)))
    credentials = Credentials(parse_http_auth("basic:host.example:user:word"))
    return server, memory_transfer(server, credentials=credentials, policy=policy or HttpPolicy())


def test_a_redirect_on_the_same_host_is_followed_with_credentials() -> None:
    server, transfer = redirecting("/elsewhere?x=1#part")
    server.put("https://host.example/elsewhere?x=1", DATA)
    assert fetch(transfer)[0] == DATA
    assert all("authorization" in asked.headers for asked in server.asked)


def test_another_host_needs_consent_and_never_sees_credentials() -> None:
    _, transfer = redirecting("https://other.example/a")
    assert refused(transfer).reason == "foreign-redirect"
    for hosts in ({"other.example"}, {"*"}):
        server, transfer = redirecting("https://other.example/a", policy=HttpPolicy(redirect_hosts=frozenset(hosts)))
        server.put("https://other.example/a", DATA)
        assert fetch(transfer)[0] == DATA
        assert ["authorization" in asked.headers for asked in server.asked] == [True, False]


def test_the_user_part_of_a_url_does_not_follow_either() -> None:
    server, transfer = redirecting("https://other.example/a", policy=HttpPolicy(redirect_hosts=frozenset({"*"})))
    server.put("https://other.example/a", DATA)
    fetch(transfer, URL.replace("https://", "https://me:secret@"))
    assert server.asked[0].headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert "authorization" not in server.asked[1].headers


@pytest.mark.parametrize("target", ["http://host.example/a", "ftp://host.example/a", "file:///etc/passwd", ""])
def test_a_redirect_never_leaves_https(target: str) -> None:
    server, transfer = redirecting(target or "http:")
    assert refused(transfer).reason in {"insecure-redirect", "too-many-redirects"}
    assert len(server.asked) == 1


def test_a_redirect_circle_ends() -> None:
    server = MemoryServer()
    server.misbehave(URL, *[Misbehaviour(status=301, headers=(("location", URL),))] * 50)
    assert refused(memory_transfer(server)).reason == "too-many-redirects"
    assert len(server.asked) == 6


def test_secrets_are_in_no_error() -> None:
    server = MemoryServer()
    for fault in (Misbehaviour(status=404), Misbehaviour(status=403), Misbehaviour(status=503), Misbehaviour(refuse=True)):
        server.misbehave(URL, *[fault] * 5)
        error = refused(memory_transfer(server), URL.replace("https://", "https://me:secret@"))
        assert "secret" not in f"{error} {error!r} {error.origin} {error.hint}"
    with pytest.raises(UsageError) as caught:
        fetch(memory_transfer(server), "ftp://me:secret@host.example/")
    assert "secret" not in str(caught.value)


def test_paths_are_asked_for_as_apk_does() -> None:
    asked = "https://host.example/repo/a%20b%7e1%2B2"
    server = MemoryServer({asked: DATA})
    assert fetch(memory_transfer(server), "https://host.example/repo/a b~1+2")[0] == DATA


def test_offline_refuses_with_the_name_of_what_is_missing() -> None:
    fault = refused(OfflineTransfer(), URL.replace("https://", "https://me:secret@"))
    assert (fault.reason, fault.origin.source, fault.retriable) == ("offline", URL, False)
