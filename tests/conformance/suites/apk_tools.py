"""apk-tools: version vectors and solver cases; four scores per solver case: exit, set, order, text."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Outcome, Suite

from apkiln.core.arch import Arch
from apkiln.core.errors import InputError, UnsatisfiableError, UsageError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare, is_prefix, is_valid
from apkiln.solver.commands import parse_command, plan
from apkiln.solver.request import SolverRepository
from apkiln.solver.solution import Solution
from apkiln.solver.solving import solve
from apkiln.solver.source import provided_names
from apkiln.solver.transcript import transcript

IGNORED_OPTIONS = ("--root-tmpfs=", "--preupgrade", "-q", "-v")
VERBS = ("Installing", "Upgrading", "Downgrading", "Replacing", "Reinstalling", "Updating", "Purging")


class Case(NamedTuple):
    """A `*.test` file."""

    arguments: list[str]
    world: list[str]
    installed: list[str]
    repositories: list[tuple[str, str]]
    """(tag or empty, file)."""
    cache: list[str]
    expected: list[str]


def recognise(folder: Path) -> bool:
    """Folder `apk-tools` with its README."""
    return folder.name == "apk-tools" and (folder / "README.md").exists()


def run_versions(folder: Path) -> Iterable[Outcome]:
    for path in sorted(folder.glob("version_*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line:
                yield Outcome(PASSED if _holds(line) else FAILED, path.name, f"line {number}", line)


def _holds(line: str) -> bool:
    words = line.split(" ")
    if len(words) == 1:
        return is_valid(line.removeprefix("!")) != line.startswith("!")
    a, operator, b = words
    marks = operator.removeprefix("!")
    true = "<=>"[compare(a, b) + 1] in marks or ("~" in marks and is_prefix(a, b))
    return true != operator.startswith("!")


def read_case(text: str) -> Case:
    """Directives up to `@EXPECT`, then the expected output."""
    case = Case([], [], [], [], [], [])
    lines = iter(text.splitlines())
    for line in lines:
        words = line.split()
        if line.startswith("@EXPECT"):
            case.expected.extend(lines)
        elif words and words[0] == "@ARGS":
            case.arguments.extend(words[1:])
        elif words and words[0] == "@WORLD":
            case.world.extend(words[1:])
        elif words and words[0] == "@INSTALLED":
            case.installed.append(words[1])
        elif words and words[0] == "@CACHE":
            case.cache.append(words[1])
        elif words and words[0] == "@REPO":
            tag = words[1].removeprefix("@") if words[1].startswith("@") else ""
            case.repositories.append((tag, words[-1]))
    return case


def records(path: Path) -> list[IndexRecord]:
    """Records of a `.repo` or `.installed` file; of several with one identity the first, as apk takes them for one package."""
    found: dict[bytes, IndexRecord] = {}
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        letters = {line[0]: line[2:] for line in block.splitlines() if line[1:2] == ":"}
        if "P" in letters:
            record = _record(letters)
            found.setdefault(record.identity, record)
    return list(found.values())


def _record(letters: dict[str, str]) -> IndexRecord:
    checksum = letters.get("C", "")
    named = f"{letters['P']}-{letters['V']}"
    identity = b64decode(checksum[2:]) if checksum.startswith("Q1") else hashlib.sha1(named.encode()).digest()
    return IndexRecord(
        letters["P"],
        letters["V"],
        letters.get("A", ""),
        identity,
        int(letters.get("S", 0)),
        int(letters.get("I", 0)),
        origin=letters.get("o", ""),
        provider_priority=int(letters.get("k", 0)),
        depends=letters.get("D", ""),
        provides=letters.get("p", ""),
        install_if=letters.get("i", ""),
        repository_tag=letters.get("s", ""),
        flags=letters.get("f", ""),
    )


def answer(case: Case, folder: Path) -> Solution | str:
    """The product's answer in strict mode, or the reason of its refusal."""
    words = [word for word in case.arguments if not word.startswith(IGNORED_OPTIONS)]
    offline = "--no-network" in words
    repositories = [
        SolverRepository(records(folder / file), number, tag, reachable=not offline)
        for number, (tag, file) in enumerate(case.repositories)
    ]
    installed = [record for file in case.installed for record in records(folder / file)]
    cached = [record for file in case.cache for record in records(folder / file)]
    try:
        command = parse_command(words)
        names = {name for repository in repositories for row in repository.records for name in provided_names(row)}  # type: ignore[union-attr]
        request = plan(command, [parse_dependency(item) for item in case.world], installed, names, repositories)
        request = replace(request, strict_apk=True, cached=(*request.cached, *cached))
        request = replace(request, drop_broken_world="drop-broken-world" in command.options)
        return solve(repositories, request, Arch.parse("x86_64"))
    except (InputError, UsageError, UnsatisfiableError) as fault:
        return fault.reason


def run_solver(folder: Path) -> Iterable[Outcome]:
    for path in sorted((folder / "solver").glob("*.test")):
        case = read_case(path.read_text(encoding="utf-8"))
        if any(word.startswith("--preupgrade") for word in case.arguments):
            yield Outcome(SKIPPED, f"solver/{path.name}", path.stem, "pre-upgrade of a live root is left out by design", "exit")
        else:
            yield from _judge(case, answer(case, path.parent), f"solver/{path.name}", path.stem)


def _judge(case: Case, got: Solution | str, file: str, name: str) -> Iterator[Outcome]:
    refused = any(line.startswith("ERROR") for line in case.expected)
    same = isinstance(got, str) == refused
    detail = (
        "" if same else f"apk {'refused' if refused else 'accepted'}, we did not ({got if isinstance(got, str) else 'accepted'})"
    )
    yield Outcome(PASSED if same else FAILED, file, name, detail, "exit")
    if isinstance(got, str) or not same:
        return
    wanted = [line.partition(") ")[2] for line in case.expected if line.startswith("(")]
    lines = transcript(got)
    mine = [line.partition(") ")[2] for line in lines[:-1]]
    shown = f"want {wanted}, got {mine}"
    yield Outcome(PASSED if sorted(mine) == sorted(wanted) else FAILED, file, name, shown, "set")
    yield Outcome(PASSED if mine == wanted else FAILED, file, name, shown, "order")


def run_text(folder: Path) -> Iterable[Outcome]:
    """Only what apk accepts: our refusals say more than apk's and are not meant to equal them."""
    for path in sorted((folder / "solver").glob("*.test")):
        case = read_case(path.read_text(encoding="utf-8"))
        if any(line.startswith("ERROR") for line in case.expected) or any(
            word.startswith("--preupgrade") for word in case.arguments
        ):
            continue
        got = answer(case, path.parent)
        lines = [got] if isinstance(got, str) else transcript(got)
        verdict = PASSED if lines == case.expected else FAILED
        yield Outcome(verdict, f"solver/{path.name}", path.stem, f"want {case.expected}, got {lines}")


SUITES = (
    Suite("apk-tools/versions", recognise, run_versions),
    Suite("apk-tools/solver", lambda folder: recognise(folder) and (folder / "solver").is_dir(), run_solver),
    Suite("apk-tools/solver-text", lambda folder: recognise(folder) and (folder / "solver").is_dir(), run_text, claimed=False),
)
