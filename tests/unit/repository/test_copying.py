"""Copying a repository to where it is served: whatever happens on the way, what is listed there is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_packages import SamplePackage, sample_package

from apkiln.cli import dispatch
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, EnvironmentFault
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.signature import verify
from apkiln.repository.copying import copy_repository, plan_copy
from apkiln.repository.initialising import initialise
from apkiln.repository.publishing import Workshop, add_packages
from apkiln.repository.signing import keyring
from apkiln.system.files import DiskFiles, Files
from apkiln.system.memory_files import Crash, InterruptedFiles, MemoryFiles

HOME, HERE, THERE = PurePosixPath("/home"), PurePosixPath("/home/os"), PurePosixPath("/srv/os")
B, B2, ANY = sample_package("b"), sample_package("b", "2.0-r0"), sample_package("any", arch="noarch")
ARM = sample_package("b", arch="aarch64")


def repository(*packages: SamplePackage) -> MemoryFiles:
    """A repository for two architectures in memory."""
    files = MemoryFiles()
    initialise(HERE, files, key_name="os.rsa", architectures=["x86_64", "aarch64"], bits=2048)
    add(files, *packages)
    return files


def add(files: MemoryFiles, *packages: SamplePackage) -> None:
    paths = []
    for number, package in enumerate(packages):
        files.put(f"/in/{number}/{package.file_name}", package.data)
        paths.append(PurePosixPath(f"/in/{number}/{package.file_name}"))
    if paths:
        add_packages(HERE, paths, [], Workshop(files))


def served(files: Files) -> dict[str, list[str]]:
    """What each index at the target lists; all of it must be there with the right bytes, else the test fails here."""
    found = {}
    for arch in ("x86_64", "aarch64"):
        path = THERE / arch / "APKINDEX.tar.gz"
        if files.status(path) is None:
            continue
        index = read_index(files.read(path, 1_000_000))
        verify(index.signatures, index.signed_bytes, keyring(THERE, files))
        records = parse_index_text(index.text).records
        known = {package.data for package in (B, B2, ANY, ARM)}
        assert all(files.read(THERE / arch / f"{record.name_version}.apk", 1_000_000) in known for record in records)
        found[arch] = [record.name_version for record in records]
    return found


def test_packages_come_before_indexes_and_a_second_time_nothing_does() -> None:
    files = repository(B, ANY, ARM)
    plan = copy_repository(HERE, THERE, Workshop(files))
    kinds = [path.rpartition(".")[2] for path in plan.uploads]
    assert kinds == ["apk"] * 5 + ["pub"] + ["gz"] * 2
    assert served(files) == {"x86_64": ["any-1.0-r0", "b-1.0-r0"], "aarch64": ["any-1.0-r0", "b-1.0-r0"]}
    again = copy_repository(HERE, THERE, Workshop(files))
    assert (again.uploads, again.unchanged) == ((), plan.uploads)


def test_a_file_of_the_same_name_and_size_is_replaced() -> None:
    files = repository(B)
    other = bytes(reversed(B.data))
    files.put(f"{THERE}/x86_64/{B.file_name}", other)
    assert f"x86_64/{B.file_name}" in copy_repository(HERE, THERE, Workshop(files)).uploads
    assert files.snapshot()[f"{THERE}/x86_64/{B.file_name}"] == B.data


def test_only_what_is_wanted_is_removed_and_only_packages() -> None:
    files = repository(B)
    files.put(f"{THERE}/x86_64/gone-1-r0.apk", b"x")
    files.put(f"{THERE}/index.html", b"x")
    assert copy_repository(HERE, THERE, Workshop(files)).removals == ()
    planned = copy_repository(HERE, THERE, Workshop(files), delete=True, plan_only=True)
    assert planned.removals == ("x86_64/gone-1-r0.apk",) and f"{THERE}/x86_64/gone-1-r0.apk" in files.snapshot()
    copy_repository(HERE, THERE, Workshop(files), delete=True)
    assert f"{THERE}/x86_64/gone-1-r0.apk" not in files.snapshot() and f"{THERE}/index.html" in files.snapshot()


def test_a_plan_changes_nothing() -> None:
    files = repository(B)
    before = files.snapshot()
    assert copy_repository(HERE, THERE, Workshop(files), plan_only=True).uploads
    assert files.snapshot().keys() - before.keys() <= {f"{HERE}/.apkiln.lock"}


@pytest.mark.parametrize(
    "error", [Crash, lambda: EnvironmentFault("no space left", reason="no-space")], ids=["crash", "no-space"]
)
def test_stopped_anywhere_what_is_listed_is_there(error: Callable[[], BaseException]) -> None:
    def prepared() -> MemoryFiles:
        files = repository(B, ARM)
        copy_repository(HERE, THERE, Workshop(files))
        add(files, B2, ANY)
        return files

    files = prepared()
    counted = InterruptedFiles(files, 1_000_000)
    copy_repository(HERE, THERE, Workshop(counted))
    old, new = ["b-1.0-r0"], served(files)
    seen = set()
    for step in range(counted.steps):
        files = prepared()
        with pytest.raises((Crash, EnvironmentFault)):
            copy_repository(HERE, THERE, Workshop(InterruptedFiles(files, step, error)))
        for arch, names in served(files).items():
            assert names in (old, new[arch])
            seen.add(names == old)
        copy_repository(HERE, THERE, Workshop(files))
        assert served(files) == new
    assert counted.steps > 8 and seen == {True, False}


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(ApkilnError) as caught:
        call()
    return caught.value.reason


def test_what_does_not_fit_its_index_is_not_copied() -> None:
    files = repository(B)
    files.put(f"{HERE}/x86_64/{B.file_name}", sample_package("b", description="another").data)
    assert reason(lambda: copy_repository(HERE, THERE, Workshop(files))) == "index-drift"
    files.put(f"{HERE}/x86_64/{B.file_name}", B.data[:-9])
    with pytest.raises(ApkilnError):
        copy_repository(HERE, THERE, Workshop(files))
    assert not [path for path in files.snapshot() if path.startswith(str(THERE))]
    assert reason(lambda: copy_repository(HERE, HERE, Workshop(files))) == "same-directory"


paths = st.sampled_from(["a/x.apk", "a/y.apk", "b/x.apk", "k.pub", "a/APKINDEX.tar.gz", "b/APKINDEX.tar.gz"])
digests = st.sampled_from([Digest.sha256(bytes([number]) * 32) for number in range(3)])


@given(st.dictionaries(paths, digests), st.dictionaries(paths, digests), st.booleans())
def test_a_plan_makes_the_target_hold_the_source(source: dict[str, Digest], target: dict[str, Digest], delete: bool) -> None:
    plan = plan_copy(source, target, delete=delete)
    after = {**target, **{path: source[path] for path in plan.uploads}}
    assert all(after[path] == source[path] for path in source)
    assert set(plan.uploads).isdisjoint(plan.unchanged) and not set(plan.removals) & set(source)
    first_index = next((n for n, path in enumerate(plan.uploads) if path.endswith(".gz")), len(plan.uploads))
    assert not [path for path in plan.uploads[first_index:] if not path.endswith(".gz")]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / B.file_name).write_bytes(B.data)
    initialise(tmp_path / "os", DiskFiles(), architectures=["x86_64"], bits=2048)
    assert dispatch.dispatch(["repo", "add", "os", B.file_name]) == 0
    capsys.readouterr()
    assert dispatch.dispatch(["repo", "sync", "os", "www/os", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["copied"][0], told["copied"][-1]) == ("x86_64/b-1.0-r0.apk", "x86_64/APKINDEX.tar.gz")
    assert (tmp_path / "www/os/x86_64" / B.file_name).read_bytes() == B.data
    assert dispatch.dispatch(["repo", "sync", "os", "www/os"]) == 0
    assert capsys.readouterr().out == "3 unchanged\n"
