"""Judges for reports about the analysis of packages and the checks of definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.sample_elf import make_elf

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.observing import Observer
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of

Row = dict[str, Any]
_LISTS = ("depends", "provides", "vendored")
_LOADER = "/lib64/ld-linux-x86-64.so.2"


def analyse(given: Row, expected: Row) -> str:
    """Kind `sca`: relations that must or must not be generated."""
    found = _analysis(given)
    wrong = []
    for name in _LISTS:
        items = getattr(found, name)
        wrong += [f"{name} lacks {item}" for item in expected.get(f"{name}_has", ()) if item not in items]
        forbidden = (*expected.get(f"{name}_not", ()), *expected.get(f"{name}_lacks", ()), *expected.get(f"not_{name}", ()))
        wrong += [f"{name} has {item}" for item in forbidden if item in items]
        if name in expected and sorted(expected[name]) != list(items):
            wrong.append(f"{name} is {items}")
    return "; ".join(wrong)


def check(given: Row, expected: Row) -> str:
    """Kind `lint`: what is said of a definition, or of a tree."""
    said, refused = _said(given)
    text = "\n".join(said)
    wrong = [f"nothing says `{word}`" for word in expected.get("mentions", ()) if word not in text]
    wrong += [f"something says `{word}`" for word in expected.get("not_mentions", ()) if word in text]
    if expected.get("error") and not refused:
        wrong.append("accepted")
    if (expected.get("warning") or expected.get("diagnostic") or expected.get("finding")) and not said:
        wrong.append("nothing is said")
    if refused and not (expected.get("error") or expected.get("diagnostic") or expected.get("warning")):
        wrong.append("refused")
    if "at" in expected and expected["at"].rpartition(":")[2] not in {line for part in said for line in part.split(":")}:
        wrong.append(f"not at {expected['at']}")
    return f"{'; '.join(wrong)}: {text}" if wrong else ""


def _said(given: Row) -> tuple[list[str], bool]:
    """Remarks, faults and findings; whether it was refused."""
    if "files" in given:
        findings = _analysis(given).findings
        return [f"{item.linter}: {item.message} {item.paths}" for item in findings], any(item.required for item in findings)
    texts = given.get("definition") or given.get("config") or given.get("yaml") or ""
    content = texts.encode() if isinstance(texts, str) else json.dumps(texts).encode()
    try:
        found = resolve(load(content, "input.yaml"), Arch.parse(given.get("arch", "x86_64")), library_of([]))
    except ApkilnError as error:
        faults = error.faults if isinstance(error, FaultGroup) else (error,)
        return [f"{fault} {fault.hint}" for fault in faults], True
    return [f"{note.origin}: {note.message}" for note in found.notes], False


def _analysis(given: Row) -> Analysis:
    entries, contents = _tree(given["files"])
    shown = given.get("definition") or {"package": {"name": given.get("package", "case"), "version": given.get("version", "1")}}
    content = shown.encode() if isinstance(shown, str) else json.dumps(shown).encode()
    definition = load(content, "input.yaml").evaluated.definition
    observer = Observer(definition.package.name.text, entries)
    facts = observer.observe(lambda path: (contents[path],))
    return conclude(facts, AnalysisContext(Arch.parse(given.get("arch", "x86_64")), definition))


def _tree(files: list[Row]) -> tuple[tuple[Entry, ...], dict[str, bytes]]:
    entries: dict[str, Entry] = {}
    contents: dict[str, bytes] = {}
    for row in files:
        path = row["path"].strip("/")
        target = row.get("symlink") or row.get("target") or row.get("link")
        mode = int(str(row.get("mode", "0644")), 8)
        if target:
            entries[path] = Entry(path, EntryType.SYMLINK, 0o777, target=target)
        elif row.get("type") == "dir" or row["path"].endswith("/"):
            entries[path] = Entry(path, EntryType.DIRECTORY, mode if "mode" in row else 0o755)
        else:
            contents[path] = _elf(row["elf"]) if "elf" in row else (row.get("text") or row.get("content") or "").encode()
            entries[path] = Entry(path, EntryType.FILE, mode, size=len(contents[path]))
    for path in list(entries):
        while path := parent(path):
            entries.setdefault(path, Entry(path, EntryType.DIRECTORY, 0o755))
    return tuple(entries.values()), contents


def _elf(facts: Row) -> bytes:
    interpreter = facts.get("interpreter") or facts.get("interp") or ("" if facts.get("type") == "shared" else _LOADER)
    runpath = facts.get("runpath") or facts.get("rpath") or ""
    runpath = ":".join(runpath) if isinstance(runpath, list) else runpath
    return make_elf(64, "<", tuple(facts.get("needed", ())), facts.get("soname", ""), interpreter, runpath)


JUDGES: dict[str, Callable[[Row, Row], str]] = {"sca": analyse, "lint": check}
