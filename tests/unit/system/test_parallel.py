from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.system.parallel import map_in_threads


@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_results_keep_the_order(values: list[int], jobs: int) -> None:
    assert map_in_threads(lambda value: value * 2, values, jobs) == [value * 2 for value in values]


@pytest.mark.parametrize("jobs", [1, 4])
def test_after_an_error_nothing_is_begun(jobs: int) -> None:
    begun: list[int] = []

    def work(value: int) -> None:
        begun.append(value)
        if value == 3:
            raise ValueError(value)

    with pytest.raises(ValueError, match="3"):
        map_in_threads(work, range(10_000), jobs)
    assert len(begun) < 10_000


def test_threads_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)
    map_in_threads(lambda _: meeting.wait(), range(3), 3)


def test_the_error_of_the_earliest_value_is_raised() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def work(value: int) -> None:
        meeting.wait()
        raise ValueError(value)

    with pytest.raises(ValueError, match="0"):
        map_in_threads(work, [0, 1], 2)
