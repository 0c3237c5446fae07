"""Differences of packages and of indexes: nothing against itself, and each change told once, from both sides."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crafted_packages import index_record
from tests.sample_packages import sample_package

from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.difference import RecordChange, index_difference, package_difference
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord

PATHS = st.dictionaries(st.sampled_from(["usr/a", "usr/b", "etc/c"]), st.binary(max_size=3), max_size=3)


def _contents(version: str = "1.0-r0", files: dict[str, bytes] | None = None, **fields: object) -> PackageContents:
    sample = sample_package("demo", version, files=files or {}, **fields)  # type: ignore[arg-type]
    return read_package(io.BytesIO(sample.data))


def _records(*texts: str) -> list[IndexRecord]:
    return list(parse_index_text("\n".join(texts).encode()).records)


def test_a_package_does_not_differ_from_itself() -> None:
    assert not package_difference(_contents(files={"usr/a": b"1"}), _contents(files={"usr/a": b"1"}))


@given(before=PATHS, after=PATHS)
def test_paths_that_differ_are_those_of_one_side_and_those_with_other_content(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    changes = {change.path: change.what for change in package_difference(_contents(files=before), _contents(files=after)).entries}
    for path in before.keys() | after.keys():
        if path not in after:
            assert changes.pop(path) == ("removed",)
        elif path not in before:
            assert changes.pop(path) == ("added",)
        elif before[path] != after[path]:
            assert changes.pop(path) == ("content",)
    assert all(what in (("added",), ("removed",)) for what in changes.values()), "only directories are left"


def test_fields_and_items_are_told_apart() -> None:
    difference = package_difference(_contents(depends=("libc", "zlib")), _contents("1.1-r0", depends=("zlib", "openssl")))
    assert [(change.field, change.before, change.after) for change in difference.fields] == [("version", "1.0-r0", "1.1-r0")]
    assert [(change.item, change.added) for change in difference.items] == [("libc", False), ("openssl", True)]


def test_the_order_of_records_does_not_count() -> None:
    one, other = index_record(1, P="one"), index_record(2, P="other")
    assert index_difference(_records(one, other), _records(other, one)) == ()


def test_versions_of_one_name_are_told_apart() -> None:
    before = _records(index_record(1, P="demo", V="1.0-r0"), index_record(2, P="demo", V="1.1-r0"))
    after = _records(index_record(3, P="demo", V="1.1-r0", D="libd"), index_record(4, P="demo", V="1.2-r0"))
    assert [(change.version, change.what) for change in index_difference(before, after)] == [
        ("1.0-r0", ("removed",)),
        ("1.1-r0", ("identity", "depends")),
        ("1.2-r0", ("added",)),
    ]


@pytest.mark.parametrize("seeds", [((1,), (1, 2)), ((1, 2), (2,)), ((1, 2), (3,))])
def test_swapping_the_sides_swaps_every_change(seeds: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    before, after = (_records(*(index_record(seed, P=f"p{seed}") for seed in side)) for side in seeds)
    swapped = {"added": "removed", "removed": "added"}
    assert index_difference(after, before) == tuple(
        RecordChange(change.name, change.version, change.after, change.before, tuple(swapped[word] for word in change.what))
        for change in index_difference(before, after)
    )
