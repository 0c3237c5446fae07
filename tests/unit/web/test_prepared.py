"""Answers that are kept: the same as those that are made anew, at every moment."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api_client import Client
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, BOB, created, publish, selection

from apkiln.repository.ledger.actions import Manifest
from apkiln.web.prepared import Prepared, PreparedAnswers

INDEX = "/os/x86_64/APKINDEX.tar.gz"
PATHS = (
    INDEX,
    "/os/x86_64/a-1.0-r0.apk",
    "/os/x86_64/b-1.0-r0.apk",
    "/os/x86_64/%61-1.0-r0.apk",
    "/os@2/x86_64/APKINDEX.tar.gz",
    "/os@2026-01-01/x86_64/APKINDEX.tar.gz",
    "/os/current",
    "/os/generation.json",
    "/os/packages.sha256",
    "/os/withdrawn.json",
    "/os/keys/index.json",
    "/os/nothing",
    "/os",
)
CONDITIONS = ("none", "current", "old", "several", "any", "range", "date", "if-range", "credentials")


class Step(NamedTuple):
    """One request, or a change before it."""

    path: str
    method: str
    condition: str
    change: str


steps = st.builds(
    Step,
    st.sampled_from(PATHS),
    st.sampled_from(("GET", "HEAD", "POST")),
    st.sampled_from(CONDITIONS),
    st.sampled_from(("", "", "", "publish", "withdraw", "restore")),
)


def headers_of(condition: str, tag: str) -> dict[str, str]:
    return {
        "current": {"if_none_match": tag},
        "old": {"if_none_match": '"sha256:00"'},
        "several": {"if_none_match": f'"x", {tag}'},
        "any": {"if_none_match": "*"},
        "range": {"range": "bytes=1-3"},
        "date": {"if_modified_since": "Tue, 01 Jan 2041 00:00:00 GMT"},
        "if-range": {"range": "bytes=1-3", "if_range": tag},
    }.get(condition, {})


@settings(max_examples=12, deadline=None)
@given(st.lists(steps, min_size=3, max_size=12))
def test_who_has_seen_everything_answers_as_who_has_seen_nothing(taken: list[Step]) -> None:
    service = created()
    publish(service, sample_package("a"), sample_package("b"))
    used, number = Client(service), 2
    for step in taken:
        if step.change == "publish":
            number += 1
            publish(service, sample_package("b", f"{number}.0-r0"))
        elif step.change:
            manifest = Manifest(**{step.change: (selection(sample_package("a")),)})  # type: ignore[arg-type]
            opened = service.run(ALICE, manifest)
            if step.change == "restore" and opened.step.value == "verified":
                service.approve(BOB, opened.number)
        tag = Client(service).ask("HEAD", step.path, who="").headers.get("etag", "")
        who = "ci" if step.condition == "credentials" else ""
        for _ in range(2):  # the first may be made, the second is kept
            headers = headers_of(step.condition, tag)
            answer = used.ask(step.method, step.path, b"", who, **headers)
            assert answer == Client(service).ask(step.method, step.path, b"", who, **headers)


def test_a_withdrawal_counts_at_once() -> None:
    service = created()
    publish(service, sample_package("a"))
    client = Client(service)
    for _ in range(2):
        assert client.ask("GET", "/os/x86_64/a-1.0-r0.apk", who="").status == 200
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("a")),)))
    assert client.ask("GET", "/os/x86_64/a-1.0-r0.apk", who="").status == 410


def test_private_answers_are_for_those_who_may_read() -> None:
    service = created()
    client = Client(service, private=True)
    for _ in range(2):
        answer = client.ask("GET", INDEX, who="reader")
        assert (answer.status, answer.headers["cache-control"].split(",")[0]) == (200, "private")
    assert client.ask("GET", INDEX, who="").status == 401


def test_an_answer_that_is_old_is_none() -> None:
    moment = [1]
    answers = PreparedAnswers()
    answers.put(b"/x", Prepared(lambda: moment[0], 1, ((b"etag", b'"1"'), (b"content-length", b"1")), b'"1"', "", b"x"))
    reply = answers.reply("GET", b"/x", ())
    assert reply is not None and reply.body == b"x"
    head = answers.reply("HEAD", b"/x", ())
    assert head is not None and (head.headers, head.body) == (reply.headers, b"")
    unchanged = answers.reply("GET", b"/x", ((b"if-none-match", b'"1"'),))
    assert unchanged is not None and (unchanged.status, unchanged.headers) == (304, ((b"etag", b'"1"'),))
    assert answers.reply("GET", b"/x", ((b"if-none-match", b'"2"'),)) is None, "another tag goes the long way"
    moment[0] = 2
    assert answers.reply("GET", b"/x", ()) is None


@pytest.mark.parametrize("name", [b"range", b"if-range", b"if-modified-since", b"authorization"])
def test_other_conditions_go_the_long_way(name: bytes) -> None:
    answers = PreparedAnswers()
    answers.put(b"/x", Prepared(lambda: 1, 1, ((b"content-length", b"1"),), b"", "", b"x"))
    assert answers.reply("GET", b"/x", ((name, b"1"),)) is None
    assert answers.reply("GET", b"/x", ((b"if-none-match", b""),)) is None, "a document without a tag matches no tag"


def test_paths_are_bounded() -> None:
    answers = PreparedAnswers(limit=10)
    for number in range(100):
        answers.put(b"/%d" % number, Prepared(lambda: 1, 1, (), b"", "", b""))
        assert len(answers) <= 10
