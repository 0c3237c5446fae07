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

from tests.conformance.scoring import Difference, Outcome, Suite, judged
from tests.conformance.suites.apko_images import is_golden, is_runs, package_entries
from tests.conformance.suites.commands import Answer, run_command, run_judged
from tests.conformance.suites.image_trees import without_repetitions
from tests.conformance.suites.peer_ways import Recording, triggered_names

from apkiln.core.secret import redact_url

Rows = Mapping[tuple[str, str, str], Mapping[str, Any]]
_ROW = ("name", "url", "version", "architecture", "signature", "control", "data", "checksum")
_REPOSITORY = ("name", "url", "architecture")


def run_recorded(folder: Path) -> Iterator[Outcome]:
    manifest, packages = json.loads((folder / "manifest.json").read_text()), package_entries(folder)
    triggered = triggered_names(folder)
    with tempfile.TemporaryDirectory() as temporary:
        for case in manifest["cases"]:
            if "--lockfile" not in case["args"]:
                yield from _run_case(Recording(folder, case, packages, triggered), Path(temporary))


def _run_case(recording: Recording, temporary: Path) -> Iterator[Outcome]:
    folder, case = recording.folder, recording.case
    file, name, recorded = case["config"], case["name"], recording.expect / "lock.json"
    lock = temporary / f"{name}.lock.json"
    cache = ("--cache-dir", str(temporary / "cache"))
    answer = run_judged(["image", "lock", file, *_lock_flags(case), "--output", str(lock), *cache], folder, case["env"])
    if recorded.exists():
        document = json.loads(recorded.read_text())
        yield judged(file, name, "document", _differences(answer, lock, document, recording))
    if (recording.expect / "show-packages.txt").exists():
        answer = run_judged(["image", "packages", file, *cache], folder, case["env"])
        yield judged(file, name, "packages", _listing(answer, recording))
    if lock.exists() and not case["expect_failure"]:
        yield judged(file, name, "rebuild", map(Difference, _rebuilt(folder, case, lock, temporary)))


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


def _differences(answer: Answer, lock: Path, recorded: Any, recording: Recording | None = None) -> Iterator[Difference]:
    if answer.code:
        cause = recording.of_lock_refusal(answer) if recording else ""
        yield Difference(f"exit code {answer.code}: {answer.first_error}", cause)
        return
    ours, theirs = json.loads(lock.read_text()), recorded
    if ours["config"] != theirs["config"]:
        yield Difference(f"config: {ours['config']}")
    contents, wanted = ours["contents"], theirs["contents"]
    if contents["keyring"] != without_repetitions(wanted["keyring"]):
        yield Difference("keyring")
    for key in ("build_repositories", "runtime_repositories", "repositories"):
        left, right = _cut(contents[key], _REPOSITORY), _cut(wanted[key], _REPOSITORY)
        if left != right:
            yield Difference(f"{key}: {left}", "password-in-lock" if left == _redacted(right) else "")
    yield from _row_differences(_rows(contents["packages"]), _rows(wanted["packages"]), recording)


def _row_differences(found: Rows, theirs: Rows, recording: Recording | None) -> Iterator[Difference]:
    """Which packages are locked: as apk-tools has it where its set is not the peer's; and what is said of each."""
    right = recording.tools_packages(row[1:] for row in found if row[0] == "x86_64") if recording else None
    wanted = {row[1:] for row in theirs} if right is None else right
    for row in sorted(found.keys() | theirs.keys()):
        if row in found and row in theirs:
            if found[row] != theirs[row]:
                yield Difference(f"{' '.join(row)}: {found[row]}", recording.of_lock_row(row, theirs) if recording else "")
        elif (row in found) != (row[1:] in wanted) or right is None:
            text = f"{' '.join(row)} is only in {'ours' if row in found else 'theirs'}"
            yield Difference(text, recording.of_lock_row(row, theirs) if recording else "")


def _redacted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Addresses without passwords.  The peer's name of a repository is its address without the scheme."""
    return [{**row, "url": redact_url(row["url"]), "name": redact_url(f"x://{row['name']}").removeprefix("x://")} for row in rows]


def _cut(rows: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in keys} for row in rows]


def _rows(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(row["architecture"], row["name"], row["version"]): row for row in _cut(rows, _ROW)}


def _listing(answer: Answer, recording: Recording) -> Iterator[Difference]:
    """The peer lists one set for all architectures; where apk-tools disagrees with it, apk-tools is right."""
    found = {(line.split()[0], line.split()[1]) for line in answer.output.splitlines() if " " in line}
    right = recording.tools_packages(found)
    listed = (recording.expect / "show-packages.txt").read_text()
    wanted = {tuple(line.split()) for line in listed.splitlines()} if right is None else right
    if answer.code:
        yield Difference(f"exit code {answer.code}: {answer.first_error}", recording.of_lock_refusal(answer))
    elif found != wanted:
        names = [{row[0] for row in side} for side in (found, wanted)]
        yield Difference(f"{sorted(found ^ wanted)}", recording.of_sets(*names))


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
        yield judged(file, "document", "", _differences(answer, lock, recorded))
        build = ["image", "build", "testdata/apko.yaml", "golden:latest", "--vcs=false"]
        direct = run_command([*build, f"{temporary}/one", *cache], directory, {})
        cold = ("--cache-dir", f"{temporary}/cold", "--lockfile", "testdata/apko.lock.json")
        locked = run_command([*build, f"{temporary}/two", *cold], directory, {})
        same = direct.code == locked.code == 0 and direct.output == locked.output
        yield judged(file, "build", "", [] if same else [Difference(locked.first_error or locked.output)])


SUITES = (
    Suite("apko-golden/locks", is_golden, run_golden),
    Suite("apko-runs/locks", is_runs, run_recorded),
)
