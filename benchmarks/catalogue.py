"""A catalogue: many images that share most of their packages, one process each, from an empty cache; the peer the same way."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks import workload
from benchmarks.measuring import BenchmarkFailed, Sample, Summary, command, summary
from benchmarks.workload import APKILN, Workload

OURS = "apkiln image build, {} images, cache empty at first"
PEER = "apko build, {} images, cache empty at first"


class SegmentCount:
    """How often pieces of layers were compressed, seen from outside: each compression writes the piece's row in the cache."""

    def __init__(self, cache: Path) -> None:
        self._tables = [cache / "tables" / name for name in ("segments", "segment-variants", "layer-parts")]
        self._seen: dict[Path, int] = {}
        self.compressed = 0

    @property
    def distinct(self) -> int:
        return len(self._seen)

    def look(self) -> None:
        """After each command: rows that are new, or written again."""
        for row in (row for table in self._tables if table.exists() for row in table.iterdir()):
            written = row.stat().st_mtime_ns
            self.compressed += self._seen.get(row) != written
            self._seen[row] = written


class CatalogueBench:
    """`images` definitions of a stock of packages; every one is built once."""

    def __init__(self, work: Path, load: Workload, images: int, peers: dict[str, str]) -> None:
        self._work = work
        self._peers = peers
        self._cache = work / "catalogue-cache"
        self._environment = workload.clean_environment(self._cache)
        chance = random.Random(60)
        self.segments = SegmentCount(self._cache)
        self._definitions = []
        for number in range(images):
            # Each leaves out some of the packages that no other needs, so the sets differ and all can be satisfied.
            without = tuple(chance.sample(load.leaves, chance.randrange(1, len(load.leaves))))
            self._definitions.append(workload.definition(load, work / f"catalogue-{number}.yaml", without=without))

    def run(self) -> dict[str, Summary]:
        """Totals by name."""
        shutil.rmtree(self._cache, ignore_errors=True)
        count = len(self._definitions)
        figures = {OURS.format(count): self._total(self._apkiln)}
        if "apko" in self._peers:
            shutil.rmtree(self._work / "catalogue-apko", ignore_errors=True)
            (self._work / "catalogue-apko").mkdir()
            try:
                figures[PEER.format(count)] = self._total(self._apko)
            except BenchmarkFailed as failure:
                print(f"apko: refused: {str(failure).strip().splitlines()[-1]}")
        return figures

    def _total(self, build: Callable[[Path], Sample]) -> Summary:
        samples = [build(definition) for definition in self._definitions]
        whole = Sample(sum(item.wall for item in samples), sum(item.cpu for item in samples), max(item.peak for item in samples))
        return summary([whole])

    def _apkiln(self, definition: Path) -> Sample:
        shutil.rmtree(self._work / "out", ignore_errors=True)
        words = [APKILN, "image", "build", definition, "bench:latest", self._work / "out", "--vcs=false", "-q"]
        sample = command(words, self._environment, self._work)
        self.segments.look()
        return sample

    def _apko(self, definition: Path) -> Sample:
        (self._work / "apko.tar").unlink(missing_ok=True)
        words = [self._peers["apko"], "build", definition, "bench:latest", self._work / "apko.tar"]
        words += ["--cache-dir", self._work / "catalogue-apko", "--vcs=false", "--sbom-path", self._work, "--log-level", "error"]
        return command(words, self._environment, self._work)
