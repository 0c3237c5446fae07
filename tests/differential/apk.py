"""Random worlds put to the product and to the real `apk`: `python -m tests.differential.apk --seed 1 --count 20000`.

Prints, per family, how often both agree, and every disagreement as a small case that shows it.  Exit 1 when apk solved a
case that the product answers otherwise; 2 when there is no `apk` on PATH.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.differential.comparison import DISAGREEMENTS, compare
from tests.differential.random_cases import ADD_ONLY, FAMILIES, STATEFUL, Case, make_case
from tests.differential.real_apk import Apk, apk_in_memory
from tests.differential.shrinking import shrink

GROUPS = {"all": tuple(FAMILIES), "add-only": ADD_ONLY, "stateful": STATEFUL}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="first seed; the families take turns (default 1)")
    parser.add_argument("--count", type=int, default=2000, help="cases in all (default 2000)")
    parser.add_argument("--family", action="append", metavar="NAME", help=f"{', '.join((*GROUPS, *FAMILIES))}; may repeat")
    parser.add_argument(
        "--shrink", type=int, default=3, metavar="N", help="disagreements a family that are made small (default 3)"
    )
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the small cases here")
    arguments = parser.parse_args()
    families = [name for given in arguments.family or ["all"] for name in GROUPS.get(given, (given,))]
    with apk_in_memory() as apk:
        if apk is None:
            print("no `apk` on PATH", file=sys.stderr)
            return 2
        return Comparison(apk, families, arguments.shrink, arguments.save).run(arguments.seed, arguments.count)


class Comparison:
    """One run over many cases."""

    def __init__(self, apk: Apk, families: list[str], most_shrunk: int = 0, save: Path | None = None) -> None:
        self._apk = apk
        self._families = families
        self._most_shrunk = most_shrunk
        self._save = save
        self.counts: dict[str, Counter[str]] = {family: Counter() for family in families}
        self.disagreements: list[tuple[Case, str]] = []

    def run(self, seed: int, count: int) -> int:
        began = time.perf_counter()
        print(f"seed {seed}, {count} cases, families: {' '.join(self._families)}", flush=True)
        try:
            done = self._put(seed, count)
        except KeyboardInterrupt:
            done = sum(counts.total() for counts in self.counts.values())
            print(f"interrupted after {done} cases", flush=True)
        seconds = time.perf_counter() - began
        self._show_small()
        self._table(done, seconds)
        return 1 if any(counts[outcome] for counts in self.counts.values() for outcome in DISAGREEMENTS) else 0

    def _put(self, seed: int, count: int) -> int:
        """Put the cases to both, and say every thousandth that it was."""
        waiting: Case | None = None
        for number in range(count + 1):
            family = self._families[number % len(self._families)]
            case = make_case(family, seed + number // len(self._families)) if number < count else None
            process = self._apk.begin(case) if case is not None else None
            if waiting is not None:  # compared while apk is at the next one
                self.judge(waiting)
            waiting = {**case, **self._apk.end(process)} if case is not None and process is not None else None
            if number and number % 1000 == 0:
                print(f"{number} cases", flush=True)
        return count

    def judge(self, answered: Case) -> None:
        """Count a case that holds apk's answer."""
        family = answered["id"].rpartition("-")[0]
        verdict = compare(answered)
        self.counts[family][verdict.outcome] += 1
        if not verdict.disagrees:
            return
        print(f"{answered['id']}: {verdict.outcome}: {verdict.detail}", flush=True)
        self.disagreements.append((answered, verdict.outcome))

    def _show_small(self) -> None:
        """Made small after the run: it asks apk again and again."""
        seen: Counter[str] = Counter()
        for case, outcome in self.disagreements:
            family = case["id"].rpartition("-")[0]
            seen[family] += 1
            if seen[family] > self._most_shrunk:
                continue
            small = self._apk.run(shrink(case, partial(self._same, outcome)))
            print(f"{case['id']} made small, {outcome}: {json.dumps(small)}", flush=True)
            if self._save is not None:
                self._save.mkdir(parents=True, exist_ok=True)
                (self._save / f"{case['id']}.json").write_text(json.dumps({**small, "outcome": outcome}, indent=1) + "\n")

    def _same(self, outcome: str, case: Case) -> bool:
        return compare(self._apk.run(case)).outcome == outcome

    def _table(self, count: int, seconds: float) -> None:
        outcomes = list(dict.fromkeys(outcome for counts in self.counts.values() for outcome in counts))
        outcomes.sort(key=lambda outcome: -sum(counts[outcome] for counts in self.counts.values()))
        total: Counter[str] = Counter()
        for counts in self.counts.values():
            total.update(counts)
        for family, counts in (*self.counts.items(), ("together", total)):
            print(f"{family:14}" + "".join(f"  {outcome}: {counts[outcome]}" for outcome in outcomes if counts[outcome]))
        disagreements = sum(total[outcome] for outcome in DISAGREEMENTS)
        print(f"{count} cases in {seconds:.0f} s, {disagreements} disagreements")


if __name__ == "__main__":
    sys.exit(main())
