from __future__ import annotations

import pytest

from apkiln.acquire.repositories import Layout, Repository, parse_repositories
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.apk.records import IndexRecord


def one(line: str) -> Repository:
    (repository,) = parse_repositories([line])
    return repository


@pytest.mark.parametrize(
    ("line", "url", "tag", "index"),
    [
        ("https://host.example/os", "https://host.example/os", "", "https://host.example/os/x86_64/APKINDEX.tar.gz"),
        ("https://host.example/os///", "https://host.example/os", "", "https://host.example/os/x86_64/APKINDEX.tar.gz"),
        ("@edge https://host.example/os", "https://host.example/os", "edge", "https://host.example/os/x86_64/APKINDEX.tar.gz"),
        ("./repos/main", "./repos/main", "", "./repos/main/x86_64/APKINDEX.tar.gz"),
        ("@local /srv/repo", "/srv/repo", "local", "/srv/repo/x86_64/APKINDEX.tar.gz"),
        ("@a+b_c.d~1 /srv/repo", "/srv/repo", "a+b_c.d~1", "/srv/repo/x86_64/APKINDEX.tar.gz"),
        ("v2 @edge file:///srv/repo", "file:///srv/repo", "edge", "file:///srv/repo/x86_64/APKINDEX.tar.gz"),
        ("ndx https://host.example/a/index", "https://host.example/a/index", "", "https://host.example/a/index"),
        ("/srv/repo/APKINDEX.tar.gz", "/srv/repo/APKINDEX.tar.gz", "", "/srv/repo/APKINDEX.tar.gz"),
    ],
)
def test_lines(line: str, url: str, tag: str, index: str) -> None:
    repository = one(line)
    assert (repository.url, repository.tag, repository.index_url("x86_64")) == (url, tag, index)


def test_components_multiply_and_comments_vanish() -> None:
    found = parse_repositories(["# main", "", "https://host.example/v3.20 main community", "/srv"], first=3)
    assert [(item.url, item.number) for item in found] == [
        ("https://host.example/v3.20/main", 3),
        ("https://host.example/v3.20/community", 4),
        ("/srv", 5),
    ]


def test_credentials_are_kept_for_fetching_only() -> None:
    repository = one("@t https://me:word@host.example/os")
    assert repository.index_location("x86_64") == "https://me:word@host.example/os/x86_64/APKINDEX.tar.gz"
    for shown in (repository.url, repository.line, repository.index_url("x86_64"), repr(repository)):
        assert "word" not in shown


def record(arch: str) -> IndexRecord:
    return IndexRecord("a", "1.0-r0", arch, b"i" * 20, 1, 1)


def test_packages_are_looked_for_where_apk_looks_first() -> None:
    repository = one("/srv")
    assert repository.package_locations(record("x86_64"), "x86_64") == ("/srv/x86_64/a-1.0-r0.apk",)
    assert repository.package_locations(record("noarch"), "x86_64") == ("/srv/noarch/a-1.0-r0.apk", "/srv/x86_64/a-1.0-r0.apk")
    beside = one("ndx /srv/APKINDEX.tar.gz")
    assert beside.layout is Layout.INDEX
    assert beside.package_locations(record("noarch"), "x86_64") == ("/srv/a-1.0-r0.apk",)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("@edge", "bad-repository"),
        ("@ /srv", "bad-repository"),
        ("ftp://host.example/os", "bad-repository"),
        ("https:///os", "bad-url"),
        ("https://host:port/os", "bad-url"),
        ("v3 https://host.example/os", "unsupported-repository"),
        ("https://host.example/Packages.adb", "unsupported-repository"),
        ("ndx https://host.example/i.tar.gz main", "bad-repository"),
        ("https://host.example/os ../secret", "bad-repository"),
        ("/", "bad-repository"),
    ],
)
def test_bad_lines_are_refused_with_their_number(line: str, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        parse_repositories(["/srv", line])
    assert (caught.value.reason, caught.value.origin.line) == (reason, 2 if reason != "bad-url" else caught.value.origin.line)


def test_all_bad_lines_are_reported_at_once() -> None:
    with pytest.raises(FaultGroup) as caught:
        parse_repositories(["@a", "/srv", "@b"])
    assert [fault.origin.line for fault in caught.value.faults] == [1, 3]
