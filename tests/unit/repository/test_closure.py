from __future__ import annotations

import pytest

from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.closure import unresolved_dependencies


def record(name: str, version: str = "1.0-r0", depends: str = "", provides: str = "") -> IndexRecord:
    return IndexRecord(name, version, "x86_64", name.encode().ljust(20, b"."), 1, 1, depends=depends, provides=provides)


PUBLISHED = [
    record("lib", "2.0-r0", provides="so:lib.so.2=2.0 cmd:lib=2.0-r0 plain"),
    record("lib", "3.0-r0", provides="so:lib.so.3=3.0"),
]


@pytest.mark.parametrize(
    "item",
    [
        "lib",
        "lib>=2",
        "lib<3",
        "lib=3.0-r0",
        "lib~2",
        "so:lib.so.2",
        "so:lib.so.3>=3",
        "cmd:lib",
        "plain",
        "!absent",
        "!lib",
        "asker",
    ],
)
def test_met(item: str) -> None:
    asker = record("asker", depends=item)
    assert unresolved_dependencies("x86_64", [asker], [*PUBLISHED, asker]) == ()


@pytest.mark.parametrize(
    "item", ["absent", "lib>3.0-r0", "lib=2.5-r0", "so:lib.so.2>=3", "so:lib.so.1", "plain=1", "lib@@", "=1"]
)
def test_unmet(item: str) -> None:
    asker = record("asker", depends=item)
    assert unresolved_dependencies("x86_64", [asker], [*PUBLISHED, asker]) == (("x86_64", "asker-1.0-r0", item),)


def test_only_those_who_are_asked_about_and_sorted() -> None:
    first, second = record("b", depends="x y"), record("a", depends="z")
    found = unresolved_dependencies("x86_64", [first, second], [first, second, record("c", depends="w")])
    assert [(item.package, item.item) for item in found] == [("a-1.0-r0", "z"), ("b-1.0-r0", "x"), ("b-1.0-r0", "y")]
