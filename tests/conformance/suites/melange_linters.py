"""melange's tables about linters: one check on a small tree each, and a whole package."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.melange_definitions import recognise

from apkiln.core.arch import Arch
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import AnalysisContext
from apkiln.package.analysis.linters.results import results
from apkiln.package.analysis.linters.settings import LintSettings
from apkiln.package.analysis.observing import Observer
from apkiln.package.analysis.published import lint_published, read_published
from apkiln.package.compilation.resolving import load
from apkiln.package.definition.model import PackageDefinition

Row = dict[str, Any]
CASES, WHOLE = "linter/cases.json", "linter/apk.json"


def checks(folder: Path) -> Iterable[Outcome]:
    """`linter/cases.json`."""
    for number, row in enumerate(json.loads((folder / CASES).read_text(encoding="utf-8"))["cases"]):
        for required in (True, False):
            found = findings(row, required)
            refused = any(finding.required for finding in found)
            wanted = required and not row["pass"]
            same = refused == wanted and bool(found) != row["pass"]
            kind = "required" if required else "warned"
            detail = "" if same else f"findings {[(finding.message, finding.paths) for finding in found]}"
            yield Outcome(PASSED if same else FAILED, CASES, f"{number} {row['linter']}", detail, kind)


def findings(row: Row, required: bool) -> tuple[Any, ...]:
    entries, contents = tree_of(row)
    observer = Observer(row["package"], entries)
    facts = observer.observe(lambda path: (contents[path],))
    own = (row["linter"],)
    settings = LintSettings(own, ()) if required else LintSettings((), own)
    context = AnalysisContext(Arch.parse("x86_64"), definition_of(row), lint=settings.check())
    return conclude(facts, context).findings


def definition_of(row: Row) -> PackageDefinition:
    shown = row.get("definition") or {"package": {"name": row["package"]}}
    shown = {**shown, "package": {"version": "1", "epoch": 0} | shown["package"]}
    return load(json.dumps(shown).encode(), "input").evaluated.definition


def tree_of(row: Row) -> tuple[tuple[Entry, ...], dict[str, bytes]]:
    contents = {path: _content(value) for path, value in row["files"].items()}
    modes = row.get("modes", {})
    entries = {
        path: Entry(path, EntryType.FILE, int(modes.get(path, "0644"), 8), size=len(data)) for path, data in contents.items()
    }
    for path in (*row.get("dirs", ()), *map(parent, contents)):
        while path:
            entries.setdefault(path, Entry(path, EntryType.DIRECTORY, int(row.get("dir_mode", "0755"), 8)))
            path = parent(path)
    return tuple(entries.values()), contents


def _content(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    text: str = value["repeat"] * value["times"] + value.get("then", "")
    return text.encode()


def packages(folder: Path) -> Iterable[Outcome]:
    """`linter/apk.json`: a published package with the default sets."""
    for row in json.loads((folder / WHOLE).read_text(encoding="utf-8"))["cases"]:
        with (folder / "linter" / row["apk"]).open("rb") as stream:
            package = read_published(stream)
        found = lint_published(package).findings
        report = results(package.contents.info.name_version, found)
        missing = [name for name in row["findings_of"] if name not in report["findings"]]
        refused = [finding.linter for finding in found if finding.required]
        # The origin writes the epoch twice.
        named = row["package_name"].startswith(report["package_name"])
        wrong = "" if bool(refused) != row["ok"] and not missing and named else f"refused {refused}, lacks {missing}"
        yield Outcome(FAILED if wrong else PASSED, WHOLE, row["apk"], wrong)


def suites() -> Iterator[Suite]:
    yield Suite("melange/linter", lambda folder: recognise(folder) and (folder / CASES).exists(), checks)
    yield Suite("melange/linter-package", lambda folder: recognise(folder) and (folder / WHOLE).exists(), packages)


SUITES = tuple(suites())
