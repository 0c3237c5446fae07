from __future__ import annotations

import json

import pytest

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.errors import UsageError
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.plan import ImagePlan, differing_versions, parse_build_date, parse_epoch, plan_architecture
from apkiln.solver.solution import Change, ChangeKind, SelectedPackage, Solution

AMD64 = Arch.parse("amd64")
URL = "https://user:secret@example.com/os"


def record(name: str, version: str = "1.0-r0", build_date: int = 0) -> IndexRecord:
    return IndexRecord(name, version, "x86_64", name.encode().ljust(20), 10, 20, build_date=build_date)


def solution(*records: IndexRecord) -> Solution:
    selected = tuple(SelectedPackage(item, 0, "edge") for item in records)
    return Solution((), tuple(Change(ChangeKind.INSTALL, None, item) for item in selected), selected)


def test_a_plan_is_a_value_without_secrets() -> None:
    plan = plan_architecture(AMD64, ["b", "a", "b"], solution(record("b"), record("a")), {0: URL})
    document = plan.document()
    assert document["world"] == ["a", "b"]
    assert [item["name"] for item in document["packages"]] == ["b", "a"], "the order of installation is kept"
    assert document["packages"][0]["tag"] == "edge"
    whole = ImagePlan("sha256-x", (plan,))
    text = canonical_json.encode(whole.document()).decode()
    assert "secret" not in text
    assert "https://example.com/os" in text
    assert json.loads(text) == whole.document()
    assert hash(whole) == hash(ImagePlan("sha256-x", (plan,)))


def test_every_input_changes_the_digest() -> None:
    def digest(world: str = "a", version: str = "1.0-r0", url: str = "r", checksum: str = "c", epoch: int = 1) -> str:
        plan = plan_architecture(AMD64, [world], solution(record("a", version)), {0: url}, source_date_epoch=epoch)
        return str(ImagePlan(checksum, (plan,)).digest())

    variants = {digest(), digest("b"), digest(version="2"), digest(url="s"), digest(checksum="d"), digest(epoch=2)}
    assert len(variants) == 6
    assert digest() == digest()


@pytest.mark.parametrize(
    ("source_date_epoch", "build_date", "expected"),
    [(None, 0, 500), (None, 900, 900), (None, 100, 500), (0, 900, 0), (7, 900, 7)],
)
def test_the_epoch(source_date_epoch: int | None, build_date: int, expected: int) -> None:
    plan = plan_architecture(
        AMD64,
        [],
        solution(record("a", build_date=300), record("b", build_date=500)),
        {0: "r"},
        source_date_epoch=source_date_epoch,
        build_date=build_date,
    )
    assert plan.epoch == expected
    assert ImagePlan("", (plan,)).epoch == expected


def test_differing_versions() -> None:
    one = plan_architecture(AMD64, [], solution(record("a", "1"), record("b"), record("only")), {0: "r"})
    two = plan_architecture(Arch.parse("arm64"), [], solution(record("a", "2"), record("b")), {0: "r"})
    assert differing_versions([one, two]) == ("a",)


def test_times() -> None:
    assert parse_epoch("1700000000") == 1_700_000_000
    assert parse_build_date("2024-02-03T04:05:06Z") == 1_706_933_106
    assert parse_build_date("2024-02-03T04:05:06+01:00") == 1_706_929_506
    for text in ("", "-1", "1.5", "x", "9" * 13):
        with pytest.raises(UsageError):
            parse_epoch(text)
    with pytest.raises(UsageError):
        parse_build_date("yesterday")
