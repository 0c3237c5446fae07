"""Subordinate ids, and what a process without them gets."""

from __future__ import annotations

import os

import pytest

from apkiln.system.id_ranges import MANY, machine_mapping, subordinate_range

TEXT = "# comment\nother:100000:65536\nme:300000:1000\nme:400000:65536\n1000:900000:65536\n"


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("me",), (400000, 65536)), (("1000", "nobody"), (900000, 65536)), (("stranger",), None), (("other",), (100000, 65536))],
)
def test_the_first_range_that_is_large_enough_counts(names: tuple[str, ...], expected: tuple[int, int] | None) -> None:
    assert subordinate_range(TEXT, names) == expected


@pytest.mark.parametrize("text", ["", "me:x:65536\n", "me:1\n", "me:5:-1\n", ":::\n"])
def test_odd_lines_give_nothing(text: str) -> None:
    assert subordinate_range(text, ("me",)) is None


def test_every_mapping_has_root_inside() -> None:
    mapping = machine_mapping("/nonexistent")
    assert mapping.users[0].inside == 0 and mapping.groups[0].inside == 0
    if os.geteuid() == 0 and not mapping.is_single:
        assert mapping.users == ((0, 0, mapping.users[0].length),) and mapping.users[0].length <= MANY
    if os.geteuid() != 0:
        assert mapping.is_single and "newuidmap" in mapping.why_single
        assert mapping.users == ((0, os.geteuid(), 1),)
