"""What a whole world asks for as `apk add` on an empty root, and what as a file.  Both answers are apk's own (3.0.6)."""

from __future__ import annotations

from apkiln.core.arch import Arch
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.request import Request, SolverRepository, adding
from apkiln.solver.solving import solve

WORLD = tuple(map(parse_dependency, ("pe", "virt")))


def record(name: str, version: str, depends: str = "", provides: str = "", priority: int = 0) -> IndexRecord:
    identity = (name + version).encode().ljust(20)
    return IndexRecord(name, version, "x86_64", identity, 1, 1, depends=depends, provides=provides, provider_priority=priority)


RECORDS = (
    record("pe", "1-r0", "pj pk"),
    record("pj", "2.0-r0", provides="virt", priority=3),
    record("pk", "1.10-r0", provides="virt", priority=11),
    record("pk", "1.10-r3"),
)


def chosen(request: Request) -> list[str]:
    solution = solve([SolverRepository(RECORDS)], request, Arch.parse("x86_64"))
    return [item.record.name_version for item in solution.packages]


def test_names_that_are_added_are_decided_before_what_they_need() -> None:
    """`virt` goes to the provider of the highest priority before `pk` is asked for, so an older `pk` comes."""
    assert chosen(adding(WORLD)) == ["pe-1-r0", "pj-2.0-r0", "pk-1.10-r0"]
    assert chosen(Request(WORLD)) == ["pe-1-r0", "pj-2.0-r0", "pk-1.10-r3"]
