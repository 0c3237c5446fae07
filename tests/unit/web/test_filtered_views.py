"""Filtered views: what a policy keeps back is in no index, and who asks for it is told the rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.page_visitor import Visitor
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, places, publish, published_keys, selection

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.signature import verify
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.equipment import Policy
from apkiln.repository.filtering import DAY, FilteredView, ViewPolicy, parse_block_list
from apkiln.repository.generations import full_image, index_bytes
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.service import RepositoryService
from apkiln.system.files import DiskFiles
from apkiln.web.configuration import ViewConfiguration, parse_configuration
from apkiln.web.filtered import EVERY, PolicySource

FREE = Policy(sign_packages=False, two_persons=False)


def service_with(*names: str) -> RepositoryService:
    service = created(places(), FREE, ("x86_64", "aarch64"))
    for name in names:
        package, _, version = name.rpartition(" ")
        publish(service, sample_package(package, version, "noarch" if package == "any" else "x86_64"))
    return service


def seen(service: RepositoryService, policy: ViewPolicy, now: int = 0, arch: str = "x86_64") -> list[str]:
    view = FilteredView("seen", service, lambda: policy)
    return names(service, view, now, arch)


def names(service: RepositoryService, view: FilteredView, now: int = 0, arch: str = "x86_64") -> list[str]:
    """What the index of a view lists, as a strict client reads it."""
    answer = view.answer(f"{arch}/APKINDEX.tar.gz", now)
    assert answer.status == 200, answer
    index = read_index(answer.body)
    verify(index.signatures, index.signed_bytes, published_keys(service), allow_sha1=False)
    return [record.name_version for record in parse_index_text(index.text).records]


def test_a_blocked_version_is_not_listed_so_that_another_one_is_chosen() -> None:
    service = service_with("a 0-r9", "a 1-r0", "b 1-r0", "any 1-r0")
    policy = ViewPolicy(blocked=(("a", "1-r0", "a known exploited vulnerability"), ("any", "", "not scanned")))
    view = FilteredView("os/scanned", service, lambda: policy)
    assert names(service, view) == ["a-0-r9", "b-1-r0"]
    assert names(service, view, arch="aarch64") == []
    assert seen(service, ViewPolicy()) == ["a-0-r9", "a-1-r0", "any-1-r0", "b-1-r0"]
    kept_back = view.answer("x86_64/a-1-r0.apk", 0)
    assert (kept_back.status, json.loads(kept_back.body)["error"]["code"]) == (403, "policy")
    assert "a known exploited vulnerability" in kept_back.body.decode()
    assert view.answer("x86_64/a-0-r9.apk", 0).status == 200
    assert view.answer("aarch64/any-1-r0.apk", 0).status == 403
    assert [row["name"] for row in json.loads(view.answer("blocked.json", 0).body)["blocked"]] == ["any", "a"]


def test_licences_and_age() -> None:
    service = service_with("a 1-r0")
    assert seen(service, ViewPolicy(frozenset({"apache-2.0"}))) == []
    assert seen(service, ViewPolicy(frozenset({"gpl-3.0-only"}))) == ["a-1-r0"]
    accepted = service.state.accepted[next(iter(service.state.accepted))].changed // 1000
    week = ViewPolicy(minimum_age=7 * DAY)
    assert seen(service, week, accepted) == []
    assert seen(service, week, accepted + 6 * DAY) == []
    assert seen(service, week, accepted + 9 * DAY) == ["a-1-r0"]


def test_paths_beside_the_index() -> None:
    service = service_with("a 1-r0")
    view = FilteredView("seen", service, lambda: ViewPolicy())
    assert view.answer("keys/os-old.rsa.pub", 0).status == 200
    for path in ("vax/APKINDEX.tar.gz", "x86_64/none-1-r0.apk", "@1/x86_64/APKINDEX.tar.gz", "@1/generation.json", "", "a/b/c",
                 "generation.json", "candidate/x", "x86_64/..", "x86_64%2fa-1-r0.apk"):  # fmt: skip
        assert view.answer(path, 0).status == 404, path
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("a", "1-r0")),)))
    assert view.answer("x86_64/a-1-r0.apk", 0).status == 410


changes = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=10)


@settings(max_examples=25, deadline=None)
@given(changes)
def test_following_gives_the_bytes_of_making_anew(steps: list[tuple[str, int, bool]]) -> None:
    service, rules = created(places(), FREE), set[tuple[str, str, str]]()
    view = FilteredView("seen", service, lambda: ViewPolicy(blocked=tuple(sorted(rules))))
    for name, number, block in steps:
        package = sample_package(name, f"{number}-r0")
        if block:
            rules ^= {(name, f"{number}-r0", "no")}
        elif not service.state.names.get(("x86_64", name)):
            publish(service, package)
        body = view.answer("x86_64/APKINDEX.tar.gz", 0).body
        wanted = [item for item in service.state.listing() if (item.name, item.version, "no") not in rules]
        signers = [service.equipment.signers.signer(key) for key in service.state.signing_keys()]
        codec = canonical_codec()
        assert body == index_bytes(full_image(wanted, codec), f"seen {service.state.current}", codec, signers)


def test_without_its_list_nothing_is_let_through(tmp_path: Path) -> None:
    service, clock = service_with("a 1-r0"), [0.0]
    configured = ViewConfiguration("os/scanned", "os", blocked="blocked.txt")
    view = FilteredView("os/scanned", service, PolicySource(configured, tmp_path, DiskFiles(), lambda: clock[0]))
    assert view.answer("x86_64/APKINDEX.tar.gz", 0).status == 503
    (tmp_path / "blocked.txt").write_text("# scanned at noon\n\na=1-r0 CVE-2026-1 is exploited\n")
    assert names(service, view) == []
    (tmp_path / "blocked.txt").write_text("")
    assert names(service, view) == [], "looked at every few seconds"
    clock[0] += EVERY
    assert names(service, view) == ["a-1-r0"]
    (tmp_path / "blocked.txt").write_text("nonsense\n")
    clock[0] += EVERY
    assert view.answer("x86_64/a-1-r0.apk", 0).status == 503


def test_a_list_that_is_not_understood_is_refused_with_every_line() -> None:
    assert parse_block_list("a why\nb=1-r0  because of this\n", "f") == (("a", "", "why"), ("b", "1-r0", "because of this"))
    with pytest.raises(FaultGroup) as caught:
        parse_block_list("a\nb why\nc=!! why\n-x why\nd= why\n", "f")
    assert [fault.origin.line for fault in caught.value.faults] == [1, 3, 4, 5]


def test_over_http() -> None:
    service = service_with("a 1-r0", "b 1-r0")
    visitor = Visitor(service)
    policy = ViewPolicy(blocked=(("a", "", "no"),))
    visitor.application.views["os/scanned"] = FilteredView("os/scanned", service, lambda: policy)
    index = visitor.get("/os/scanned/x86_64/APKINDEX.tar.gz")
    assert (index.status, index.headers["x-repository-generation"]) == (200, "3")
    head = visitor.get("/os/scanned/x86_64/APKINDEX.tar.gz", "HEAD")
    assert head.headers == index.headers and head.body == b""
    again = visitor.get("/os/scanned/x86_64/APKINDEX.tar.gz", if_none_match=index.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert visitor.get("/os/scanned/x86_64/a-1-r0.apk").status == 403
    assert visitor.get("/os/scanned/x86_64/%62-1-r0.apk").body == visitor.get("/os/x86_64/b-1-r0.apk").body
    assert visitor.get("/os/scanned/x86_64/b-1-r0.apk", "POST").status == 405
    assert visitor.get("/os/x86_64/a-1-r0.apk").status == 200, "the repository itself is as it was"
    private = Visitor(service, private=True)
    private.application.views["os/scanned"] = FilteredView("os/scanned", service, lambda: policy)
    assert private.get("/os/scanned/x86_64/APKINDEX.tar.gz").status == 401


@pytest.mark.parametrize(
    "view", [{"name": "os", "repository": "os"}, {"name": "x", "repository": "y"}, {"name": "-", "repository": "os"}]
)
def test_a_view_has_a_name_of_its_own_and_a_repository(view: dict[str, Any]) -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_configuration({"repository": [{"name": "os"}], "view": [view]}, "f")
    assert caught.value.reason == "bad-service-configuration"
    good = {"name": "os/new", "repository": "os", "minimum_age_days": 3}
    assert parse_configuration({"repository": [{"name": "os"}], "view": [good]}, "f").view[0].minimum_age_days == 3
