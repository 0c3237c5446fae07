"""melange's tables about definitions: loading, substitution, conditions, step rules; its examples; questions to definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Outcome, Suite

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultCollector, FaultGroup
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.definition import forms
from apkiln.package.definition.model import Condition
from apkiln.package.definition.rendering import document
from apkiln.package.evaluation.conditions import evaluate
from apkiln.package.evaluation.references import Sources, Substitution
from apkiln.package.query.template import render
from apkiln.package.query.view import Section

Row = dict[str, Any]
ARCHITECTURES = ("x86_64", "aarch64")
_STEP = re.compile(r'\.?([^.\[\]]+)|\[(\d+)\]|\["([^"]+)"\]')


def recognise(folder: Path) -> bool:
    """Folder `melange` with its README and tables."""
    return folder.name == "melange" and (folder / "README.md").exists() and (folder / "tables").is_dir()


def faults_of(content: bytes, source: str = "input") -> list[ApkilnError]:
    """What reading and evaluating a definition complains about."""
    try:
        load(content, source)
    except FaultGroup as group:
        return list(group.faults)
    except ApkilnError as fault:
        return [fault]
    return []


def outcome(file: str, case: str, wrong: str) -> Outcome:
    return Outcome(FAILED if wrong else PASSED, file, case, wrong)


def loading(folder: Path) -> Iterable[Outcome]:
    """`config/load.json`: accepted or refused, and the values after loading."""
    for row in json.loads((folder / "config/load.json").read_text(encoding="utf-8"))["cases"]:
        content = (folder / "config" / row["file"]).read_bytes()
        faults = faults_of(content, row["file"])
        if bool(faults) == row["accept"]:
            yield outcome("config/load.json", row["file"], f"faults {[str(fault) for fault in faults]}")
            continue
        got = document(load(content, row["file"]).evaluated.definition) if row["accept"] else {}
        yield outcome("config/load.json", row["file"], _missing(row.get("want", {}), got))


def _missing(wanted: Any, got: Any, path: str = "") -> str:
    """Where `got` lacks what is wanted; keys that are not named may have any value, an empty value may be absent."""
    if isinstance(wanted, dict):
        members = got if isinstance(got, dict) else {}
        found = (_missing(value, members.get(key), f"{path}.{key}") for key, value in wanted.items())
        return next((text for text in found if text), "")
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = zip(wanted, got, strict=True)
        return next((text for number, (one, two) in enumerate(pairs) if (text := _missing(one, two, f"{path}[{number}]"))), "")
    same = got == wanted or (not wanted and not got)
    return "" if same else f"{path}: wanted {wanted!r}, got {got!r}"


def parsing(folder: Path) -> Iterable[Outcome]:
    """`tables/config-parse.json`: values at paths, or a refusal with its line."""
    file = "tables/config-parse.json"
    for row in json.loads((folder / file).read_text(encoding="utf-8"))["cases"]:
        yield outcome(file, row["name"], _parsed(row))


def _parsed(row: Row) -> str:
    faults = faults_of(row["yaml"].encode())
    if bool(faults) != row.get("error", False):
        return f"faults {[str(fault) for fault in faults]}"
    for text in row.get("message_has", ()):
        if text not in [f"line {fault.origin.line}" for fault in faults]:
            return f"no fault on {text}"
    if faults:
        return ""
    shown = document(load(row["yaml"].encode(), "input").evaluated.definition)
    for check in row["checks"]:
        got = _at(shown, check["path"])
        if got != check["want"]:
            return f"{check['path']}: wanted {check['want']}, got {got}"
    return ""


def _at(value: Any, path: str) -> Any:
    for name, number, quoted in _STEP.findall(path):
        if number:
            value = value[int(number)] if isinstance(value, list) and int(number) < len(value) else None
        else:
            value = value.get(name or quoted) if isinstance(value, dict) else None
    return value


def validation(folder: Path) -> Iterable[Outcome]:
    """`tables/config-validate.json`: combinations in steps, CPE, schedules, licences."""
    file = "tables/config-validate.json"
    whole = json.loads((folder / file).read_text(encoding="utf-8"))
    package: Row = {"name": "a", "version": "1"}
    for row in whole["cases"]:
        yield outcome(file, row["name"], _refusal({"package": package, "pipeline": row["pipeline"]}, row["error"]))
    for row in whole["cpe"]:
        yield outcome(file, f"cpe: {row['name']}", _refusal({"package": package | {"cpe": row["cpe"]}}, row["error"]))
    for row in whole["schedule"]:
        update = {"enabled": True, "schedule": {"period": row["period"]}}
        yield outcome(file, f"schedule: {row['period']}", _refusal({"package": package, "update": update}, row["error"]))
    for row in whole["spdx"]:
        wrong = forms.licence(row["license"])
        same = (not wrong) == row["valid"]
        yield outcome(file, f"spdx: {row['license']}", "" if same else wrong or "taken for valid")


def _refusal(definition: Row, wanted: bool) -> str:
    faults = faults_of(json.dumps(definition).encode())
    unplaced = [fault for fault in faults if not fault.origin.line]
    return "" if bool(faults) == wanted and not unplaced else f"faults {[str(fault) for fault in faults]}"


def conditions(folder: Path) -> Iterable[Outcome]:
    """`tables/cond.json`: truth of expressions, refusals, and texts that must not crash anything."""
    file = "tables/cond.json"
    whole = json.loads((folder / file).read_text(encoding="utf-8"))
    for row in whole["cases"]:
        yield outcome(file, row["expr"], _truth(row["expr"], whole["variables"], row))
    for expression in whole["no_crash_expr"]:
        yield outcome(file, f"no crash: {expression}", _truth(expression, whole["variables"], {}))
    for text in whole["no_crash_subst"]:
        substitution = Substitution(FaultCollector.empty(), Sources())
        substitution.expand(text, Condition("", load_origin()).origin, whole["variables"].get)
        unplaced = [fault for fault in substitution.faults.faults if not fault.origin.line]
        yield outcome(file, f"no crash: {text}", "a fault without its place" if unplaced else "")


def load_origin() -> Any:
    """Some place, as a reader gives it."""
    from apkiln.core.origin import Origin

    return Origin("input", 1, 1)


def _truth(expression: str, variables: dict[str, str], row: Row) -> str:
    substitution = Substitution(FaultCollector.empty(), Sources())
    try:
        condition = substitution.condition(Condition(expression, load_origin()), variables.get)
        substitution.faults.raise_if_any()
        got: bool | str = evaluate(condition)
    except ApkilnError as fault:
        got = str(fault)
    if isinstance(got, str):
        wanted = row.get("error", not row)
        absent = [text for text in row.get("message_has", ()) if text not in got]
        return "" if wanted and not absent and ":1:1" in got else got
    return "" if "want" not in row or got == row["want"] else f"is {got}"


def definitions(folder: Path) -> Iterable[Outcome]:
    """Every example and end-to-end definition compiles for both architectures with the built-in pipelines."""
    e2e = folder / "e2e-tests" / "pipelines"
    library = library_of([("pipelines", e2e)])
    for path in sorted([*(folder / "examples").rglob("*.yaml"), *(folder / "e2e-tests").glob("*.yaml")]):
        name = path.relative_to(folder).as_posix()
        yield compiles(name, path.read_bytes(), library)


def compiles(name: str, content: bytes, library: PipelineLibrary) -> Outcome:
    """Whether a definition compiles, for each architecture it is meant for, and compiles to itself again."""
    wrong = ""
    for arch in ARCHITECTURES:
        try:
            first = document(resolve(load(content, name), Arch.parse(arch), library).definition)
            again = json.dumps(first, ensure_ascii=False).encode()
            second = document(resolve(load(again, name), Arch.parse(arch), library).definition)
            wrong = wrong or ("" if first == second else f"{arch}: compiling the result changes it")
        except ApkilnError as fault:
            if fault.reason != "not-targeted":
                wrong = wrong or f"{arch}: {fault}"
    return outcome(name, name, wrong)


def is_runs(folder: Path) -> bool:
    """Folder `melange-runs` with its README and manifest."""
    return folder.name == "melange-runs" and (folder / "README.md").exists() and (folder / "manifest.json").exists()


def questions(folder: Path) -> Iterable[Outcome]:
    """`query.json`: package-version and a template over definitions that lie in the corpus `wolfi-os` beside it."""
    from tests.conformance.suites.melange_compiled import definitions_of

    beside = folder.parent / "wolfi-os"
    found = definitions_of(beside) if beside.is_dir() else {}
    whole = json.loads((folder / "query.json").read_text(encoding="utf-8"))
    for row in whole["cases"]:
        content = found.get(row["file"])
        if content is None:
            yield Outcome(SKIPPED, "query.json", row["file"], "the definition is not here")
            continue
        definition = load(content, row["file"]).evaluated.definition
        got = render(whole["template"], Section("", document(definition)))
        version = f"{definition.package.name.text}-{definition.package.full_version}"
        same = got == row["query"] and version == row["package_version"]
        yield outcome("query.json", row["file"], "" if same else f"{version}: {got}")


def _suite(name: str, file: str, run: Callable[[Path], Iterable[Outcome]]) -> Suite:
    return Suite(f"melange/{name}", lambda folder: recognise(folder) and (folder / file).exists(), run)


def suites() -> Iterator[Suite]:
    yield _suite("config-load", "config/load.json", loading)
    yield _suite("config-parse", "tables/config-parse.json", parsing)
    yield _suite("config-validate", "tables/config-validate.json", validation)
    yield _suite("conditions", "tables/cond.json", conditions)
    yield _suite("definitions", "examples", definitions)
    yield Suite("melange-runs/query", is_runs, questions)


SUITES = tuple(suites())
