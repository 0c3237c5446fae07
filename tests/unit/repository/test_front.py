"""What is at which path."""

from __future__ import annotations

import json

import pytest
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, places, publish, selection

from apkiln.repository.front import Answer, found
from apkiln.repository.ledger.actions import Manifest, Named
from apkiln.repository.service import RepositoryService
from apkiln.web.serving import split_path

START = 1_700_000_000


@pytest.fixture(scope="module")
def service() -> RepositoryService:
    where = places()
    made = created(where, arches=("x86_64", "aarch64"))
    publish(made, sample_package("c++", "1.0_git20240101~abcdef0-r0"), sample_package("any-2", "3-r0", "noarch"))
    where.clock.advance(86_400)
    publish(made, sample_package("gone"))
    made.append(ALICE, lambda state: (Named("stable", 2),))
    made.run(ALICE, Manifest(withdraw=(selection(sample_package("gone")),)))
    return made


def at(service: RepositoryService, path: str, now: int = START + 10**6) -> Answer:
    return found(service.state, path, now)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("x86_64/APKINDEX.tar.gz", 200),
        ("aarch64/APKINDEX.tar.gz", 200),
        ("riscv64/APKINDEX.tar.gz", 404),
        ("x86_64/c++-1.0_git20240101~abcdef0-r0.apk", 200),
        ("x86_64/c%2B%2b-1.0_git20240101%7eabcdef0-r0.apk", 200),
        ("aarch64/c++-1.0_git20240101~abcdef0-r0.apk", 404),
        ("x86_64/any-2-3-r0.apk", 200),
        ("aarch64/any-2-3-r0.apk", 200),
        ("noarch/any-2-3-r0.apk", 200),
        ("x86_64/any-2.apk", 404),
        ("x86_64/any_3-r0_x86_64.apk", 404),
        ("x86_64/gone-1.0-r0.apk", 410),
        ("@3/x86_64/gone-1.0-r0.apk", 410),
        ("@2/x86_64/APKINDEX.tar.gz", 200),
        ("@stable/x86_64/APKINDEX.tar.gz", 200),
        ("@9/x86_64/APKINDEX.tar.gz", 404),
        ("@0/x86_64/APKINDEX.tar.gz", 404),
        ("@nonsense/x86_64/APKINDEX.tar.gz", 404),
        ("@2/generation.json", 200),
        ("@2/generation.json.sig", 200),
        ("@2/packages.sha256", 200),
        ("generation.json", 200),
        ("current", 200),
        ("withdrawn.json", 200),
        ("names.json", 200),
        ("packages.sha256", 200),
        ("keys/index.json", 200),
        ("keys/os-old.rsa.pub", 200),
        ("keys/none.rsa.pub", 404),
        ("candidate/x/x86_64/APKINDEX.tar.gz", 404),
        ("x86_64", 404),
        ("x86_64/", 404),
        ("x86_64/../x86_64/any-2-3-r0.apk", 404),
        ("x86_64/%2e%2e/any-2-3-r0.apk", 404),
        ("x86_64/..%2fany-2-3-r0.apk", 404),
        ("x86_64/a\0b", 404),
        ("", 404),
        ("@", 404),
    ],
)
def test_paths(service: RepositoryService, path: str, status: int) -> None:
    assert at(service, path).status == status


def test_a_named_view_is_its_generation(service: RepositoryService) -> None:
    assert at(service, "@stable/x86_64/APKINDEX.tar.gz") == at(service, "@2/x86_64/APKINDEX.tar.gz")


def test_dates_lead_to_what_was_current_then(service: RepositoryService) -> None:
    second = service.state.generations[2].live_at // 1000
    from datetime import UTC, datetime

    text = datetime.fromtimestamp(second + 60, UTC).isoformat().replace("+00:00", "Z")
    answer = at(service, f"@{text}/x86_64/APKINDEX.tar.gz")
    assert (answer.status, answer.location) == (302, "/os@2/x86_64/APKINDEX.tar.gz")
    assert at(service, f"@{text}/x86_64/APKINDEX.tar.gz", now=second).status == 404, "not before that time is past"
    assert at(service, "@1999-01-01/x86_64/APKINDEX.tar.gz").status == 404


def test_caches_may_keep_what_never_changes(service: RepositoryService) -> None:
    for path in ("@2/x86_64/APKINDEX.tar.gz", "x86_64/any-2-3-r0.apk", "@2/generation.json"):
        assert "immutable" in at(service, path).cache
    assert "max-age=60" in at(service, "x86_64/APKINDEX.tar.gz").cache
    assert "no-cache" in at(service, "current").cache
    assert all("no-transform" in at(service, path).cache for path in ("x86_64/APKINDEX.tar.gz", "x86_64/any-2-3-r0.apk"))


def test_content_types(service: RepositoryService) -> None:
    assert at(service, "x86_64/any-2-3-r0.apk").content_type == "application/octet-stream"
    assert at(service, "x86_64/APKINDEX.tar.gz").content_type == "application/gzip"


def test_why_it_is_gone(service: RepositoryService) -> None:
    body = json.loads(at(service, "x86_64/gone-1.0-r0.apk").body)
    assert body["error"]["code"] == "withdrawn"
    listed = json.loads(at(service, "withdrawn.json").body)
    assert [entry["name"] for entry in listed["withdrawn"]] == ["gone"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/os/x86_64/f", ("os", "x86_64/f")),
        ("/os/musl/x86_64/f", ("os/musl", "x86_64/f")),
        ("/os/musl@5/x86_64/f", ("os/musl", "@5/x86_64/f")),
        ("/os@5/x86_64/f", ("os", "@5/x86_64/f")),
        ("/os", ("os", "")),
        ("/osx/x86_64/f", ("", "")),
        ("/", ("", "")),
        ("", ("", "")),
        ("/musl/os/f", ("", "")),
    ],
)
def test_the_repository_of_a_path(path: str, expected: tuple[str, str]) -> None:
    assert split_path(path, {"os": 1, "os/musl": 2}) == expected
