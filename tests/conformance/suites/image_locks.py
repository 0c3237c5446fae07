"""Locks: made anew from recorded definitions, built from, and compared with what the peer wrote.

Scores of `apko-runs/locks`: `document` (the version 1 part of our lock equals the recorded one; rows in any order), `packages`
(the listing of packages), `rebuild` (an image built from our lock is the image built from the indexes, digest by digest, out
of an empty cache and without any index).  `apko-golden/locks`: the golden lock written and built from.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.apko_images import is_golden, is_runs
from tests.conformance.suites.commands import Answer, run_command

_ROW = ("name", "url", "version", "architecture", "signature", "control", "data", "checksum")
_REPOSITORY = ("name", "url", "architecture")


def run_recorded(folder: Path) -> Iterator[Outcome]:
    manifest = json.loads((folder / "manifest.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        for case in manifest["cases"]:
            if "--lockfile" not in case["args"]:
                yield from _run_case(folder, case, Path(temporary))


def _run_case(folder: Path, case: Mapping[str, Any], temporary: Path) -> Iterator[Outcome]:
    file, name, recorded = case["config"], case["name"], folder / "cases" / case["name"] / "expect" / "lock.json"
    lock = temporary / f"{name}.lock.json"
    cache = ("--cache-dir", str(temporary / "cache"))
    answer = run_command(["image", "lock", file, *_lock_flags(case), "--output", str(lock), *cache], folder, case["env"])
    if recorded.exists():
        yield _outcome(file, name, "document", _differences(answer, lock, json.loads(recorded.read_text())))
    listed = recorded.with_name("show-packages.txt")
    if listed.exists():
        answer = run_command(["image", "packages", file, *cache], folder, case["env"])
        yield _outcome(file, name, "packages", _listing(answer, listed, bool(case.get("apk_tools_agrees", True))))
    if lock.exists() and not case["expect_failure"]:
        yield _outcome(file, name, "rebuild", _rebuilt(folder, case, lock, temporary))


def _lock_flags(case: Mapping[str, Any]) -> list[str]:
    """Flags of build that lock has as well."""
    words: list[str] = []
    given = iter(case["args"])
    for word in given:
        if word in ("-r", "-b", "-k", "-p", "--include-paths", "--arch"):
            words += [word, next(given)]
        elif word.startswith(("--ignore-signatures", "--include-paths=", "--arch=")):
            words.append(word)
    return words


def _differences(answer: Answer, lock: Path, recorded: Any) -> Iterator[str]:
    if answer.code:
        yield f"exit code {answer.code}: {answer.first_error}"
        return
    ours, theirs = json.loads(lock.read_text()), recorded
    if ours["config"] != theirs["config"]:
        yield f"config: {ours['config']}"
    contents, wanted = ours["contents"], theirs["contents"]
    if contents["keyring"] != wanted["keyring"]:
        yield "keyring"
    for key in ("build_repositories", "runtime_repositories", "repositories"):
        if _cut(contents[key], _REPOSITORY) != _cut(wanted[key], _REPOSITORY):
            yield f"{key}: {_cut(contents[key], _REPOSITORY)}"
    found, expected = _rows(contents["packages"]), _rows(wanted["packages"])
    for row in sorted(found.keys() ^ expected.keys()):
        yield f"{' '.join(row)} is only in {'ours' if row in found else 'theirs'}"
    for row in sorted(found.keys() & expected.keys()):
        if found[row] != expected[row]:
            yield f"{' '.join(row)}: {found[row]}"


def _cut(rows: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in keys} for row in rows]


def _rows(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(row["architecture"], row["name"], row["version"]): row for row in _cut(rows, _ROW)}


def _listing(answer: Answer, recorded: Path, peer_is_right: bool) -> Iterator[str]:
    """The peer lists one set for all architectures; where apk-tools disagrees with it, apk-tools is right."""
    verdict = recorded.with_name("apk-tools.json")
    wanted = {tuple(line.split()) for line in recorded.read_text().splitlines()}
    if not peer_is_right and verdict.exists() and json.loads(verdict.read_text())["rc"] == 0:
        wanted = {tuple(name.rsplit("-", 2)) for name in json.loads(verdict.read_text())["packages"]}
        wanted = {(name, f"{version}-{release}") for name, version, release in wanted}
    found = {tuple(line.split()) for line in answer.output.splitlines() if " " in line}
    if answer.code:
        yield f"exit code {answer.code}: {answer.first_error}"
    elif found != wanted:
        yield f"{sorted(found ^ wanted)}"


def _rebuilt(folder: Path, case: Mapping[str, Any], lock: Path, temporary: Path) -> Iterator[str]:
    """The same digests from the lock alone: the repositories lie elsewhere without their indexes, the cache is empty."""
    words = ["image", "build", case["config"], case["tag"], "--vcs=false", *case["args"]]
    first, second = temporary / f"{case['name']}-indexes", temporary / f"{case['name']}-lock"
    direct = run_command([*words, str(first), "--cache-dir", str(temporary / "cache")], folder, case["env"])
    bare = _without_indexes(folder, temporary)
    cold = temporary / "cold"
    locked = run_command([*words, str(second), "--cache-dir", str(cold), "--lockfile", str(lock)], bare, case["env"])
    shutil.rmtree(cold, ignore_errors=True)
    if (direct.code, direct.output) != (locked.code, locked.output):
        yield f"{locked.first_error or locked.output!r} instead of {direct.first_error or direct.output!r}"


def _without_indexes(folder: Path, temporary: Path) -> Path:
    """The corpus without any index and without keys, made once."""
    place = temporary / "bare"
    if not place.exists():
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns("APKINDEX*", "*.rsa.pub", "expect"))
    return place


# --- apko-golden -------------------------------------------------------------------------------------------------------


def run_golden(folder: Path) -> Iterator[Outcome]:
    directory, file = folder / "cli", "cli/testdata/apko.lock.json"
    recorded = json.loads((folder / file).read_text())
    with tempfile.TemporaryDirectory() as temporary:
        lock, cache = Path(temporary, "lock.json"), ("--cache-dir", f"{temporary}/cache")
        answer = run_command(["apko", "lock", "testdata/apko.yaml", "--output", str(lock), *cache], directory, {})
        recorded["config"]["name"] = "testdata/apko.yaml"
        yield _outcome(file, "document", "", _differences(answer, lock, recorded))
        build = ["image", "build", "testdata/apko.yaml", "golden:latest", "--vcs=false"]
        direct = run_command([*build, f"{temporary}/one", *cache], directory, {})
        cold = ("--cache-dir", f"{temporary}/cold", "--lockfile", "testdata/apko.lock.json")
        locked = run_command([*build, f"{temporary}/two", *cold], directory, {})
        same = direct.code == locked.code == 0 and direct.output == locked.output
        yield _outcome(file, "build", "", [] if same else [locked.first_error or locked.output])


def _outcome(file: str, case: str, score: str, faults: Iterable[str]) -> Outcome:
    listed = list(faults)
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return Outcome(FAILED, file, case, listed[0] + more, score) if listed else Outcome(PASSED, file, case, "", score)


SUITES = (
    Suite("apko-golden/locks", is_golden, run_golden),
    Suite("apko-runs/locks", is_runs, run_recorded),
)
