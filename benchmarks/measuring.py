"""Commands and functions measured in interleaved rounds: wall time, CPU time, peak memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

TIMED = Path(__file__).with_name("timed.py")


class Sample(NamedTuple):
    """One run."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time, children included."""
    peak: int
    """Bytes of the largest resident set; 0 = not measured."""


class Summary(NamedTuple):
    """Several runs of one variant."""

    wall: float
    """Median."""
    shortest: float
    longest: float
    cpu: float
    """Median."""
    peak: int
    """Largest."""
    runs: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing to measure; `run` is called with the number of the round and does everything that counts, `prepare` before it
    what does not."""

    name: str
    run: Callable[[int], Sample]
    prepare: Callable[[int], object] = lambda number: None
    optional: bool = False
    """A peer: when it refuses the work, it is left out and its last words are shown."""


class BenchmarkFailed(Exception):
    """A measured command did not end well: its figures would mean nothing."""


def command(words: Sequence[object], environment: Mapping[str, str], directory: Path) -> Sample:
    """Run one command to its end.  Raises BenchmarkFailed with its error output."""
    log, result = directory / "last-command.log", directory / "last-command.json"
    timed = [sys.executable, "-I", "-S", str(TIMED), str(result), str(log), *(str(word) for word in words)]
    subprocess.run(timed, env=environment, cwd=directory, check=True)
    values = json.loads(result.read_text())
    if values["code"] != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise BenchmarkFailed(f"{' '.join(map(str, words))}: exit {values['code']}\n{tail}")
    return Sample(values["wall"], values["cpu"], values["peak"])


def function(work: Callable[[], object]) -> Sample:
    """Measure a call in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu, 0)


def interleaved(variants: Sequence[Variant], rounds: int, remark: Callable[[str], object] = print) -> dict[str, Summary]:
    """Every variant once per round, so that a change of the machine's load meets all of them; the first round is not counted.

    A peer that refuses is left out with a remark.
    """
    samples: dict[str, list[Sample]] = {variant.name: [] for variant in variants}
    running = list(variants)
    for number in range(rounds + 1):
        for variant in tuple(running):
            variant.prepare(number)
            try:
                sample = variant.run(number)
            except BenchmarkFailed as failure:
                if not variant.optional:
                    raise
                remark(f"{variant.name}: refused: {str(failure).strip().splitlines()[-1]}")
                running.remove(variant)
                continue
            if number:
                samples[variant.name].append(sample)
    return {variant.name: summary(samples[variant.name]) for variant in running}


def summary(samples: Sequence[Sample]) -> Summary:
    walls = [sample.wall for sample in samples]
    return Summary(
        wall=statistics.median(walls),
        shortest=min(walls),
        longest=max(walls),
        cpu=statistics.median(sample.cpu for sample in samples),
        peak=max(sample.peak for sample in samples),
        runs=len(samples),
    )
