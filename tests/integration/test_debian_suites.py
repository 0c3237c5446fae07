"""Whole suites of the machine's package sources: versions keep their order; packages drawn at random are converted or refused.

The first takes a minute or two; the second is the slow tier, started by `make debian-random` (environment `DEBIAN_RANDOM`, the
number of packages).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.clients import client

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.progress import Silent
from apkiln.debian.accounts import AccountRegistry
from apkiln.debian.binaries import PackageList
from apkiln.debian.closure import Closure, resolve_closure
from apkiln.debian.converting import ConvertedPackage, ImportAccess, ScriptRules, convert_all, prepare_all
from apkiln.debian.importing import download
from apkiln.debian.ledger import Ledger, VersionGapError
from apkiln.debian.mapping import Mapper
from apkiln.debian.override_file import read_overrides
from apkiln.debian.planning import package_plans
from apkiln.debian.snapshot import Snapshot, SuiteList
from apkiln.debian.staging import write_converted
from apkiln.debian.suites import ORIGINS, base_suite, select_sources
from apkiln.debian.verified_lists import verified_lists
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.version import compare
from apkiln.formats.deb import version as deb_version
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.apt import AptArchive
from apkiln.system.apt_sources import machine_sources
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.files import DiskFiles
from apkiln.system.process import SystemRunner

SUITES = ("", "trixie", "sid")
"""The machine's own, and two more of the same archive."""
SEED = 20_250_520
NAMES = int(os.environ.get("DEBIAN_NAMES", "10000"))
"""Names of a suite that are looked at, drawn by the seed; every pair of versions of each.  `make debian-random` takes all."""
OVERRIDES = Path(__file__).resolve().parents[2] / "src" / "apkiln" / "debian" / "overrides"


def archive_of(suite: str, place: Path) -> tuple[ImportAccess, tuple[SuiteList, ...]]:
    """The suite's verified lists, or a skip."""
    client("apt-get")
    sources = machine_sources(DiskFiles(), Path("/etc/apt")).sources
    try:
        chosen = select_sources(sources, suite)
        if suite and base_suite(chosen) != suite:
            pytest.skip(f"the machine's sources have no suite `{suite}`")
        store = DirectoryStore(place)
        archive = AptArchive(SystemRunner(), DiskFiles(durable=False), store, place / "apt", chosen, "amd64", dict(os.environ))
        access = ImportAccess(archive, store, Silent(), canonical_codec(), DEFAULT_LIMITS, 2, 0)
        return access, verified_lists(archive, "amd64", ORIGINS, 0, Silent())
    except ApkilnError as fault:
        pytest.skip(f"the package sources do not answer: {fault}")


@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.parametrize("suite", SUITES)
def test_every_version_of_a_suite_keeps_its_order(suite: str, tmp_path: Path) -> None:
    """All versions of real packages, and those that relations name, get places in order, whatever order they come in."""
    _, lists = archive_of(suite, tmp_path)
    versions: dict[str, set[str]] = {}
    names: set[str] = set()
    for number, item in enumerate(lists):
        index = PackageList(item.text, "amd64", number, item.source)
        names |= set(index.names())
    chosen = set(random.Random(SEED).sample(sorted(names), min(NAMES, len(names))))
    for number, item in enumerate(lists):
        index = PackageList(item.text, "amd64", number, item.source)
        for name in chosen & set(index.names()):
            for package in index.packages(name):
                versions.setdefault(name, set()).add(package.version)
                for group in (*package.depends, *package.conflicts, *package.replaces):
                    for relation in group:
                        if relation.version:
                            versions.setdefault(relation.name, set()).add(relation.version)
    rows = [(name, version) for name in versions for version in versions[name]]
    seeded = Ledger()
    for name in sorted(versions):
        seeded.seed(name, dict.fromkeys(versions[name], "package"))
    assert in_order(seeded, versions) == len(rows), "as an import does it, every version has a place"
    shuffled = Ledger()
    random.Random(SEED).shuffle(rows)
    refused = [row for row in rows if not placed(shuffled, row)]
    assert in_order(shuffled, versions) == len(rows) - len(refused)
    assert len(refused) * 10_000 <= len(rows), refused
    assert Ledger(shuffled.rows()).rows() == shuffled.rows()
    assert len(rows) > 5_000


def placed(ledger: Ledger, row: tuple[str, str]) -> bool:
    """Give a version a place in any order; one that finds none is refused, never misplaced."""
    try:
        ledger.assign(*row)
    except VersionGapError:
        return False
    return True


def in_order(ledger: Ledger, versions: dict[str, set[str]]) -> int:
    """Compare the order of every name's versions with Debian's; the number of versions that have a place."""
    known = {(row.name, deb_version.sort_key(row.version)): row.apk_version for row in ledger.rows()}
    number = 0
    for name in versions:
        there = [version for version in versions[name] if (name, deb_version.sort_key(version)) in known]
        number += len(there)
        keys = sorted({deb_version.sort_key(version) for version in there})
        for left, right in pairwise(keys):
            assert compare(known[name, left], known[name, right]) == -1, (name, left, right)
    return number


@pytest.mark.network
@pytest.mark.timeout(7200)
def test_packages_drawn_at_random_are_converted_or_refused_with_a_reason(tmp_path: Path) -> None:
    """Every file of a conversion is read back whole, by us and, where it is on PATH, by apk itself."""
    number = int(os.environ.get("DEBIAN_RANDOM", "0"))
    if not number:
        pytest.skip("the slow tier: `make debian-random`")
    access, lists = archive_of("", Path(os.environ.get("DEBIAN_RANDOM_CACHE", str(tmp_path))))
    snapshot = Snapshot(lists, "amd64")
    names = random.Random(SEED).sample(snapshot.names(), number)
    files = [(path.name, path.read_bytes()) for path in sorted(OVERRIDES.glob("*.yaml"))]
    scripts = {(item.package, item.script): item for item in read_overrides(files).scripts}
    rules, accounts, ledger = ScriptRules(Arch.parse("x86_64").debian, scripts), AccountRegistry(), Ledger()
    converted = covered = verified = 0
    refused: dict[str, int] = {}
    for name in names:
        package = snapshot.candidate(name)
        assert package is not None
        try:
            download([package], access)
            prepared = prepare_all([package], rules, accounts, access)
            mapper = Mapper(snapshot, ledger, {name: prepared[name].facts})
            mapper.seed([package])
            plans, _ = package_plans(Closure((package,), (), ()), mapper, prepared, snapshot)
            made = convert_all(plans, {name: package}, None, prepared, access)
        except ApkilnError as fault:
            for one in fault.faults if isinstance(fault, FaultGroup) else (fault,):
                assert one.reason and str(one), name
                refused[one.reason] = refused.get(one.reason, 0) + 1
            continue
        converted += 1
        verified += sum(is_verified(item, access, tmp_path) for item in made)
        left = [item for report in prepared[name].facts.translation.reports for item in report.untranslated]
        assert all(item.line > 0 and item.why for item in left), name
        covered += not left
    print(f"{number} packages: {converted} converted, {covered} with all scripts covered, refused: {refused}")
    print(f"{verified} files verified by apk")
    assert converted + sum(refused.values()) >= number
    assert converted > number * 0.95


@pytest.mark.network
@pytest.mark.timeout(7200)
def test_scripts_of_the_most_used_packages_are_covered(tmp_path: Path) -> None:
    """Every script in the closure of each is followed by rules or reviewed by a person."""
    if not os.environ.get("DEBIAN_RANDOM"):
        pytest.skip("the slow tier: `make debian-random`")
    access, lists = archive_of("", Path(os.environ.get("DEBIAN_RANDOM_CACHE", str(tmp_path))))
    snapshot = Snapshot(lists, "amd64")
    if base_suite(select_sources(machine_sources(DiskFiles(), Path("/etc/apt")).sources, "")) != "bookworm":
        pytest.skip("the reviewed scripts are those of Debian 12")
    names = (Path(__file__).parent / "most_used_debian_packages.txt").read_text().split()
    closure = resolve_closure(snapshot, tuple(names))
    files = [(path.name, path.read_bytes()) for path in sorted(OVERRIDES.glob("*.yaml"))]
    scripts = {(item.package, item.script): item for item in read_overrides(files).scripts}
    download(closure.packages, access)
    prepared = prepare_all(closure.packages, ScriptRules("amd64", scripts), AccountRegistry(), access)
    left = [(name, report.name, line.text) for name, item in prepared.items() for report in item.facts.translation.reports
            for line in report.untranslated]  # fmt: skip
    assert left == []
    assert len(names) > 60 and len(prepared) > len(names)


def is_verified(item: ConvertedPackage, access: ImportAccess, place: Path) -> bool:
    """Read a conversion back; whether apk did so too."""
    target = place / "converted.apk"
    with target.open("wb") as output:
        write_converted(item, access.store, access.codec, output.write)
    with target.open("rb") as stream:
        assert read_package(stream, access.limits).info.name == item.info.name
    if not shutil.which("apk"):
        return False
    command = ["apk", "verify", "--allow-untrusted", str(target)]
    checked = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert checked.returncode == 0, (item.info.name, checked.stdout)
    return True
