"""Random images put to the product and to the real `apko`: `python -m tests.differential.apko --seed 1 --worlds 10 --cases 30`.

Each world is recorded as a corpus in the shape of `apko-runs` and scored by the suites of the scorer, so that a difference is
judged as one of the recorded cases is: `known.toml` has the ways of apko that are not followed.  Exit 1 for a difference
without a cause, 2 when there is no `apko` on PATH.  `--keep DIR` leaves the corpora there, to be scored again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.score import HERE
from tests.conformance.scoring import Outcome, Tally, load_known, score
from tests.conformance.suites.table import load_suites
from tests.differential.recorded_apko import Programs, Recorder

SUITES = frozenset(
    ("apko-runs", *(f"apko-runs/{name}" for name in ("locks", "show-config", "config-refusals", "config-checksum", "graphs")))
)


def programs() -> Programs | None:
    """The peers on PATH."""
    apko = shutil.which("apko")
    return Programs(apko, shutil.which("apk")) if apko else None


class Comparison:
    """One run over several worlds."""

    def __init__(self, peers: Programs, place: Path) -> None:
        self._peers = peers
        self._place = place
        self.passed: Counter[str] = Counter()
        self.known: Counter[str] = Counter()
        self.failures: list[tuple[str, Outcome]] = []

    def run(self, seed: int, worlds: int, cases: int) -> None:
        for number in range(seed, seed + worlds):
            corpus = self._place / f"world-{number}" / "apko-runs"
            corpus.mkdir(parents=True)
            Recorder(corpus, self._peers).record(str(number), cases)
            self.score(corpus)

    def score(self, corpus: Path) -> None:
        known = load_known(HERE / "known.toml")
        for suite in load_suites():
            if suite.name in SUITES:
                for tally in score(suite, corpus, known):
                    self._count(tally)

    def _count(self, tally: Tally) -> None:
        self.passed[tally.title] += tally.passed
        self.known[tally.title] += tally.known
        for outcome in tally.failures:
            self.failures.append((tally.title, outcome))
            print(f"{tally.title} {outcome.case}: {outcome.detail}", flush=True)

    def show(self) -> None:
        for title in self.passed:
            failed = sum(1 for other, _ in self.failures if other == title)
            print(f"{title:32} {self.passed[title]} passed, {failed} failed, {self.known[title]} known")


@contextmanager
def place_for(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="first world (default 1)")
    parser.add_argument("--worlds", type=int, default=10, metavar="N", help="worlds of packages (default 10)")
    parser.add_argument("--cases", type=int, default=30, metavar="N", help="definitions a world (default 30)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the recorded corpora here")
    parser.add_argument("--again", type=Path, metavar="DIR", help="score the corpora that --keep left here")
    arguments = parser.parse_args()
    peers = programs()
    if peers is None:
        print("no `apko` on PATH", file=sys.stderr)
        return 2
    with place_for(arguments.keep) as place:
        comparison = Comparison(peers, place)
        if arguments.again:
            for corpus in sorted(arguments.again.glob("*/apko-runs")):
                comparison.score(corpus)
        else:
            comparison.run(arguments.seed, arguments.worlds, arguments.cases)
    comparison.show()
    return int(bool(comparison.failures))


if __name__ == "__main__":
    sys.exit(main())
