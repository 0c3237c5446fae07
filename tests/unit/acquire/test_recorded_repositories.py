"""Repositories recorded from other tools: what must load, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import LoadedIndex, load_indexes
from apkiln.acquire.keyring import load_keyring
from apkiln.acquire.packages import SelectedPackage, acquire_packages
from apkiln.acquire.repositories import STRICT, UNSIGNED, Trust, parse_repositories
from apkiln.core.errors import ApkilnError
from apkiln.system.files import DiskFiles
from apkiln.system.memory_store import MemoryStore
from apkiln.system.network import open_transfer

CONFORMANCE = Path(__file__).resolve().parents[3].parent / "shared" / "conformance"
RUNS = CONFORMANCE / "apko-runs"
APKO = CONFORMANCE / "apko"
pytestmark = pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the recorded data is not beside the checkout")


def access() -> Access:
    files = DiskFiles()
    return Access(MemoryStore(), open_transfer({}, files, offline=True), files)


def load(line: Path | str, key: Path, arch: str = "x86_64", trust: Trust = STRICT, run: Access | None = None) -> LoadedIndex:
    run = run or access()
    (index,) = load_indexes(parse_repositories([str(line)], trust=trust), arch, load_keyring([str(key)], run), run)
    return index


def refused(line: Path | str, key: Path, trust: Trust = STRICT) -> str:
    with pytest.raises(ApkilnError) as caught:
        load(line, key, trust=trust)
    return caught.value.reason


def key(name: str) -> Path:
    return RUNS / "keys" / f"{name}.rsa.pub"


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize(("name", "signer"), [("main", "main"), ("extra", "extra"), ("melange", "melange")])
def test_every_package_of_a_good_repository_is_acquired(name: str, signer: str, arch: str) -> None:
    run = access()
    if not (RUNS / "repos" / name / arch).is_dir():
        pytest.skip(f"{name} has no {arch}")
    index = load(RUNS / "repos" / name, key(signer), arch, run=run)
    assert index.signed_by.endswith(".rsa.pub")
    acquired = acquire_packages([SelectedPackage(record, index.repository, arch) for record in index.records], run)
    assert len(acquired) == len(index.records) > 0


def test_apko_test_repositories_load() -> None:
    index = load(APKO / "cli/testdata/packages", APKO / "cli/testdata/melange.rsa.pub")
    assert "pretend-baselayout" in {record.name for record in index.records}


def test_signatures_of_all_kinds() -> None:
    assert refused(RUNS / "repos/main", key("wrong")) == "signature-unknown-key"
    assert refused(RUNS / "repos/unsigned", key("main")) == "signature-missing"
    assert load(RUNS / "repos/unsigned", key("main"), trust=UNSIGNED).signed_by == ""
    assert load(RUNS / "repos/sha1", key("main")).weak
    assert refused(RUNS / "repos/sha1", key("main"), Trust(allow_sha1=False)) == "signature-sha1"


def test_the_last_record_without_a_blank_line_is_there() -> None:
    index = load(RUNS / "repos/noblank", key("main"))
    assert index.records
    assert acquire_names(index)


def acquire_names(index: LoadedIndex) -> list[str]:
    return [record.name_version for record in index.records]


def test_bad_packages_of_a_well_signed_index_are_refused_one_by_one() -> None:
    run = access()
    index = load(RUNS / "repos/bad", key("main"), run=run)
    keyring = load_keyring([str(key("main"))], run)
    verdicts = {}
    for record in index.records:
        try:
            acquire_packages([SelectedPackage(record, index.repository, "x86_64")], run, keyring=keyring)
        except ApkilnError as fault:
            assert fault.origin.package or fault.reason == "missing-file"
            verdicts[record.name] = fault.reason
    accepted = {record.name for record in index.records} - set(verdicts)
    # The index vouches for packages that nobody we know signed; a link to `/etc/passwd` is harmless by itself.
    assert accepted == {"unsigned-pkg", "wrong-key-pkg", "late-symlink"}
    assert verdicts["tampered"] in {"identity-mismatch", "size-mismatch"}


def test_alpine_indexes_do_not_verify_with_the_key_beside_them() -> None:
    (other,) = (APKO / "apk/testdata/alpine-316").glob("*.rsa.pub")
    for name in ("alpine-316", "alpine-317"):
        assert refused(APKO / f"apk/testdata/{name}/APKINDEX.tar.gz", other) == "signature-unknown-key"


def test_packages_that_are_not_what_the_alpine_index_says_are_refused() -> None:
    run = access()
    for name, wanted in (("alpine-316", "3.2.0-r23"), ("alpine-317", "3.4.0-r0")):
        (other,) = (APKO / "apk/testdata/alpine-316").glob("*.rsa.pub")
        index = load(APKO / f"apk/testdata/{name}/APKINDEX.tar.gz", other, "aarch64", UNSIGNED, run)
        record = next(record for record in index.records if record.name == "alpine-baselayout" and record.version == wanted)
        with pytest.raises(ApkilnError) as caught:
            acquire_packages([SelectedPackage(record, index.repository)], run)
        assert caught.value.reason in {"size-mismatch", "identity-mismatch"}
