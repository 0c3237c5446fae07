"""`image audit` on recorded data: what the peer's golden image has lost is found, and images of ours are accounted for.

`apko-golden/audit`: the violations are exactly the files whose owner or mode differs between layer and database, as a plain
comparison of the two shows.  `apko-runs/audit`: every image that apkiln builds from the recorded definitions is clean.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Outcome, Suite
from tests.conformance.suites.apko_images import is_golden, is_runs
from tests.conformance.suites.commands import Answer, run_command
from tests.conformance.suites.image_trees import BuiltImage, database_of

_APK_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}
_VIOLATIONS = 10


def run_golden(folder: Path) -> Iterator[Outcome]:
    """One case a platform."""
    golden, file = folder.resolve() / "cli" / "testdata" / "golden", "cli/testdata/golden"
    image = BuiltImage(golden)
    for platform in image.platforms:
        answer = run_command(["image", "audit", str(golden), "--json", "--arch", _APK_ARCH.get(platform, platform)], folder, {})
        found = sorted((row["rule"], row["path"]) for row in _reports(answer)[0]["violations"])
        wanted = sorted(_lost(image.tree(platform)))
        good = found == wanted and answer.code == (_VIOLATIONS if wanted else 0)
        detail = "" if good else f"exit code {answer.code}: found {found}, the layer shows {wanted}"
        yield Outcome(PASSED if good else FAILED, file, platform, detail)


def _lost(tree: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Files whose entry in the layer differs from their lines in the database."""
    directory = path = ""
    for line in database_of(tree).splitlines():
        letter, _, value = line.partition(":")
        if letter == "F":
            directory = value
        elif letter == "R":
            path = f"{directory}/{value}" if directory else value
        elif letter == "a":
            uid, gid, mode = value.split(":")[:3]
            entry = tree[path]
            if (int(uid), int(gid)) != (entry["uid"], entry["gid"]):
                yield "owner", path
            if int(mode, 8) != int(entry["mode"], 8) and entry["type"] != "symlink":
                yield "mode", path


def run_ours(folder: Path) -> Iterator[Outcome]:
    """One case for every definition that can be built."""
    with tempfile.TemporaryDirectory() as temporary:
        for case in json.loads((folder / "manifest.json").read_text())["cases"]:
            yield from _build_and_audit(folder, case, Path(temporary))


def _build_and_audit(folder: Path, case: dict[str, Any], temporary: Path) -> Iterator[Outcome]:
    if "--lockfile" in case["args"] or case["expect_failure"]:
        return
    output = temporary / case["name"]
    words = ["image", "build", case["config"], case["tag"], str(output), "--vcs=false", *case["args"]]
    built = run_command([*words, "--cache-dir", str(temporary / "cache")], folder, case["env"])
    if built.code:
        yield Outcome(SKIPPED, case["config"], case["name"], "not built")
        return
    answer = run_command(["image", "audit", str(output), "--json"], folder, {})
    faults = [f"{row['path']}: {row['rule']}" for report in _reports(answer) for row in report["violations"]]
    if answer.code not in (0, _VIOLATIONS):
        faults.append(f"exit code {answer.code}: {answer.first_error}")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    yield Outcome(FAILED if faults else PASSED, case["config"], case["name"], faults[0] + more if faults else "")


def _reports(answer: Answer) -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = json.loads(answer.output) if answer.output else [{"violations": []}]
    return reports


SUITES = (
    Suite("apko-golden/audit", is_golden, run_golden),
    Suite("apko-runs/audit", is_runs, run_ours),
)
