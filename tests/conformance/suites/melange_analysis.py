"""melange's tables about the analysis of package contents: generated relations, first lines of scripts, directories."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.melange_definitions import recognise

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.package.analysis.concluding import generate, scene_of, without_own
from apkiln.package.analysis.conclusion import AnalysisContext
from apkiln.package.analysis.directories import lies_in
from apkiln.package.analysis.interpreters import interpreter
from apkiln.package.analysis.published import read_published
from apkiln.package.analysis.rules import SHIPPED, read_rules
from apkiln.package.compilation.resolving import load

Row = dict[str, Any]


def _rows(folder: Path, file: str, key: str = "cases") -> list[Row]:
    rows: list[Row] = json.loads((folder / file).read_text(encoding="utf-8"))[key]
    return rows


def _outcome(file: str, case: str, wrong: str) -> Outcome:
    return Outcome(FAILED if wrong else PASSED, file, case, wrong)


def relations(folder: Path) -> Iterable[Outcome]:
    """`sca/expected.json`: complete lists of what analysis generates for real packages."""
    for row in _rows(folder, "sca/expected.json"):
        yield _outcome("sca/expected.json", row["apk"], _compared(folder / "sca" / "testdata", row))


def _compared(folder: Path, row: Row) -> str:
    with (folder / row["apk"]).open("rb") as stream:
        package = read_published(stream)
    name = row["definition"]
    definition = load((folder / name).read_bytes(), name).evaluated.definition
    number, _, epoch = package.contents.info.version.rpartition("-r")
    main = definition.package
    # The package may be one of the subpackages; what is declared is the main one's, as the origin's test has it.
    own = main._replace(
        name=main.name._replace(text=package.contents.info.name), version=main.version._replace(text=number), epoch=int(epoch)
    )
    # melange has the policies of its distribution built in.
    rules = read_rules(Path(SHIPPED, "wolfi.toml").read_bytes(), "wolfi")
    arch = Arch.parse(package.contents.info.arch)
    context = AnalysisContext(arch, definition._replace(package=own, subpackages=()), rules=rules)
    found = generate(scene_of(package.facts, context))
    wrong = {
        key: sorted(set(getattr(found, key)) ^ set(row[key]))
        for key in ("depends", "provides", "vendored")
        if list(getattr(found, key)) != row[key]
    }
    return f"differs in {wrong}" if wrong else ""


def first_lines(folder: Path) -> Iterable[Outcome]:
    """`tables/shebang.json`."""
    for row in _rows(folder, "tables/shebang.json"):
        yield _outcome("tables/shebang.json", row["content"], _first_line(row))


def _first_line(row: Row) -> str:
    try:
        found = interpreter(row["content"].encode())
    except ApkilnError as error:
        return "" if row["error_has"] and row["error_has"] in str(error) else f"refused: {error}"
    if row["error_has"]:
        return f"accepted: {found}"
    return "" if (found or None) == row["want"] else f"found {found!r}, wanted {row['want']!r}"


def directories(folder: Path) -> Iterable[Outcome]:
    """`tables/in-dir.json`."""
    for row in _rows(folder, "tables/in-dir.json"):
        same = lies_in(row["path"], row["dirs"]) == row["want"]
        yield _outcome("tables/in-dir.json", f"{row['path']} in {row['dirs']}", "" if same else f"not {row['want']}")


def own_provides(folder: Path) -> Iterable[Outcome]:
    """`tables/pkginfo.json`, removal of dependencies on what the package provides itself."""
    for number, row in enumerate(_rows(folder, "tables/pkginfo.json", "self_provided")):
        found = list(without_own(row["depends"], row["provides"]))
        yield _outcome("tables/pkginfo.json", f"self_provided {number}", "" if found == row["want"] else f"found {found}")


def _suite(name: str, file: str, run: Callable[[Path], Iterable[Outcome]]) -> Suite:
    return Suite(f"melange/{name}", lambda folder: recognise(folder) and (folder / file).exists(), run)


def suites() -> Iterator[Suite]:
    yield _suite("sca", "sca/expected.json", relations)
    yield _suite("shebang", "tables/shebang.json", first_lines)
    yield _suite("in-dir", "tables/in-dir.json", directories)
    yield _suite("own-provides", "tables/pkginfo.json", own_provides)


SUITES = tuple(suites())
