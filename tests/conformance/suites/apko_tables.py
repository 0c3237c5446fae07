"""apko's tables about versions, dependencies and solving; apk-tools' column is the judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Outcome, Suite

from apkiln.core.arch import Arch
from apkiln.core.errors import FormatError, UnsatisfiableError
from apkiln.formats.apk.dependency import hits, parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare, is_valid, sort_key
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

Row = dict[str, Any]


def recognise(folder: Path) -> bool:
    """Folder `apko` with its README and tables."""
    return folder.name == "apko" and (folder / "README.md").exists() and (folder / "tables").is_dir()


def table(name: str, judge: Callable[[Row, Row], str]) -> Suite:
    """A suite over `tables/<name>.json`; `judge(row, table)` tells what is wrong, empty when nothing, `skip: why` to skip."""

    def run(folder: Path) -> Iterable[Outcome]:
        file = f"tables/{name}.json"
        whole = json.loads((folder / file).read_text(encoding="utf-8"))
        for number, row in enumerate(whole["cases"], 1):
            wrong = judge(row, whole)
            verdict = SKIPPED if wrong.startswith("skip: ") else FAILED if wrong else PASSED
            yield Outcome(verdict, file, _label(row, number), wrong.removeprefix("skip: "))

    return Suite(f"apko/{name}", lambda folder: recognise(folder) and (folder / f"tables/{name}.json").exists(), run)


def _label(row: Row, number: int) -> str:
    return str(row.get("name") or row.get("text") or row.get("version") or row.get("constraint") or f"row {number}")


def _compare(row: Row, _: Row) -> str:
    a, b, wanted = row["a"], row["b"], row["apk_tools"]
    got = "<=>"[compare(a, b) + 1] if is_valid(a) and is_valid(b) else None
    return "" if got == wanted else f"{a} {wanted} {b}, got {got}"


def _parse(row: Row, _: Row) -> str:
    valid = is_valid(row["version"])
    return "" if valid == row["apk_tools_valid"] else f"valid: {valid}"


def _constraint(row: Row, whole: Row) -> str:
    if "apk_tools" not in row:
        return "skip: a pin or an installed version plays, apk-tools has no verdict"
    try:
        item = parse_dependency(row["constraint"])
    except FormatError as fault:
        return "" if row["apk_tools"] is None else str(fault)
    fitting = [version for version in whole["candidates"] if hits(item, version)]
    best = max(fitting, key=sort_key, default=None)
    return "" if best == row["apk_tools"] else f"chose {best}, wanted {row['apk_tools']}"


def _dependency(row: Row, _: Row) -> str:
    item = parse_dependency(row["text"])
    if "apk_tools" in row:  # prose: only the accepted and the corrected reading can be judged
        name, _, rest = row["text"].partition("=")
        wanted = (name.partition("@")[0], "=", rest, name.partition("@")[2])
    else:
        wanted = (row["name"], row["op"], row["version"], row["tag"])
    got = (item.name, item.operator, item.version, item.tag)
    return "" if got == wanted else f"read {got}, wanted {wanted}"


def _solver(row: Row, _: Row) -> str:
    by_repository: dict[int, list[IndexRecord]] = {}
    for number, package in enumerate(row["packages"]):
        by_repository.setdefault(package.get("repository", 0), []).append(_record(package, number))
    repositories = [SolverRepository(records, number) for number, records in sorted(by_repository.items())]
    request = Request(tuple(map(parse_dependency, row["world"])), strict_apk=True)
    try:
        solution = solve(repositories, request, Arch.parse("x86_64"))
        got: list[str] | None = [change.new.record.name_version for change in solution.changes if change.new]
    except UnsatisfiableError:
        got = None
    return "" if got == row["apk_tools"] else f"chose {got}, wanted {row['apk_tools']}"


def _record(package: Row, number: int) -> IndexRecord:
    return IndexRecord(
        package["name"],
        package["version"],
        package.get("arch", "x86_64"),
        number.to_bytes(20, "big"),
        1,
        1,
        origin=package.get("origin", ""),
        depends=" ".join(package.get("depends", ())),
        provides=" ".join(package.get("provides", ())),
        install_if=" ".join(package.get("install_if", ())),
        provider_priority=int(package.get("provider_priority", 0)),
    )


def _all() -> Iterator[Suite]:
    yield table("version-compare", _compare)
    yield table("version-parse", _parse)
    yield table("version-constraint", _constraint)
    yield table("dependency-parse", _dependency)
    yield table("solver", _solver)


SUITES = tuple(_all())
