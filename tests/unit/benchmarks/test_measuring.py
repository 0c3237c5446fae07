"""The benchmarks' own arithmetic, and that they refuse to time a failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.measuring import BenchmarkFailed, Sample, Variant, command, interleaved, summary


def test_variants_alternate_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def variant(name: str) -> Variant:
        def run(number: int) -> Sample:
            order.append(f"{name}{number}")
            return Sample(100.0 if number == 0 else number, number * 2, number * 10)

        return Variant(name, run, lambda number: order.append("p"))

    figures = interleaved([variant("a"), variant("b")], 3)
    assert order == [word for number in range(4) for name in "ab" for word in ("p", f"{name}{number}")]
    assert figures["a"] == (2, 1, 3, 4, 30, 3)


def test_a_peer_that_refuses_is_left_out_with_a_remark() -> None:
    def refuse(number: int) -> Sample:
        raise BenchmarkFailed("words\nlast line")

    remarks: list[str] = []
    good = Variant("good", lambda number: Sample(1, 1, 1))
    figures = interleaved([good, Variant("peer", refuse, optional=True)], 2, remarks.append)
    assert list(figures) == ["good"]
    assert remarks == ["peer: refused: last line"]
    with pytest.raises(BenchmarkFailed):
        interleaved([Variant("ours", refuse)], 1, remarks.append)


def test_a_command_is_measured_or_its_failure_told(tmp_path: Path) -> None:
    program = "import time; block = b'x' * 50_000_000; time.sleep(0.05)"
    sample = command([sys.executable, "-c", program], {}, tmp_path)
    assert sample.wall >= 0.05
    assert sample.peak >= 50_000_000
    with pytest.raises(BenchmarkFailed, match=r"exit 3\nsaid"):
        command([sys.executable, "-c", "print('said'); raise SystemExit(3)"], {}, tmp_path)


def test_the_median_stands_between_the_extremes() -> None:
    found = summary([Sample(3, 1, 5), Sample(1, 3, 9), Sample(2, 2, 7)])
    assert (found.wall, found.shortest, found.longest, found.cpu, found.peak, found.runs) == (2, 1, 3, 2, 9, 3)
