"""Repositories in memory and on disk: what is published is listed, what is listed is there, whatever happens."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO

import pytest
from tests.sample_packages import SamplePackage, sample_index, sample_package

from apkiln.core.errors import ApkilnError, EnvironmentFault, FaultGroup
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signature import verify
from apkiln.repository.initialising import initialise
from apkiln.repository.publishing import Publication, Workshop, add_packages, write_indexes
from apkiln.repository.signing import keyring, published_keys
from apkiln.system.files import DiskFiles, Files
from apkiln.system.memory_files import Crash, InterruptedFiles, MemoryFiles
from apkiln.system.signer import KeyPair, generate_key_pair

A = sample_package("a", depends=["b>=1"])
B = sample_package("b")
B2 = sample_package("b", "2.0-r0")
ARM = sample_package("arm", arch="aarch64")
ANY = sample_package("any", arch="noarch")
PAIR = generate_key_pair("test.rsa.pub", bits=2048)


class Place:
    """A repository and a directory of packages to add, on any kind of files."""

    def __init__(self, files: Files, home: PurePath, pair: KeyPair = PAIR) -> None:
        self.files = files
        self.home = home
        files.make_directory(home / "keys")
        files.make_directory(home / "incoming")
        files.make_directory(home / "repo")
        self.write("keys/test.rsa", pair.private_key, 0o600)
        self.write("repo/test.rsa.pub", pair.signer.public_key())

    def write(self, path: str, data: bytes, mode: int = 0o644) -> PurePath:
        with self.files.create(self.home / path, mode, replace=True) as stream:
            stream.write(data)
        return self.home / path

    def incoming(self, packages: Sequence[SamplePackage]) -> list[PurePath]:
        return [self.write(f"incoming/{package.record.arch}-{package.file_name}", package.data) for package in packages]

    def add(
        self, *packages: SamplePackage, files: Files | None = None, strict: bool = False, arches: Sequence[str] = ()
    ) -> Publication:
        paths = self.incoming(packages)
        return add_packages(self.home / "repo", paths, [], Workshop(files or self.files, strict=strict), arches)

    def rebuild(self, files: Files | None = None, strict: bool = False) -> Publication:
        return write_indexes(self.home / "repo", [], Workshop(files or self.files, strict=strict))

    def records(self, arch: str = "x86_64") -> list[IndexRecord]:
        """The verified index; everything it lists must be there with the right bytes, else the test fails here."""
        directory = self.home / "repo"
        if self.files.status(directory / arch / "APKINDEX.tar.gz") is None:
            return []
        index = read_index(self.files.read(directory / arch / "APKINDEX.tar.gz", 1_000_000))
        verify(index.signatures, index.signed_bytes, keyring(directory, self.files))
        records = list(parse_index_text(index.text).records)
        for record in records:
            data = self.files.read(directory / record.arch / f"{record.name_version}.apk", 1_000_000)
            assert len(data) == record.size
            assert data in {package.data for package in (A, B, B2, ARM, ANY)}
        return records

    def names(self, arch: str = "x86_64") -> list[str]:
        return [record.name_version for record in self.records(arch)]


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(MemoryFiles(), PurePosixPath("/home")) if request.param == "memory" else Place(DiskFiles(), tmp_path)


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(ApkilnError) as caught:
        call()
    return caught.value.reason


def test_added_packages_are_listed_sorted_and_fetchable(place: Place) -> None:
    done = place.add(B2, A, B)
    assert place.names() == ["a-1.0-r0", "b-1.0-r0", "b-2.0-r0"]
    assert [record._replace(url="") for record in place.records()] == [A.record, B.record, B2.record]
    assert done.added == ("a-1.0-r0 (x86_64)", "b-1.0-r0 (x86_64)", "b-2.0-r0 (x86_64)")
    assert [(index.arch, index.packages) for index in done.indexes] == [("x86_64", 3)]


def test_order_and_steps_do_not_matter_to_the_index(tmp_path: Path) -> None:
    one, other = Place(DiskFiles(), tmp_path / "one"), Place(MemoryFiles(), PurePosixPath("/other"))
    first = one.add(A, B, B2)
    for package in (B2, B, A):
        last = other.add(package)
    assert first.indexes[0].digest == last.indexes[0].digest
    assert one.rebuild().indexes[0].digest == first.indexes[0].digest


def test_the_same_bytes_again_change_nothing(place: Place) -> None:
    place.add(A, B)
    again = place.add(A, B2)
    assert (again.added, again.unchanged) == (("b-2.0-r0 (x86_64)",), ("a-1.0-r0",))
    nothing = place.add(A)
    assert (nothing.added, nothing.unchanged, nothing.indexes) == ((), ("a-1.0-r0",), ())


def test_a_published_version_keeps_its_bytes(place: Place) -> None:
    place.add(B)
    other = sample_package("b", description="rebuilt")
    assert reason(lambda: place.add(A, other)) == "version-exists"
    assert place.names() == ["b-1.0-r0"]
    assert place.files.status(place.home / "repo/x86_64/a-1.0-r0.apk") is None


def test_two_files_of_one_version_must_be_equal(place: Place) -> None:
    other = place.write("incoming/other.apk", sample_package("b", description="rebuilt").data)
    paths = [*place.incoming([B]), other]
    assert reason(lambda: add_packages(place.home / "repo", paths, [], Workshop(place.files))) == "version-exists"


def test_a_file_that_no_index_lists_is_not_overwritten(place: Place) -> None:
    place.add(A)
    place.write("repo/x86_64/b-1.0-r0.apk", b"something else")
    assert reason(lambda: place.add(B)) == "version-exists"
    assert place.names() == ["a-1.0-r0"]


def test_a_listed_file_that_was_lost_is_put_back(place: Place) -> None:
    place.add(A, B)
    place.files.remove(place.home / "repo/x86_64/b-1.0-r0.apk")
    place.add(B)
    assert place.names() == ["a-1.0-r0", "b-1.0-r0"]


def test_every_bad_package_is_named_and_nothing_is_written(place: Place) -> None:
    before = place.add(B).indexes
    paths = place.incoming([A])
    paths.append(place.write("incoming/torn.apk", B2.data[:-20]))
    paths.append(place.write("incoming/altered.apk", B2.data[:300] + b"?" + B2.data[301:]))
    with pytest.raises(FaultGroup) as caught:
        add_packages(place.home / "repo", paths, [], Workshop(place.files))
    assert [PurePath(fault.origin.source).name for fault in caught.value.faults] == ["torn.apk", "altered.apk"]
    assert place.names() == ["b-1.0-r0"]
    assert place.rebuild().indexes == before


def test_architectures_have_their_own_index(place: Place) -> None:
    place.add(B, ARM)
    assert (place.names(), place.names("aarch64")) == (["b-1.0-r0"], ["arm-1.0-r0"])


def test_noarch_is_listed_and_fetchable_everywhere_also_later(place: Place) -> None:
    place.add(B, ANY)
    assert place.names() == ["any-1.0-r0", "b-1.0-r0"]
    place.add(ARM)
    assert place.names("aarch64") == ["any-1.0-r0", "arm-1.0-r0"]
    assert {record.arch for record in place.records("aarch64")} == {"aarch64"}
    assert place.files.read(place.home / "repo/noarch/any-1.0-r0.apk", 1_000_000) == ANY.data
    indexes = [place.files.read(place.home / f"repo/{arch}/APKINDEX.tar.gz", 1_000_000) for arch in ("x86_64", "aarch64")]
    place.rebuild()
    assert indexes == [place.files.read(place.home / f"repo/{arch}/APKINDEX.tar.gz", 1_000_000) for arch in ("x86_64", "aarch64")]


def test_noarch_alone_needs_an_architecture(place: Place) -> None:
    assert reason(lambda: place.add(ANY)) == "no-architecture"
    place.add(ANY, arches=["riscv64"])
    assert place.names("riscv64") == ["any-1.0-r0"]


def test_missing_providers_are_told_or_refused(place: Place) -> None:
    assert reason(lambda: place.add(A, strict=True)) == "dependencies-unresolved"
    assert place.names() == []
    assert place.add(A).unresolved == (("x86_64", "a-1.0-r0", "b>=1"),)
    assert reason(lambda: place.rebuild(strict=True)) == "dependencies-unresolved"
    assert place.add(B, strict=True).unresolved == ()
    assert place.rebuild(strict=True).unresolved == ()


def test_the_index_is_written_anew_from_the_files(place: Place) -> None:
    place.add(A, B, ARM)
    place.files.remove(place.home / "repo/x86_64/b-1.0-r0.apk")
    place.write("repo/x86_64/b-2.0-r0.apk", B2.data)
    done = place.rebuild()
    assert [(index.arch, index.packages) for index in done.indexes] == [("aarch64", 1), ("x86_64", 2)]
    assert place.names() == ["a-1.0-r0", "b-2.0-r0"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("x86_64/wrong-1.0-r0.apk", B.data), ("aarch64/b-1.0-r0.apk", B.data), ("noarch/b-1.0-r0.apk", B.data)],
)
def test_a_misplaced_file_stops_the_index(place: Place, name: str, data: bytes) -> None:
    place.add(A, ARM, ANY)
    place.write(f"repo/{name}", data)
    assert reason(place.rebuild) == "package-misplaced"
    assert place.names() == ["a-1.0-r0", "any-1.0-r0"]


def test_an_index_that_does_not_verify_is_not_added_to(place: Place) -> None:
    place.add(A)
    data = bytearray(place.files.read(place.home / "repo/x86_64/APKINDEX.tar.gz", 1_000_000))
    data[-10] ^= 1
    place.write("repo/x86_64/APKINDEX.tar.gz", bytes(data))
    with pytest.raises(ApkilnError) as caught:
        place.add(B)
    assert caught.value.origin.source.endswith("x86_64/APKINDEX.tar.gz")
    assert "repo index" in caught.value.hint
    place.rebuild()
    assert place.names() == ["a-1.0-r0"]


def test_an_index_by_a_stranger_is_not_added_to(place: Place) -> None:
    place.add(A)
    stranger = generate_key_pair("stranger.rsa.pub", bits=2048).signer
    place.write("repo/x86_64/APKINDEX.tar.gz", sample_index([A], stranger))
    assert reason(lambda: place.add(B)) == "signature-unknown-key"


def test_a_package_that_apk_would_not_unpack_is_refused(place: Place) -> None:
    path = place.write("incoming/zero.apk", sample_package("zero", installed_size=0).data)
    assert reason(lambda: add_packages(place.home / "repo", [path], [], Workshop(place.files))) == "size-zero"


class ChangingFiles(MemoryFiles):
    """A file of `incoming` is another one when it is opened for the second time."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0

    def open(self, path: PurePath) -> BinaryIO:
        if "incoming" in path.parts:
            self.opened += 1
            if self.opened > 1:
                return io.BytesIO(B2.data)
        return super().open(path)


def test_a_file_that_changes_after_it_was_verified_is_not_published() -> None:
    place = Place(ChangingFiles(), PurePosixPath("/home"))
    assert reason(lambda: place.add(B)) == "file-changed"
    assert place.files.status(place.home / "repo/x86_64/b-1.0-r0.apk") is None
    assert place.names() == []


def test_an_add_waits_for_another(place: Place) -> None:
    thread = threading.Thread(target=lambda: place.add(B))
    with place.files.lock(place.home / "repo/.apkiln.lock"):
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert place.names() == []
    thread.join(30)
    assert place.names() == ["b-1.0-r0"]


def test_a_key_is_needed_and_must_fit(place: Place) -> None:
    other = generate_key_pair("test.rsa.pub", bits=2048)
    named = place.write("incoming/test.rsa", other.private_key, 0o600)
    paths = place.incoming([B])
    assert reason(lambda: add_packages(place.home / "repo", paths, [named], Workshop(place.files))) == "key-name-taken"
    place.files.remove(place.home / "keys/test.rsa")
    assert reason(lambda: place.add(B)) == "signing-key-missing"


def test_an_index_can_be_signed_by_an_old_and_a_new_key(place: Place) -> None:
    place.add(B)
    new = generate_key_pair("new.rsa.pub", bits=2048)
    keys = [place.home / "keys/test.rsa", place.write("incoming/new.rsa", new.private_key, 0o600)]
    write_indexes(place.home / "repo", keys, Workshop(place.files))
    index = read_index(place.files.read(place.home / "repo/x86_64/APKINDEX.tar.gz", 1_000_000))
    assert [signature.key_name for signature in index.signatures] == ["test.rsa.pub", "new.rsa.pub"]
    assert [item.key.name for item in published_keys(place.home / "repo", place.files)] == ["new.rsa.pub", "test.rsa.pub"]
    assert place.names() == ["b-1.0-r0"]


def steps_of(change: Callable[[Place, Files], object], start: Callable[[Place], object]) -> int:
    place = Place(MemoryFiles(), PurePosixPath("/home"))
    start(place)
    counted = InterruptedFiles(place.files, 1_000_000)
    change(place, counted)
    return counted.steps


ADDITION = (A, B2, ARM, ANY)


def start(place: Place) -> None:
    place.add(B)


def change(place: Place, files: Files) -> None:
    add_packages(
        place.home / "repo",
        [place.home / f"incoming/{item.record.arch}-{item.file_name}" for item in ADDITION],
        [],
        Workshop(files),
    )


OLD = {"x86_64": ["b-1.0-r0"], "aarch64": []}
NEW = {"x86_64": ["a-1.0-r0", "any-1.0-r0", "b-1.0-r0", "b-2.0-r0"], "aarch64": ["any-1.0-r0", "arm-1.0-r0"]}


def no_space() -> BaseException:
    return EnvironmentFault("full", reason="no-space")


@pytest.mark.parametrize("error", [Crash, no_space], ids=["killed", "no space"])
def test_interruption_at_every_step_leaves_each_index_old_or_new(place: Place, error: Callable[[], BaseException]) -> None:
    """`Place.records` fails when a listed package is missing or wrong."""

    def begin(target: Place) -> None:
        start(target)
        target.incoming(ADDITION)

    total = steps_of(change, begin)
    assert total > 10
    seen = set()
    for step in range(total):
        fresh = (
            Place(MemoryFiles(), PurePosixPath("/home"))
            if isinstance(place.files, MemoryFiles)
            else Place(DiskFiles(durable=False), place.home / str(step))
        )
        begin(fresh)
        with pytest.raises((Crash, EnvironmentFault)):
            change(fresh, InterruptedFiles(fresh.files, step, error))
        for arch in ("x86_64", "aarch64"):
            found = fresh.names(arch)
            assert found in (OLD[arch], NEW[arch])
            seen.add((arch, found == NEW[arch]))
        change(fresh, fresh.files)
        assert {arch: fresh.names(arch) for arch in NEW} == NEW
    assert seen >= {("x86_64", False), ("aarch64", False), ("aarch64", True)}


def test_a_new_repository(tmp_path: Path) -> None:
    files = DiskFiles()
    made = initialise(tmp_path / "os", files, architectures=["x86_64", "aarch64"], bits=2048)
    assert made.key_name.startswith("os-")
    assert made.private_key == tmp_path / "keys" / made.key_name.removesuffix(".pub")
    assert made.private_key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "os").iterdir()) == sorted(["aarch64", "x86_64", made.key_name])
    (package,) = [tmp_path / B.file_name]
    package.write_bytes(B.data)
    add_packages(tmp_path / "os", [package], [], Workshop(files))
    assert reason(lambda: initialise(tmp_path / "os", files, bits=2048)) == "output-exists"


def test_a_new_repository_with_a_given_key_in_an_empty_directory(place: Place) -> None:
    place.files.make_directory(place.home / "empty")
    made = initialise(place.home / "empty", place.files, private_key=place.home / "keys/test.rsa", architectures=["x86_64"])
    assert place.files.list(place.home / "empty") == ("test.rsa.pub", "x86_64")
    assert made.private_key == place.home / "keys/test.rsa"


@pytest.mark.parametrize("arches", [["../x"], ["noarch"], [""]])
def test_bad_architectures_are_refused_before_a_key_is_made(place: Place, arches: list[str]) -> None:
    assert reason(lambda: initialise(place.home / "new", place.files, architectures=arches)) == "bad-architecture"
    assert place.files.list(place.home / "keys") == ("test.rsa",)


def test_a_key_name_is_checked_and_never_overwritten(place: Place) -> None:
    assert reason(lambda: initialise(place.home / "new", place.files, key_name="../x", bits=2048)) == "bad-key-name"
    assert reason(lambda: initialise(place.home / "new", place.files, key_name="test.rsa", bits=2048)) == "output-exists"
    assert place.files.read(place.home / "keys/test.rsa", 10_000) == PAIR.private_key


def test_one_package_signed_in_two_ways_is_one_conflict(place: Place) -> None:
    signed = place.write("incoming/signed.apk", sample_package("b", signer=PAIR.signer).data)
    both = [*place.incoming([B]), signed]
    workshop = Workshop(place.files)
    assert reason(lambda: add_packages(place.home / "repo", both, [], workshop)) == "version-exists"
    place.add(B)
    assert reason(lambda: add_packages(place.home / "repo", [signed], [], workshop)) == "version-exists"
