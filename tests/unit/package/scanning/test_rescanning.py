"""Published packages analysed again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.package_workshop import DEMO, definition, file, library, link, program, request, tree, written
from tests.sample_packages import sample_signer

from apkiln.acquire.access import Access
from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.package.analysis.conclusion import Analysis
from apkiln.package.analysis.published import PublishedPackage, definition_of, lint_published, read_published
from apkiln.package.analysis.rules import DEFAULT_RULES
from apkiln.package.scanning.reading import RepositoryPackages
from apkiln.package.scanning.rescanning import Change, groups, rescan, summary
from apkiln.system.files import DiskFiles
from apkiln.system.memory_server import MemoryServer, memory_transfer
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer, RoutedTransfer

SUB = DEMO + "subpackages: [{name: demo-libs}]\n"
TREES = (
    tree(file("usr/bin/a", program(["liba.so.1"]), 0o755), file("usr/lib/x/b.so.1", library("b.so.1"))),
    tree(file("usr/lib/liba.so.1", library("liba.so.1")), package="demo-libs"),
)


def published() -> tuple[PublishedPackage, ...]:
    files = written(request(SUB), *TREES)
    return tuple(read_published(io.BytesIO(content)) for _, content in sorted(files.items()))


def test_nothing_changes_while_the_rules_stay() -> None:
    one, two = published()
    found = rescan(one, [two])
    assert found.changes() == () and found.diff(comments=True) == ""
    assert "depend = so:liba.so.1\n" in found.text() and "# vendored = so:b.so.1=1\n" in found.text()


def test_a_rule_that_changes_shows() -> None:
    one, two = published()
    rules = DEFAULT_RULES._replace(versioned_libraries=True, host_libraries=frozenset({"b.so.1"}))
    found = rescan(one, [two], rules=rules)
    assert found.changes() == (
        Change("demo-1.2-r3", "depend", "so-ver:liba.so.1>=1.2-r3", True),
        Change("demo-1.2-r3", "vendored", "so-ver:b.so.1=1.2-r3", False),
        Change("demo-1.2-r3", "vendored", "so:b.so.1=1", False),
    )
    assert "+depend = so-ver:liba.so.1>=1.2-r3\n" in found.diff(comments=False)
    assert "vendored" not in found.diff(comments=False) and "-# vendored" in found.diff(comments=True)
    assert summary(found.changes()) == (("depend", "so-ver", 1, 0), ("vendored", "so", 0, 1), ("vendored", "so-ver", 0, 1))


def test_the_definition_may_be_another_one() -> None:
    one, two = published()
    other = definition(SUB.replace("copyright", "options: {no-depends: true}, copyright"))
    assert [item.item for item in rescan(one, [two], other).changes()] == ["so:ld-linux-x86-64.so.2", "so:liba.so.1"]


def test_packages_of_one_build_are_seen_together() -> None:
    one, two = published()
    assert [[item.contents.info.name for item in group] for group in groups((two, one))] == [["demo-libs", "demo"]]


def test_a_package_carries_what_its_checks_need() -> None:
    one, two = published()
    assert definition_of(one).package.full_version == "1.2-r3"
    found: Analysis = lint_published(two)
    assert [item.linter for item in found.findings] == ["lddcheck"]


def test_packages_that_are_checked_together_see_each_other() -> None:
    asked = request(DEMO + "subpackages: [{name: demo-dev}]\n")
    dev = tree(link("usr/lib/a.so", "a.so.1"), package="demo-dev")
    files = written(asked, tree(file("usr/lib/a.so.1", library("a.so.1"))), dev)
    one, two = (read_published(io.BytesIO(content)) for _, content in sorted(files.items()))
    names = [[item.linter for item in lint_published(two, siblings=others).findings] for others in ((), (one,))]
    assert "dangling-symlink" in names[0] and "dangling-symlink" not in names[1]


@pytest.fixture
def access(tmp_path: Path) -> Access:
    files = DiskFiles(durable=False)
    return Access(MemoryStore(), LocalTransfer(files), files, directory=tmp_path)


def test_a_directory_is_read_with_or_without_architectures(tmp_path: Path, access: Access) -> None:
    for name, content in written(request(SUB), *TREES).items():
        for place in (tmp_path / "flat", tmp_path / "deep" / "x86_64"):
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
    for repository in ("flat", "deep"):
        packages = RepositoryPackages(repository, "x86_64", (), access)
        assert [item.contents.info.name for item in packages.all()] == ["demo", "demo-libs"]
        (found,) = packages.named([("demo-libs", "1.2-r3")])
        assert found.contents.info.name == "demo-libs" and found.facts.files
    with pytest.raises(UnavailableError) as error:
        RepositoryPackages("deep", "x86_64", (), access).named([("demo", "9-r9")])
    assert error.value.reason == "missing-package" and "demo-9-r9.apk" in str(error.value)


BASE = "https://host.example/os"


def remote(tmp_path: Path, signer: str = "sample.rsa.pub") -> tuple[MemoryServer, Access]:
    """A signed repository on a server in memory, and a key file to trust."""
    from apkiln.formats.apk.index import record_of, write_index
    from apkiln.formats.apk.package import read_package
    from apkiln.formats.deflate.codec import canonical_codec

    files = written(request(SUB), *TREES)
    records = [record_of(read_package(io.BytesIO(content))) for content in files.values()]
    server = MemoryServer({f"{BASE}/x86_64/{name}": content for name, content in files.items()})
    server.put(f"{BASE}/x86_64/APKINDEX.tar.gz", write_index(records, "t", canonical_codec(), (sample_signer(signer),)))
    (tmp_path / "sample.rsa.pub").write_bytes(sample_signer("sample.rsa.pub").public_key())
    disk = DiskFiles(durable=False)
    transfer = RoutedTransfer(memory_transfer(server), LocalTransfer(disk))
    return server, Access(MemoryStore(), transfer, disk, directory=tmp_path)


def test_a_remote_repository_is_trusted_through_its_index(tmp_path: Path) -> None:
    _, access = remote(tmp_path)
    packages = RepositoryPackages(BASE, "x86_64", ("sample.rsa.pub",), access)
    assert [item.contents.info.name for item in packages.all()] == ["demo", "demo-libs"]
    assert [item.contents.info.name for item in packages.named([("demo-libs", "1.2-r3"), ("demo", "1.2-r3")])] == [
        "demo-libs",
        "demo",
    ]
    with pytest.raises(UnavailableError) as error:
        packages.named([("demo", "9-r9")])
    assert error.value.reason == "missing-package"


def test_a_remote_package_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    server, access = remote(tmp_path)
    server.put(f"{BASE}/x86_64/demo-1.2-r3.apk", written(request(SUB, source_date=5), *TREES)["demo-1.2-r3.apk"])
    with pytest.raises(VerificationError):
        RepositoryPackages(BASE, "x86_64", ("sample.rsa.pub",), access).all()


def test_an_index_of_another_key_is_refused(tmp_path: Path) -> None:
    _, access = remote(tmp_path, "other.rsa.pub")
    with pytest.raises(VerificationError):
        RepositoryPackages(BASE, "x86_64", ("sample.rsa.pub",), access).all()
    trusting = RepositoryPackages(BASE, "x86_64", ("sample.rsa.pub",), access, ignore_signatures=True)
    assert len(trusting.all()) == 2
