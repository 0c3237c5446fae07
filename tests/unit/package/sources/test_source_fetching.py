"""The source cache: filled in memory from servers, mirrors and finders; nothing unverified gets a name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.origin import Origin
from apkiln.formats.git_bundle import BundleHeader, read_header, write_header
from apkiln.package.sources.access import SourceAccess
from apkiln.package.sources.cached_checkouts import joined
from apkiln.package.sources.cherry_picks import CherryPick
from apkiln.package.sources.fetching import fetch_sources
from apkiln.package.sources.plan import FULL_HISTORY, FetchedSources, FetchSource, GitSource, SourcePlan
from apkiln.package.sources.source_map import NO_MAP, SourceMap, merged_maps, read_source_map
from apkiln.system.git import GitWant, MemoryGit, MemoryRepository, Submodule, bundle_references, satisfies
from apkiln.system.http import HttpPolicy
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.transfer import LocalTransfer, RoutedTransfer

CACHE = PurePosixPath("/cache")
DATA = b"the source\n" * 1000
URI = "https://origin.example/x-1.tar.gz"
COMMIT, TAG, INNER = "11" * 20, "22" * 20, "33" * 20
PLACE = Origin("demo.yaml", 4, 5)


def digest(data: bytes, algorithm: str = "sha256") -> Digest:
    return Digest(algorithm, hashlib.new(algorithm, data).digest())


def source(*digests: Digest, uri: str = URI) -> FetchSource:
    return FetchSource(uri, digests, "pipeline[0]", "demo", origin=PLACE)


class Bench:
    """A cache in memory and what can be asked."""

    def __init__(self, served: dict[str, bytes] | None = None) -> None:
        self.files = MemoryFiles()
        self.server = MemoryServer(served or {})
        self.git = MemoryGit({}, self.files)
        self.finders: tuple[Finder, ...] = ()
        self.places: SourceMap = NO_MAP
        self.unpinned = False

    def fetch(self, *sources: FetchSource | GitSource) -> FetchedSources:
        policy = HttpPolicy(retries=0)
        transfer = RoutedTransfer(memory_transfer(self.server, policy=policy), LocalTransfer(self.files))
        access = SourceAccess(
            CACHE, self.files, transfer, self.git, self.places, self.finders, jobs=2, maximum_file=1 << 20,
            allow_unpinned=self.unpinned,
        )  # fmt: skip
        return fetch_sources(SourcePlan(sources), access)

    def cached(self) -> dict[str, bytes]:
        found = self.files.snapshot().items()
        return {name.removeprefix("/cache/"): data for name, data in found if name.startswith("/cache/") and ".lock" not in name}

    def asked(self, url: str = URI) -> int:
        return sum(1 for one in self.server.asked if one.url == url)


class Finder:
    """Knows files by digest."""

    def __init__(self, *known: bytes) -> None:
        self.known = {digest(data): data for data in known}

    def find(self, digests: tuple[Digest, ...], write: Callable[[bytes], object]) -> str:
        for one in digests:
            if one in self.known:
                write(self.known[one])
                return "archive: x"
        return ""


def test_a_file_is_fetched_once_and_verified_again() -> None:
    bench = Bench({URI: DATA})
    wanted = source(digest(DATA), digest(DATA, "sha512"))
    first = bench.fetch(wanted, wanted).materials
    assert bench.cached() == {wanted.cache_name: DATA} and bench.asked() == 1
    assert [(one.digest, one.size, one.location) for one in first] == [(digest(DATA), len(DATA), URI)] * 2
    assert bench.fetch(wanted).materials[0].location == "cache" and bench.asked() == 1


def test_a_damaged_entry_is_fetched_again() -> None:
    bench = Bench({URI: DATA})
    wanted = source(digest(DATA))
    bench.files.put(f"/cache/{wanted.cache_name}", DATA[:-1])
    assert bench.fetch(wanted).materials[0].location == URI
    assert bench.cached() == {wanted.cache_name: DATA}


@pytest.mark.parametrize("wrong", ["sha256", "sha512"])
def test_both_digests_count_and_the_wrong_file_is_kept_aside(wrong: str) -> None:
    bench = Bench({URI: DATA})
    digests = [digest(b"other" if name == wrong else DATA, name) for name in ("sha256", "sha512")]
    with pytest.raises(ApkilnError) as caught:
        bench.fetch(source(*digests))
    error = caught.value
    assert error.reason == "source-digest-mismatch" and error.origin.line == 4
    assert digest(b"other", wrong).hex in error.message and digest(DATA, wrong).hex in error.message
    (name, data), *others = bench.cached().items()
    assert name.startswith("rejected/") and name in error.hint and data == DATA and not others


def test_mirrors_come_first_by_digest_then_by_prefix() -> None:
    mirror = "https://mirror.example/m/x-1.tar.gz"
    bench = Bench({URI: b"never", mirror: DATA})
    bench.places = SourceMap(((digest(DATA), "/srv/x.tar.gz"),), (("https://origin.example/", "https://mirror.example/m/"),))
    assert bench.fetch(source(digest(DATA))).materials[0].location == mirror
    other = Bench()
    other.files.put("/srv/x.tar.gz", DATA)
    other.places = bench.places
    assert other.fetch(source(digest(DATA))).materials[0].location == "/srv/x.tar.gz"
    assert not other.server.asked


def test_a_mirror_with_the_wrong_file_is_passed_over() -> None:
    bench = Bench({URI: DATA, "https://mirror.example/x-1.tar.gz": b"error page"})
    bench.places = SourceMap(prefixes=(("https://origin.example", "https://mirror.example"),))
    assert bench.fetch(source(digest(DATA))).materials[0].location == URI


def test_only_the_map_is_asked_when_it_says_so() -> None:
    bench = Bench({URI: DATA})
    bench.places = SourceMap(only=True)
    with pytest.raises(ApkilnError) as caught:
        bench.fetch(source(digest(DATA)))
    assert caught.value.reason == "source-unavailable" and not bench.server.asked
    bench.finders = (Finder(DATA),)
    assert bench.fetch(source(digest(DATA))).materials[0].location == "archive: x"


def test_finders_are_asked_before_the_original_host() -> None:
    bench = Bench({URI: DATA})
    bench.finders = (Finder(), Finder(DATA))
    assert bench.fetch(source(digest(DATA))).materials[0].location == "archive: x" and not bench.server.asked


def test_all_faults_are_told_with_their_places() -> None:
    bench = Bench({URI: DATA})
    with pytest.raises(FaultGroup) as caught:
        bench.fetch(source(digest(b"a")), source(digest(b"b"), uri="https://origin.example/none"), source(digest(DATA)))
    assert [fault.reason for fault in caught.value.faults] == ["source-digest-mismatch", "not-found"]
    assert all(fault.origin.source for fault in caught.value.faults)
    assert str(digest(DATA)) in bench.cached()


def test_a_file_that_is_too_large_leaves_nothing() -> None:
    big = bytes(2 << 20)
    bench = Bench({URI: big})
    with pytest.raises(ApkilnError) as caught:
        bench.fetch(source(digest(big)))
    assert caught.value.reason == "response-too-large" and bench.cached() == {}


def test_unpinned_files_must_be_allowed_and_are_fetched_every_time() -> None:
    bench = Bench({URI: DATA})
    with pytest.raises(ApkilnError) as caught:
        bench.fetch(source())
    assert caught.value.reason == "unpinned-source" and not bench.server.asked
    bench.unpinned = True
    assert bench.fetch(source()).materials[0].digest == digest(DATA)
    bench.fetch(source())
    assert bench.asked() == 2


def checkout(**changes: object) -> GitSource:
    known = GitSource("https://origin.example/app", COMMIT, "pipeline[0]", "demo", tag="v1", origin=PLACE)
    return known._replace(**changes)  # type: ignore[arg-type]


def with_repositories(bench: Bench) -> None:
    app = MemoryRepository(
        {"refs/tags/v1": (TAG, COMMIT), "refs/heads/main": (COMMIT, COMMIT), "HEAD": (COMMIT, COMMIT)},
        {COMMIT: (Submodule("third/lib", "../lib", INNER),)},
    )
    lib = MemoryRepository({"HEAD": (INNER, INNER)}, {})
    bench.git = MemoryGit({"https://origin.example/app": app, "https://origin.example/lib": lib}, bench.files)


def test_steps_that_want_one_commit_share_a_bundle() -> None:
    bench = Bench()
    with_repositories(bench)
    pick = CherryPick("44" * 20, "why", "main")
    wanted = (checkout(), checkout(tag="", branch="main", depth=FULL_HISTORY), checkout(picks=(pick,)))
    found = bench.fetch(*wanted)
    assert bench.git.exports == 1
    assert {one.digest for one in found.materials} == {Digest("sha1", bytes.fromhex(COMMIT))}
    header = read_header(bench.cached()[f"git:{COMMIT}"])
    assert {name for name, _ in header.references} >= {"refs/tags/v1", "refs/heads/main", f"refs/apkiln/picks/{pick.commit}"}
    assert bench.fetch(*wanted).materials[0].location == "cache" and bench.git.exports == 1


def test_submodules_are_bundles_of_their_own() -> None:
    bench = Bench()
    with_repositories(bench)
    bench.fetch(checkout(submodules=True))
    assert {f"git:{COMMIT}", f"git:{INNER}"} <= bench.cached().keys()
    assert bench.fetch(checkout(submodules=True)).materials[0].location == "cache" and bench.git.exports == 2
    bench.files.remove(CACHE / f"git:{COMMIT}.submodules")  # a bundle from elsewhere
    assert bench.fetch(checkout()).materials[0].location == "cache"
    assert bench.fetch(checkout(submodules=True)).materials[0].location != "cache" and bench.git.exports == 3


def test_a_moved_tag_and_an_unknown_host() -> None:
    bench = Bench()
    with_repositories(bench)
    with pytest.raises(ApkilnError) as caught:
        bench.fetch(checkout(commit=INNER))
    assert caught.value.reason == "tag-moved"
    with pytest.raises(ApkilnError) as caught:
        bench.fetch(checkout(repository="https://nobody.example/x"))
    assert caught.value.reason == "git-failed"


@pytest.mark.parametrize(
    ("around", "url", "found"),
    [
        ("https://h/a/b", "../c", "https://h/a/c"),
        ("https://h/a/b.git/", "../../c/d.git", "https://h/c/d.git"),
        ("https://h/a/b", "./c", "https://h/a/b/c"),
        ("git@h:a/b", "../c", "git@h:a/c"),
        ("https://h/a/b", "https://other/x", "https://other/x"),
    ],
)
def test_places_of_submodules(around: str, url: str, found: str) -> None:
    assert joined(around, url) == found


@pytest.mark.parametrize(
    ("have", "want", "enough"),
    [
        (GitWant("r", COMMIT, tag="v1"), GitWant("r", COMMIT, tag="v1"), True),
        (GitWant("r", COMMIT, tag="v1"), GitWant("r", COMMIT, tag="v2"), False),
        (GitWant("r", COMMIT, tag="v1"), GitWant("r", COMMIT, tag="v1", depth=2), False),
        (GitWant("r", COMMIT, tag="v1", depth=0), GitWant("r", COMMIT, tag="v1", depth=2), True),
        (GitWant("r", COMMIT, tag="v1", depth=5), GitWant("r", COMMIT, tag="v1", depth=0), False),
        (GitWant("r", COMMIT, tag="v1"), GitWant("r", COMMIT, tag="v1", picks=(("", INNER),)), False),
        (GitWant("r", COMMIT, tag="v1", picks=(("", INNER),)), GitWant("r", COMMIT, tag="v1", picks=(("", INNER[:9]),)), True),
        (GitWant("r", COMMIT, branch="b"), GitWant("r", COMMIT, exact=True), False),
        (GitWant("r", COMMIT, exact=True), GitWant("r", COMMIT, exact=True), True),
    ],
)
def test_whether_a_bundle_is_enough(have: GitWant, want: GitWant, enough: bool) -> None:
    header = BundleHeader(tuple(bundle_references([have], COMMIT, ())))
    assert satisfies(header, want) is enough
    assert read_header(write_header(header)) == header


@pytest.mark.parametrize("data", [b"", b"# v4 git bundle\n\n", b"# v2 git bundle\n" + b"1" * 50, b"# v2 git bundle\nxyz\n\n"])
def test_what_is_no_bundle(data: bytes) -> None:
    with pytest.raises(ApkilnError) as caught:
        read_header(data)
    assert caught.value.reason in ("not-a-bundle", "bundle-header-cut")


class TestSourceMap:
    TEXT = f"""
digests:
  {digest(DATA)}: files/x.tar.gz
prefixes:
  https://a.example/: https://m.example/a/
  https://a.example/deep/: mirrors/
only: true
"""

    def test_reads(self) -> None:
        found = read_source_map(self.TEXT.encode(), "map.yaml", PurePosixPath("/etc/sources"))
        assert found.places("https://a.example/deep/x", (digest(DATA),)) == (
            "/etc/sources/files/x.tar.gz", "/etc/sources/mirrors/x", "https://m.example/a/deep/x",
        )  # fmt: skip
        assert found.places("https://b.example/x") == ()

    def test_the_first_map_wins(self) -> None:
        one = SourceMap(((digest(DATA), "/one"),), (("https://a/", "/1/"),))
        two = SourceMap(((digest(DATA), "/two"),), (("https://a/", "/2/"),))
        found = merged_maps((one, two))
        assert found.places("https://a/x", (digest(DATA),)) == ("/one", "/1/x", "/2/x", "https://a/x")

    def test_faults_have_places(self) -> None:
        text = b"digests:\n  sha256:12: x\nprefix:\n  a: b\n"
        with pytest.raises(FaultGroup) as caught:
            read_source_map(text, "map.yaml", PurePosixPath("/"))
        assert sorted((fault.reason, fault.origin.line) for fault in caught.value.faults) == [
            ("bad-digest", 2),
            ("unknown-key", 3),
        ]
