"""Lock documents: round trip, one form, apko's own read as they are, every fault named."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.acquire.facts import Member
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.limits import Limits
from apkiln.image.lock.document import NO_MEMBER, Lock, LockedFile, LockedKey, LockedPackage, LockedRepository
from apkiln.image.lock.reading import parse_lock
from apkiln.image.lock.writing import write_lock

SHARED = Path(__file__).resolve().parents[4].parent / "shared" / "conformance"

TEXT = st.text(max_size=12)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAME = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,8}", fullmatch=True)
VERSION = st.from_regex(r"[0-9]\.[0-9]{1,2}-r[0-9]", fullmatch=True)
ARCH = st.sampled_from(["x86_64", "aarch64"])


@st.composite
def packages(draw: st.DrawFn) -> LockedPackage:
    """A row of ours or, without our keys, of apko."""
    signed = draw(st.integers(0, 900))
    control, data = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    digest = st.binary(min_size=20, max_size=20)
    row = LockedPackage(
        draw(NAME),
        draw(st.sampled_from(["repo/x86_64/a.apk", "https://host.example/os/x86_64/a&b.apk"])),
        draw(VERSION),
        draw(ARCH),
        Member(0, signed, draw(digest)) if signed else NO_MEMBER,
        Member(signed, control, draw(digest)),
        Member(signed + control, data, draw(st.binary(min_size=32, max_size=32))),
        draw(digest),
        size=signed + control + data,
    )
    if draw(st.booleans()):
        names = st.lists(NAME, max_size=3).map(tuple)
        row = row._replace(sha256=draw(HEX), origin=draw(NAME), depends_on=draw(names), requested_by=draw(names))
        row = row._replace(tag=draw(st.sampled_from(["", "edge"])), listed_architecture=draw(st.sampled_from(["", "noarch"])))
    return row


REPOSITORIES = st.lists(
    st.builds(
        LockedRepository, TEXT, TEXT, ARCH, st.sampled_from(["", "ab" * 32]), st.sampled_from(["", "2026-01-01T00:00:00Z"])
    ),
    max_size=2,
).map(tuple)
LOCKS = st.builds(
    Lock,
    TEXT,
    st.just("sha256-x"),
    st.lists(st.builds(LockedKey, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    REPOSITORIES,
    REPOSITORIES,
    REPOSITORIES,
    st.lists(packages(), max_size=4, unique_by=lambda row: (row.architecture, row.name)).map(tuple),
    st.dictionaries(ARCH, st.lists(NAME, max_size=3).map(tuple), min_size=1).map(lambda found: tuple(found.items())),
    st.lists(TEXT, max_size=2).map(tuple),
    st.lists(NAME, max_size=2).map(tuple),
    st.lists(st.builds(LockedFile, TEXT, st.sampled_from(["definition", "file", "tree"]), HEX), max_size=2).map(tuple),
)


@given(LOCKS)
def test_round_trip(lock: Lock) -> None:
    content = write_lock(lock)
    assert parse_lock(content) == lock
    assert write_lock(parse_lock(content)) == content
    assert content.endswith(b"}\n")


@given(LOCKS)
def test_without_our_keys_the_document_is_apko_s(lock: Lock) -> None:
    document = json.loads(write_lock(lock))
    for key in ("requested", "flags", "drift", "files"):
        del document[key]
    found = parse_lock(json.dumps(document).encode())
    assert not found.is_ours
    assert found.packages == lock.packages


def recorded_locks() -> list[Path]:
    return sorted([*SHARED.glob("apko-runs/cases/*/expect/lock.json"), *SHARED.glob("apko/cli/testdata/apko.lock.json")])


def test_locks_of_apko_come_back_byte_for_byte() -> None:
    found = recorded_locks()
    if not found:
        pytest.skip("no recorded locks beside the checkout")
    for path in found:
        content = path.read_bytes()
        text = content.decode().replace("\\u0026", "&").replace("\\u003c", "<").replace("\\u003e", ">")
        assert write_lock(parse_lock(content, str(path))).decode() == text, path


# --- faults ------------------------------------------------------------------------------------------------------------


def row(**changes: Any) -> dict[str, Any]:
    def member(first: int, last: int, algorithm: str, size: int) -> dict[str, str]:
        return {"range": f"bytes={first}-{last}", "checksum": f"{algorithm}-{b64encode(bytes(size)).decode()}"}

    found = {
        "name": "a",
        "url": "repo/x86_64/a-1.0-r0.apk",
        "version": "1.0-r0",
        "architecture": "x86_64",
        "signature": member(0, 9, "sha1", 20),
        "control": member(10, 19, "sha1", 20),
        "data": member(20, 29, "sha256", 32),
        "checksum": "Q1" + b64encode(bytes(20)).decode(),
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def document(*rows: Any, **changes: Any) -> bytes:
    contents = {"keyring": [], "build_repositories": [], "runtime_repositories": [], "repositories": [], "packages": list(rows)}
    return json.dumps({"version": "v1", "config": {"name": "c", "checksum": "sha256-x"}, "contents": contents} | changes).encode()


def reasons(content: bytes) -> list[str]:
    with pytest.raises(ApkilnError) as caught:
        parse_lock(content, "x.lock.json")
    faults = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
    assert all(fault.origin.source == "x.lock.json" for fault in faults)
    return [fault.reason for fault in faults]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "lock-invalid"),
        (b"[" * 100_000, "lock-invalid"),
        (b"\xff", "lock-invalid"),
        (b"[]", "lock-invalid"),
        (document(version="v2"), "lock-version"),
        (document(version=None), "lock-version"),
        (document(contents=None), "lock-invalid"),
        (document(3), "lock-invalid"),
        (document(row(checksum=None)), "lock-row-without-checksum"),
        (document(row(checksum="")), "lock-row-without-checksum"),
        (document(row(checksum="Q1abc")), "lock-invalid"),
        (document(row(checksum="Q2" + b64encode(bytes(32)).decode())), "lock-invalid"),
        (document(row(name="../a")), "lock-invalid"),
        (document(row(name=7)), "lock-invalid"),
        (document(row(version="one")), "lock-invalid"),
        (document(row(architecture="a/b")), "lock-invalid"),
        (document(row(url="@edge repo/x86_64/a.apk")), "lock-invalid"),
        (document(row(url=None)), "lock-invalid"),
        (document(row(data={"range": "", "checksum": ""})), "lock-invalid"),
        (document(row(data={"range": "bytes=9-1", "checksum": ""})), "lock-invalid"),
        (document(row(data={"range": "bytes=20-29", "checksum": "md5-xx"})), "lock-invalid"),
        (document(row(size=31)), "lock-invalid"),
        (document(row(size=True)), "lock-invalid"),
        (document(row(sha256="AB")), "lock-invalid"),
        (document(row(depends_on=[1])), "lock-invalid"),
        (document(row(), row(version="1.1-r0")), "lock-row-twice"),
    ],
)
def test_faults(content: bytes, reason: str) -> None:
    assert reason in reasons(content)


def test_all_faults_are_told_at_once() -> None:
    assert len(reasons(document(row(checksum=None), row(name="b", checksum=None), row(name="c", version="x")))) == 3


def test_equal_rows_count_once() -> None:
    assert len(parse_lock(document(row(), row())).packages) == 1


def test_a_large_document_is_refused() -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_lock(document(row()), limits=Limits(document=10))
    assert caught.value.reason == "lock-too-large"


def test_a_lock_without_config_or_our_keys_is_read() -> None:
    lock = parse_lock(document(row(), config=None))
    assert lock.configuration_checksum == ""
    assert lock.packages[0].size == 30
    assert lock.architectures == ("x86_64",)


MUTATIONS: tuple[Callable[[Any], Any], ...] = (
    lambda _: None,
    lambda _: 1,
    lambda _: -1,
    lambda _: "",
    lambda _: "x",
    lambda _: [],
    lambda _: {},
    lambda value: [value],
)


@given(st.data())
def test_nothing_but_our_errors(data: st.DataObject) -> None:
    """Any value at any place is read or refused by a located fault."""
    value = json.loads(document(row(), row(name="b", sha256="ab" * 32, size=30)))
    node: Any = value
    key: Any
    while True:
        key = data.draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else data.draw(st.integers(0, len(node) - 1))
        child = node[key]
        if not isinstance(child, (dict, list)) or not child or data.draw(st.booleans()):
            break
        node = child
    node[key] = data.draw(st.sampled_from(MUTATIONS))(node[key])
    try:
        parse_lock(json.dumps(value).encode())
    except ApkilnError as error:
        assert error.reason in ("lock-invalid", "lock-version", "lock-row-without-checksum", "lock-row-twice", "several-faults")
