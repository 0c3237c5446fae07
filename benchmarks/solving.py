"""An index of 5,000 packages read and a world of about 50 solved, warm, as whole processes; how a command starts; the same work
inside a process, for 5,000 and 200,000 packages; and worlds full of conflicts, cost against size."""

from __future__ import annotations

import gc
import hashlib
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks import workload
from benchmarks.measuring import Sample, Summary, Variant, command, function, interleaved
from benchmarks.workload import APKILN
from tests.conflict_dense_worlds import Spoiler, conflict_dense_world

from apkiln.acquire.access import Access
from apkiln.acquire.index_tables import table_of
from apkiln.acquire.keyring import fingerprint
from apkiln.acquire.repositories import Trust
from apkiln.acquire.verified_indexes import Judge, verified_index
from apkiln.cli.main import COLLECTED_OBJECTS
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import Dependency, parse_dependencies
from apkiln.formats.apk.index import read_index, write_index
from apkiln.formats.apk.index_table import IndexTable
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve
from apkiln.solver.source import RecordList
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_store import MemoryStore
from apkiln.system.signer import generate_key_pair
from apkiln.system.transfer import LocalTransfer

LARGE = 200_000
DENSE = (25, 50, 100, 400, 1000)
"""Names of the worlds full of conflicts; 20 versions each."""
SOLVE = "apkiln image packages, 5,000-package index"
COMMAND = "apkiln apk solve, same index"
VERSION = "apkiln --version"
PYTHON = "python -c pass"


class SolvingBench:
    """Measures with one cache that was filled before."""

    def __init__(self, work: Path, cache: Path, peers: dict[str, str]) -> None:
        self._work = work
        self._environment = workload.clean_environment(cache) | {"APK_CONFIG": "/dev/null"}
        self._peers = peers
        self._repository, self._key, self._world = workload.index_of_many(work)
        self._definition = work / "many.yaml"
        self._definition.write_text(
            f"contents:\n  repositories: ['{self._repository}']\n  keyring: ['{self._key}']\n"
            f"  packages: [{', '.join(self._world)}]\narchs: [x86_64]\n"
        )

    def run(self, rounds: int) -> dict[str, Summary]:
        """Figures by name."""
        variants = [
            Variant(SOLVE, lambda number: self._command([APKILN, "image", "packages", self._definition, "-q"])),
            Variant(COMMAND, lambda number: self._command([*self._solving(), *self._world])),
            Variant(VERSION, lambda number: self._command([APKILN, "--version"])),
            Variant(PYTHON, lambda number: self._command([sys.executable, "-c", "pass"])),
        ]
        if "apk" in self._peers:
            variants.append(Variant("apk add --simulate, same index", self._apk, self._new_root, optional=True))
        if "apko" in self._peers:
            variants.append(Variant("apko show-packages, same index", self._apko, optional=True))
        return interleaved(variants, rounds)

    def _solving(self) -> list[object]:
        index = self._repository / "x86_64" / "APKINDEX.tar.gz"
        return [APKILN, "apk", "solve", "--index", index, "--arch", "x86_64"]

    def _command(self, words: list[object]) -> Sample:
        return command(words, self._environment, self._work)

    def _new_root(self, number: int) -> None:
        root = self._work / "solve-root"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("etc/apk/keys", "lib/apk/db", "tmp", "var/log"):
            (root / name).mkdir(parents=True)
        for name in ("etc/apk/world", "lib/apk/db/installed"):
            (root / name).touch()
        (root / "etc/apk/arch").write_text("x86_64\n")
        shutil.copy(self._key, root / "etc/apk/keys")
        (self._work / "many-repositories").write_text(f"{self._repository}\n")

    def _apk(self, number: int) -> Sample:
        words = [self._peers["apk"], "--root", self._work / "solve-root", "--arch", "x86_64", "--no-cache", "--no-logfile"]
        words += ["--repositories-file", self._work / "many-repositories", "--simulate", "add", *self._world]
        return self._command(words)

    def _apko(self, number: int) -> Sample:
        words = [self._peers["apko"], "show-packages", self._definition, "--cache-dir", self._work / "apko-cache"]
        return self._command([*words, "--log-level", "error"])


def in_process(rounds: int) -> dict[str, Summary]:
    """First sight of an index and its parts, opening the table and solving, without a process around them."""
    variants: list[Variant] = []
    for count in (workload.INDEX_PACKAGES, LARGE):
        seen = _FirstSight(count)
        text = seen.text
        records = parse_index_text(text).records
        table = table_of(records).data
        world = parse_dependencies(" ".join(f"package-{number:04}" for number in range(workload.WORLD)))
        variants += [
            Variant(f"first sight of {count:,}: signature, check, table, stored", lambda _, seen=seen: function(seen)),  # type: ignore[misc]
            Variant(f"parse {count:,} records", lambda _, text=text: function(lambda: parse_index_text(text))),  # type: ignore[misc]
            Variant(f"build the table of {count:,}", lambda _, records=records: function(lambda: table_of(records))),  # type: ignore[misc]
            Variant(
                f"open the table of {count:,} and solve",
                lambda _, table=table, world=world: function(lambda: _solve(IndexTable(table), world)),  # type: ignore[misc]
            ),
        ]
    return interleaved(variants, rounds)


class _FirstSight:
    """A signed index that no store has seen yet; called, a new store in memory sees it."""

    def __init__(self, count: int) -> None:
        signer = generate_key_pair("many.rsa.pub").signer
        self._data = write_index(workload.many_records(count), "benchmark", canonical_codec(), [signer])
        self._digest = Digest.sha256(hashlib.sha256(self._data).digest())
        keyring = Keyring.of([parse_public_key(signer.name, signer.public_key())])
        self._judge = Judge(keyring, fingerprint(keyring))
        self.text = read_index(self._data).text

    def __call__(self) -> None:
        files = MemoryFiles()
        access = Access(MemoryStore(), LocalTransfer(files), files)
        verified_index(self._data, self._digest, self._judge, Trust(), access)


def dense(rounds: int) -> dict[str, Summary]:
    """The complete search: 20 versions of each name, hardly two of which go together, or that have no solution and why.

    The collector of cycles is set as the command sets it.
    """
    gc.set_threshold(COLLECTED_OBJECTS, 20, 20)
    variants = []
    for spoiler in (None, Spoiler.BOUNDS, Spoiler.SETS, Spoiler.WHEEL):
        for names in DENSE:
            records, world = conflict_dense_world(names, 20, 1, spoiler)
            variants.append(
                Variant(
                    f"{names} names x 20 versions full of conflicts" + (f", refuted: {spoiler.value}" if spoiler else ""),
                    lambda _, records=records, world=world: function(lambda: _solve(records, world)),  # type: ignore[misc]
                )
            )
    return interleaved(variants, rounds)


def _solve(records: Sequence[IndexRecord] | IndexTable, world: tuple[Dependency, ...]) -> None:
    source = records if isinstance(records, IndexTable) else RecordList(records)
    with suppress(UnsatisfiableError):
        solve([SolverRepository(source)], Request(world), Arch.parse("x86_64"))
