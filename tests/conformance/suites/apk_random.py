"""apk-random: recorded answers of apk to random worlds; scores per family: refused, set, sequence, truth."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from scoring import FAILED, PASSED, SKIPPED, Outcome, Suite

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, InputError, UnsatisfiableError, UsageError
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare, is_valid
from apkiln.solver.commands import parse_command, plan
from apkiln.solver.request import SolverRepository
from apkiln.solver.solution import Change, Solution
from apkiln.solver.solving import solve
from apkiln.solver.source import provided_names

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Row = list[Any]


class Answer(NamedTuple):
    """The product's answer in the terms of the corpus."""

    refused: bool
    changes: list[Row]
    solution: Solution | None
    reason: str


def recognise(folder: Path) -> bool:
    """Folder `apk-random`, or one of that shape: a README and compressed families with `repos` and `apk` in each case."""
    families = sorted(folder.glob("*.jsonl.zst"))
    return folder.name == "apk-random" and (folder / "README.md").exists() and bool(families)


def read_lines(path: Path) -> list[str]:
    return zstd.decompress(path.read_bytes()).decode().splitlines()


def record(row: dict[str, Any], arch: str = "x86_64") -> IndexRecord:
    """An index record from the letters of a case."""
    identity = hashlib.sha1(f"{row['P']}-{row['V']}:{row.get('b', 0)}".encode()).digest()
    return IndexRecord(
        row["P"],
        row["V"],
        row.get("A", arch),
        identity,
        1,
        1,
        depends=row.get("D", ""),
        provides=row.get("p", ""),
        install_if=row.get("i", ""),
        provider_priority=int(row.get("k", 0)),
        repository_tag=row.get("s") or "",
        flags=row.get("f") or "",
    )


def answer(
    case: dict[str, Any],
    repositories: list[SolverRepository],
    installed: list[IndexRecord],
    arch: str,
    *,
    strict: bool,
) -> Answer:
    """Run the product on a case."""
    try:
        world = [parse_dependency(item) for item in case["world"]]
        command = parse_command(case["args"])
        names = {name for repository in repositories for row in repository.records for name in provided_names(row)}  # type: ignore[union-attr]
        request = replace(plan(command, world, installed, names), strict_apk=strict)
        solution = solve(repositories, request, Arch.parse(arch))
    except (UnsatisfiableError, InputError, UsageError) as fault:
        return Answer(True, [], None, fault.reason)
    return Answer(False, [change_row(change) for change in solution.changes], solution, "")


def change_row(change: Change) -> Row:
    """`[verb, name, old, new]`, and the tag when there is one."""
    new = change.new.record if change.new else None
    row = [change.kind.value, change.name, change.old.version if change.old else None, new.version if new else None]
    return [*row, change.new.tag] if change.new and change.new.tag else row


def judge(case: dict[str, Any], got: Answer, file: str, family: str) -> Iterator[Outcome]:
    """The three scores against apk's own answer."""
    identifier = case["id"]
    wanted = [row if len(row) < 5 or row[4] else row[:4] for row in case["apk"]["changes"]]

    def outcome(score: str, passed: bool, detail: str) -> Outcome:
        return Outcome(PASSED if passed else FAILED, file, identifier, "" if passed else detail, f"{family}.{score}")

    same = got.refused == case["refused"]
    yield outcome("refused", same, f"apk {'refused' if case['refused'] else 'accepted'}, we did not ({got.reason})")
    if case["refused"] or not same:
        return
    equal = sorted(map(json.dumps, got.changes)) == sorted(map(json.dumps, wanted))
    yield outcome("set", equal, f"want {_text(wanted)}, got {_text(got.changes)}")
    if equal:
        yield outcome("sequence", got.changes == wanted, f"want {_text(wanted)}, got {_text(got.changes)}")


def _text(rows: list[Row]) -> str:
    return "; ".join(" ".join(str(part) for part in row if part is not None) for row in rows)


def run(folder: Path) -> Iterable[Outcome]:
    for path in sorted(folder.glob("*.jsonl.zst")):
        family = path.name.removesuffix(".jsonl.zst")
        for line in read_lines(path):
            case = json.loads(line)
            if "apk" not in case or any("pkgs" not in repository for repository in case.get("repos", ())):
                continue
            yield from run_case(case, path.name, family)


def run_case(case: dict[str, Any], file: str, family: str) -> Iterator[Outcome]:
    repositories = [
        SolverRepository([record(row) for row in repository["pkgs"]], number, repository["tag"] or "")
        for number, repository in enumerate(case["repos"])
    ]
    installed = [record(row) for row in case["installed"]]
    try:
        yield from judge(case, answer(case, repositories, installed, "x86_64", strict=True), file, family)
    except ApkilnError as fault:
        yield Outcome(FAILED, file, case["id"], f"{type(fault).__name__}: {fault}", f"{family}.refused")


def run_versions(folder: Path) -> Iterable[Outcome]:
    path = folder / "versions.tsv.zst"
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split("\t")
        if fields[0] == "cmp":
            a, b, wanted = fields[1:]
            got = "<=>"[compare(a, b) + 1] if is_valid(a) and is_valid(b) else "?"
            yield Outcome(PASSED if got == wanted else FAILED, path.name, f"line {number}", f"{a} {wanted} {b}, got {got}")
        elif fields[0] == "valid":
            valid = is_valid(fields[1])
            yield Outcome(PASSED if valid == (fields[2] == "1") else FAILED, path.name, f"line {number}", f"{fields[1]} valid: {valid}")
        else:
            yield Outcome(SKIPPED, path.name, f"line {number}", f"unknown kind {fields[0]}")


SUITES = (
    Suite("apk-random/versions", lambda folder: recognise(folder) and (folder / "versions.tsv.zst").exists(), run_versions),
    Suite("apk-random/solver", recognise, run),
)
