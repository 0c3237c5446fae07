"""The frame of the scorer: outcomes of cases, suites over a corpus, expected failures, the report."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Outcome(NamedTuple):
    """What came of one case under one score."""

    verdict: str
    """`passed`, `failed` or `skipped`."""
    file: str
    """File of the case, relative to the corpus."""
    case: str
    """Identifier inside the file."""
    detail: str = ""
    """Why it failed (one line) or was skipped."""
    score: str = ""
    """Name of the score inside the suite, for example `set`; empty when the suite has one score."""
    causes: tuple[str, ...] = ()
    """Of a failure: what explains it, one word for each difference; empty when something has no explanation."""


class Difference(NamedTuple):
    """One way in which a result is not the recorded one."""

    text: str
    cause: str = ""
    """A word, where the suite knows why."""

    def at(self, place: str) -> Difference:
        return self._replace(text=f"{place}: {self.text}")


def judged(file: str, case: str, score: str, differences: Iterable[Difference]) -> Outcome:
    """Passed without differences; a failure has causes when each of its differences has one.  The first without is shown."""
    listed = sorted(differences, key=lambda difference: bool(difference.cause))
    if not listed:
        return Outcome(PASSED, file, case, "", score)
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    causes = tuple(sorted({difference.cause for difference in listed}))
    return Outcome(FAILED, file, case, listed[0].text + more, score, () if "" in causes else causes)


class Suite(NamedTuple):
    """One part of a corpus.  A module of `suites/` lists its suites in `SUITES` and stands in `suites/table.py`."""

    name: str
    """`corpus` or `corpus/part`."""
    recognise: Callable[[Path], bool]
    """Whether a folder is this corpus, by its name and shape (README, manifest, tables), never by counts or digests."""
    run: Callable[[Path], Iterable[Outcome]]
    """Run all cases of the folder; yields outcomes as they come."""
    claimed: bool = True
    """A claimed suite must not fail: the scorer's exit code is 1 when it does."""


class Known(NamedTuple):
    """An expected failure of `known.toml`: one case, or every case that a cause explains."""

    suite: str
    score: str
    case: str
    reason: str
    cause: str = ""


@dataclass(slots=True)
class Tally:
    """Counts of one suite and score."""

    suite: str
    score: str
    claimed: bool
    passed: int = 0
    known: int = 0
    failures: list[Outcome] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    """Cases listed as known failures that passed."""

    @property
    def title(self) -> str:
        return f"{self.suite}:{self.score}" if self.score else self.suite

    def value(self, shown: int) -> dict[str, Any]:
        """JSON form."""
        return {
            "suite": self.suite,
            "score": self.score,
            "claimed": self.claimed,
            "passed": self.passed,
            "failed": len(self.failures),
            "known": self.known,
            "skipped": dict(self.skips),
            "failures": [outcome._asdict() for outcome in self.failures[:shown]],
            "passing_known": self.surprises,
        }

    def lines(self, shown: int) -> Iterator[str]:
        """One line, then the first failures indented."""
        parts = [f"{self.passed} passed", f"{len(self.failures)} failed"]
        if self.known:
            parts.append(f"{self.known} known")
        parts += [f"{count} skipped ({reason})" for reason, count in self.skips.items()]
        claim = "" if self.claimed else "  [not claimed]"
        yield f"{self.title:<36} {', '.join(parts)}{claim}"
        for outcome in self.failures[:shown]:
            yield f"    {outcome.file} {outcome.case}: {outcome.detail}"
        for case in self.surprises[:shown]:
            yield f"    listed as known, but passes: {case}"


def load_known(path: Path) -> list[Known]:
    """Read `known.toml`: tables `[[known]]` with `suite`, optional `score`, `cases` or `causes`, and a `reason`."""
    if not path.exists():
        return []
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("known", [])
    cases = [Known(row["suite"], row.get("score", ""), case, row["reason"]) for row in rows for case in row.get("cases", ())]
    return cases + [
        Known(row["suite"], row.get("score", ""), "", row["reason"], cause) for row in rows for cause in row.get("causes", ())
    ]


def corpora(directory: Path) -> list[Path]:
    """`directory` itself and the folders right below it, by name."""
    return [directory, *sorted(path for path in directory.iterdir() if path.is_dir())]


def score(suite: Suite, corpus: Path, known: Sequence[Known]) -> list[Tally]:
    """Run one suite on one corpus; a tally per score in order of first appearance."""
    own = [row for row in known if row.suite == suite.name]
    expected = {(row.score, row.case) for row in own if row.case}
    explained = {(row.score, row.cause) for row in own if row.cause}
    tallies: dict[str, Tally] = {}
    for outcome in suite.run(corpus):
        tally = tallies.setdefault(outcome.score, Tally(suite.name, outcome.score, suite.claimed))
        listed = (outcome.score, outcome.case) in expected
        if outcome.verdict == PASSED:
            tally.passed += 1
            if listed:
                tally.surprises.append(outcome.case)
        elif outcome.verdict == SKIPPED:
            tally.skips[outcome.detail] = tally.skips.get(outcome.detail, 0) + 1
        elif listed or (outcome.causes and all((outcome.score, cause) in explained for cause in outcome.causes)):
            tally.known += 1
        else:
            tally.failures.append(outcome)
    return list(tallies.values())


def run_all(
    directory: Path,
    suites: Sequence[Suite],
    known: Sequence[Known],
    only: Sequence[str] = (),
    report: Callable[[Tally], None] = print,
) -> list[Tally]:
    """Every suite on every corpus it recognises; `only` keeps suites whose name starts with one of the words."""
    tallies: list[Tally] = []
    for corpus in corpora(directory):
        for suite in suites:
            if only and not any(suite.name == word or suite.name.startswith(f"{word}/") for word in only):
                continue
            if not suite.recognise(corpus):
                continue
            for tally in score(suite, corpus, known):
                tallies.append(tally)
                report(tally)
    return tallies
