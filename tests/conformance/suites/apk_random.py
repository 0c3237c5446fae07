"""apk-random: recorded answers of apk to random worlds; scores per family: refused, set, sequence; truth and best."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Outcome, Suite

from apkiln.core.arch import Arch
from apkiln.core.errors import InputError, UndecidedError, UnsatisfiableError, UsageError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependencies, parse_dependency, provided
from apkiln.formats.apk.index import read_any_index
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare, is_valid
from apkiln.solver.checking import Violation, check
from apkiln.solver.commands import parse_command, plan
from apkiln.solver.request import SolverRepository
from apkiln.solver.solution import Change, ChangeKind, Solution
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


def answer(case: dict[str, Any], problem: Problem, *, strict: bool) -> Answer:
    """Run the product on a case."""
    try:
        world = [parse_dependency(item) for item in case["world"]]
        command = parse_command(case["args"])
        names = {name for row in problem.records() for name in provided_names(row)} if "prune" in command.options else ()
        request = replace(plan(command, world, problem.installed, names, problem.repositories), strict_apk=strict)
        solution = solve(problem.repositories, request, Arch.parse(problem.arch))
    except (UnsatisfiableError, UndecidedError, InputError, UsageError) as fault:
        return Answer(True, [], None, fault.reason)
    rows = [change_row(change) for change in solution.changes if not _skipped(change)]
    return Answer(False, rows, solution, "")


def _skipped(change: Change) -> bool:
    """apk prints these, but not as changes: a package to be reinstalled that no repository has."""
    return change.kind is ChangeKind.REINSTALL and change.new is not None and change.new.repository < 0


def change_row(change: Change) -> Row:
    """`[verb, name, old, new]`, and the tag when there is one."""
    new = change.new.record if change.new else None
    row = [change.kind.value, change.name, change.old.version if change.old else None, new.version if new else None]
    return [*row, change.new.tag] if change.new and change.new.tag else row


def judge(case: dict[str, Any], got: Answer, problem: Problem, file: str, family: str) -> Iterator[Outcome]:
    """The three scores against apk's own answer."""
    identifier = case["id"]
    wanted = [row if len(row) < 5 or row[4] else row[:4] for row in case["apk"]["changes"]]

    def outcome(score: str, passed: bool, detail: str) -> Outcome:
        return Outcome(PASSED if passed else FAILED, file, identifier, "" if passed else detail, f"{family}.{score}")

    refused = case["refused"] if "refused" in case else bool(case["apk"].get("heads") or case["apk"].get("errors"))
    same = got.refused == refused
    yield outcome("refused", same, f"apk {'refused' if refused else 'accepted'}, we did not ({got.reason or 'accepted'})")
    if refused or not same:
        return
    shown = f"want {_text(wanted)}, got {_text(got.changes)}"
    equal = sorted(map(json.dumps, got.changes)) == sorted(map(json.dumps, wanted))
    yield outcome("set", equal, shown)
    if equal and got.changes != wanted and got.solution is not None and free_order(got.solution, wanted, problem):
        reason = "the order among several install_if packages has no documented rule"
        yield Outcome(SKIPPED, file, identifier, reason, f"{family}.sequence")
    elif equal:
        yield outcome("sequence", got.changes == wanted, shown)


def free_order(solution: Solution, wanted: list[Row], problem: Problem) -> bool:
    """Whether apk's sequence follows no documented rule: several of the names have a package with install_if (the walk goes by
    name, so it need not be the chosen one), and ours has dependencies first wherever apk's has."""
    triggering = {row.name for row in problem.records() if row.install_if}
    names = {change.name for change in solution.changes} & triggering
    ours = [change.new.record for change in solution.changes if change.new]
    by_name = {row.name: row for row in ours}
    theirs = [by_name[row[1]] for row in wanted if row[3] is not None]
    return len(names) > 1 and _late(ours) <= _late(theirs)


def _answers(record: IndexRecord, item: Dependency) -> bool:
    names = [(record.name, record.version), *(provided(text) for text in record.provides.split())]
    return any(name == item.name and hits(item, version, record.identity) for name, version in names)


def _late(changed: list[IndexRecord]) -> set[str]:
    """Packages before what they need, unless its own needs lead back to them."""
    place = {record.identity: number for number, record in enumerate(changed)}
    needs = {
        record.identity: [
            [other for other in changed if _answers(other, item)]
            for item in parse_dependencies(record.depends, lenient=True)
            if not item.conflict
        ]
        for record in changed
    }
    late = set()
    for record in changed:
        for providers in needs[record.identity]:
            early = not providers or any(place[other.identity] <= place[record.identity] for other in providers)
            if not early and not any(_reaches(other, record, needs) for other in providers):
                late.add(record.name)
    return late


def _reaches(start: IndexRecord, goal: IndexRecord, needs: dict[bytes, list[list[IndexRecord]]]) -> bool:
    seen, pending = {start.identity}, [start]
    while pending:
        for providers in needs[pending.pop().identity]:
            for other in providers:
                if other is goal:
                    return True
                if other.identity not in seen:
                    seen.add(other.identity)
                    pending.append(other)
    return False


def _text(rows: list[Row]) -> str:
    return "; ".join(" ".join(str(part) for part in row if part is not None) for row in rows)


INSTALLED = ("del", "fix", "installed-add", "upgrade")
"""Families that start from an installed set."""


def run_fresh(folder: Path) -> Iterable[Outcome]:
    return run(folder, installed=False)


def run_installed(folder: Path) -> Iterable[Outcome]:
    return run(folder, installed=True)


def run(folder: Path, *, installed: bool) -> Iterable[Outcome]:
    indexes = Indexes(folder)
    for path in sorted(folder.glob("*.jsonl.zst")):
        family = path.name.removesuffix(".jsonl.zst")
        for line in read_lines(path):
            case = json.loads(line)
            if (family in INSTALLED or (bool(case["installed"]) and "index" in case["repos"][0])) != installed:
                continue
            problem = indexes.problem(case) if any("index" in each for each in case["repos"]) else made_up(case)
            if problem is None:
                yield Outcome(
                    SKIPPED, path.name, case["id"], "the indexes it names are not beside this corpus", f"{family}.refused"
                )
                continue
            got = answer(case, problem, strict=True)
            yield from judge(case, got, problem, path.name, family)
            yield from judge_truth(case, problem, path.name, family)


class Problem(NamedTuple):
    """Repositories and installed packages of a case."""

    repositories: list[SolverRepository]
    installed: list[IndexRecord]
    arch: str

    def records(self) -> Iterator[IndexRecord]:
        for repository in self.repositories:
            yield from repository.records  # type: ignore[misc]


def made_up(case: dict[str, Any]) -> Problem:
    """The problem of a case that carries its records."""
    repositories = [
        SolverRepository([record(row) for row in repository["pkgs"]], number, repository["tag"] or "")
        for number, repository in enumerate(case["repos"])
    ]
    return Problem(repositories, [record(row) for row in case["installed"]], "x86_64")


class Indexes:
    """Real indexes named by cases, from the corpus `apko` beside this one; each read once.

    One of them is of another architecture than the other and is read as `aarch64`, as the corpus says.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.parent / "apko" / "apk" / "testdata"
        self._read: dict[str, list[IndexRecord]] = {}

    def problem(self, case: dict[str, Any]) -> Problem | None:
        needed = [
            *(repository["index"] for repository in case["repos"]),
            *([case["installed_from"]] if "installed_from" in case else []),
        ]
        if not all((self._folder / name / "APKINDEX.tar.gz").exists() for name in needed):
            return None
        by_version = {}
        if case["installed"]:
            by_version = {(row.name, row.version): row for row in self._records(case.get("installed_from", needed[0]))}
        repositories = [
            SolverRepository(self._records(repository["index"]), number, repository["tag"] or "")
            for number, repository in enumerate(case["repos"])
        ]
        return Problem(
            repositories, [by_version[name, version] for name, version in case["installed"]], case.get("arch", "aarch64")
        )

    def _records(self, name: str) -> list[IndexRecord]:
        if name not in self._read:
            content = (self._folder / name / "APKINDEX.tar.gz").read_bytes()
            rows = read_any_index(content)[1].records
            self._read[name] = [row._replace(arch="aarch64") if row.arch == "x86_64" else row for row in rows]
        return self._read[name]


def judge_truth(case: dict[str, Any], problem: Problem, file: str, family: str) -> Iterator[Outcome]:
    """Complete mode against exhaustive search: solvable or not, a valid answer, and the best one where it is known."""
    truth = case.get("truth")
    if not truth:
        return
    score = f"{family}.truth"
    got = answer(case, problem, strict=False)
    if got.reason == "unknown-tag":
        yield Outcome(SKIPPED, file, case["id"], "a world item names a tag no repository has: refused by design", score)
    elif truth.get("apk_accepted_unsolvable") and got.solution:
        yield Outcome(
            SKIPPED, file, case["id"], "apk answers what the exhaustive search calls unsolvable: apk's answer stands", score
        )
    elif got.solution is None:
        detail = f"refused ({got.reason}), a solution exists" if truth["solvable"] else ""
        yield Outcome(FAILED if truth["solvable"] else PASSED, file, case["id"], detail, score)
    elif not truth["solvable"] and truth["complete"]:
        yield Outcome(FAILED, file, case["id"], f"accepted {_names(got.solution)}, there is no solution", score)
    else:
        violations = check_answer(got.solution, problem)
        yield Outcome(FAILED if violations else PASSED, file, case["id"], str(violations) if violations else "", score)
        if "best" in truth:
            yield _judge_best(got.solution, truth["best"], file, case["id"], family)


def _judge_best(solution: Solution, best: list[str], file: str, identifier: str, family: str) -> Outcome:
    """Packages that came by install_if stand outside the objective."""
    extra = [package.record for package in solution.packages if package.record.name_version not in best]
    missing = set(best) - {package.record.name_version for package in solution.packages}
    passed = not missing and (not extra or any(row.install_if for row in extra))
    return Outcome(PASSED if passed else FAILED, file, identifier, f"want {best}, got {_names(solution)}", f"{family}.best")


def check_answer(solution: Solution, problem: Problem) -> list[Violation]:
    """The independent checker on an answer; install_if of an installed set is not asked about."""
    tags: dict[bytes, set[str]] = {}
    free = {row.identity for row in problem.installed}
    for repository in problem.repositories:
        for row in repository.records:  # type: ignore[union-attr]
            if repository.tag:
                tags.setdefault(row.identity, set()).add(repository.tag)
            else:
                free.add(row.identity)
    only_tagged = {identity: frozenset(names) for identity, names in tags.items() if identity not in free}
    chosen = [package.record for package in solution.packages]
    left_out = [each.record for each in solution.left_out]
    others = [] if problem.installed else problem.records()
    return check(chosen, solution.world, {problem.arch, "noarch", ""}, only_tagged, left_out, others)


def _names(solution: Solution) -> list[str]:
    return [package.record.name_version for package in solution.packages]


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
            yield Outcome(
                PASSED if valid == (fields[2] == "1") else FAILED, path.name, f"line {number}", f"{fields[1]} valid: {valid}"
            )
        else:
            yield Outcome(SKIPPED, path.name, f"line {number}", f"unknown kind {fields[0]}")


SUITES = (
    Suite("apk-random/versions", lambda folder: recognise(folder) and (folder / "versions.tsv.zst").exists(), run_versions),
    Suite("apk-random/solver", recognise, run_fresh),
    Suite("apk-random/installed", recognise, run_installed),
)
