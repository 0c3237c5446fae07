"""Groups are made where the machine lets us, hold their bounds, and are gone afterwards; elsewhere that is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apkiln.system.control_groups import TreeLimits, bounded

EATER = "b = bytearray(300 << 20)"


def test_no_bounds_make_no_group() -> None:
    with bounded(TreeLimits()) as group:
        assert group.joining == () and group.unbounded == ()


def test_a_group_is_removed_at_the_end() -> None:
    with bounded(TreeLimits(memory=1 << 30, processes=50, cpus=1.0)) as group:
        places = [Path(name).parent for name in group.joining]
        assert all(place.is_dir() for place in places)
        assert len(places) or set(group.unbounded) == {"memory", "pids", "cpu"}
    assert not any(place.exists() for place in places)


def test_memory_beyond_the_bound_kills_and_is_told() -> None:
    with bounded(TreeLimits(memory=50 << 20)) as group:
        if group.unbounded:
            pytest.skip("this process may make no memory control group")
        join = "".join(f"open({name!r}, 'w').write('0');" for name in group.joining)
        done = subprocess.run((sys.executable, "-S", "-c", join + EATER), check=False, capture_output=True)
        assert done.returncode == -9
        assert group.out_of_memory()
        assert 0 < group.peak_memory() <= 50 << 20
