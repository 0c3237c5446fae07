"""Conditional and range requests, by table and by law."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.web.conditional import Part, Requested, http_date, part_of

ETAG, OTHER, TIME = '"sha256:aa"', '"sha256:bb"', 1_700_000_000
NOW, LATER, EARLIER = http_date(TIME), http_date(TIME + 5), http_date(TIME - 5)
WHOLE = Part(200, 0, 100)


@pytest.mark.parametrize(
    ("requested", "part"),
    [
        (Requested(), WHOLE),
        (Requested(if_none_match=ETAG), Part(304)),
        (Requested(if_none_match=f"{OTHER}, W/{ETAG}"), Part(304)),
        (Requested(if_none_match="*"), Part(304)),
        (Requested(if_none_match=OTHER), WHOLE),
        (Requested(if_none_match=OTHER, if_modified_since=LATER), WHOLE),
        (Requested(if_modified_since=NOW), Part(304)),
        (Requested(if_modified_since=LATER), Part(304)),
        (Requested(if_modified_since=EARLIER), WHOLE),
        (Requested(if_modified_since="yesterday"), WHOLE),
        (Requested(range="bytes=0-0"), Part(206, 0, 1)),
        (Requested(range="bytes=10-"), Part(206, 10, 100)),
        (Requested(range="bytes=90-1000"), Part(206, 90, 100)),
        (Requested(range="bytes=-7"), Part(206, 93, 100)),
        (Requested(range="bytes=-700"), Part(206, 0, 100)),
        (Requested(range="bytes=-0"), Part(416)),
        (Requested(range="bytes=100-"), Part(416)),
        (Requested(range="bytes=99999999999999999999999-"), Part(416)),
        (Requested(range="bytes=5-2"), WHOLE),
        (Requested(range="bytes=0-1,4-5"), WHOLE),
        (Requested(range="lines=0-1"), WHOLE),
        (Requested(range="bytes=-"), WHOLE),
        (Requested(range="bytes=0-1", if_range=ETAG), Part(206, 0, 2)),
        (Requested(range="bytes=0-1", if_range=OTHER), WHOLE),
        (Requested(range="bytes=0-1", if_range=f"W/{ETAG}"), WHOLE),
        (Requested(range="bytes=0-1", if_range=NOW), Part(206, 0, 2)),
        (Requested(range="bytes=0-1", if_range=LATER), WHOLE),
        (Requested(range="bytes=0-1", if_none_match=ETAG), Part(304)),
    ],
)
def test_table(requested: Requested, part: Part) -> None:
    assert part_of(requested, 100, ETAG, TIME) == part


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 50))
def test_any_header_gives_a_part_of_the_body(text: str, date: str, size: int) -> None:
    part = part_of(Requested(if_modified_since=date, range=text, if_range=date), size, ETAG, TIME)
    assert part.status in (200, 206, 304, 416)
    assert 0 <= part.start <= part.end <= size
    assert part.status != 206 or part.start < part.end


@given(st.integers(1, 60), st.data())
def test_ranges_put_together_are_the_whole(size: int, data: st.DataObject) -> None:
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=5))})
    body = bytes(range(size))
    got = b""
    for start, end in pairwise(cuts):
        part = part_of(Requested(range=f"bytes={start}-{end - 1}"), size, ETAG, TIME)
        got += body[part.start : part.end]
    assert got == body
