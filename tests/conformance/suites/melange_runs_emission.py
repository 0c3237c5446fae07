"""Packages that melange built, emitted again from their files and definitions: relations, fields, bills, findings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.conformance.scoring import SKIPPED, Difference, Outcome, Suite, judged
from tests.conformance.suites.melange_definitions import is_runs
from tests.conformance.suites.melange_emission import compared_bills, content_of, emitted
from tests.conformance.suites.melange_ways import Recording

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.policy import COMPAT
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.package.analysis.linters.settings import LintSettings
from apkiln.package.analysis.linters.table import NAMES
from apkiln.package.compilation.compiling import CompilationSettings
from apkiln.package.compilation.embedding import embedded
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.emission.request import EmissionRequest, GuestPackage
from apkiln.package.evaluation.evaluating import EvaluationSettings
from apkiln.package.output_tree import OutputTree

Row = dict[str, Any]
_GUEST = GuestPackage(IndexRecord("fixture-busybox", "1.35.0-r0", "x86_64", bytes(20), 1, 1))
_COMMIT = "1" * 40
_NOT_COMPARED = ("size", "datahash")
_OURS = (
    *("setcap-missing-file", "file-conflict", "dangling-symlink", "rpath", "missing-needed", "owner", "build-path"),
    *("shebang-missing", "scriptlet-syntax", "world-readable-secrets", "empty-dir-perms", "case-collision"),
    *("absolute-symlink", "hardening", "undeclared-license"),
)
"""Linters that melange has not."""
_NEVER_FIRES = "strip"
"""melange looks for sections that no compiler makes, and stumbles over what is no ELF; ours finds debugging data."""
_PEER = LintSettings(
    tuple("dev infodir libtool/la-files setuidgid tempdir usrmerge varempty worldwrite".split()),  # noqa: SIM905
    tuple(sorted(set(NAMES) - set(_OURS) - {"documentation", "empty"})),
)


def emissions(folder: Path) -> Iterable[Outcome]:
    """Cases that succeeded and whose package files are there."""
    for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["cases"]:
        place = folder / "cases" / row["name"]
        packages = [place / name for name in row["packages"]]
        if row["rc"] or not packages or not all(path.exists() for path in packages):
            reason = "no package files" if packages and not row["rc"] else "nothing was built"
            yield Outcome(SKIPPED, "manifest.json", row["name"], reason)
            continue
        facts = json.loads((place / "facts.json").read_text(encoding="utf-8"))
        text = (place / f"{row['name']}.yaml").read_text(encoding="utf-8")
        log = place / "log.txt"
        recording = Recording.of(row, text, log.read_text(encoding="utf-8") if log.exists() else "")
        for score, found in _compared(recording, place, packages, facts):
            yield judged(f"cases/{row['name']}", row["name"], score, found)


def _compared(recording: Recording, place: Path, packages: list[Path], facts: Row) -> Iterator[tuple[str, list[Difference]]]:
    trees = [_tree(path) for path in packages]
    try:
        files = emitted(_request(dict(recording.row), place), trees)
    except ApkilnError as error:
        yield "emission", [Difference(f"refused: {error}", recording.of_faults(error))]
        return
    for path, tree, wanted in zip(packages, trees, facts["packages"], strict=True):
        package = files[path.name]
        one, two = (_lines(text) for text in (wanted["pkginfo"], content_of_control(package)))
        yield "pkginfo", list(recording.of_relations(one, two, _damaged(tree)))
        for score, wrong in _other_scores(files, package, path, wanted, facts):
            yield score, [Difference(wrong)] if wrong else []


def _damaged(tree: OutputTree) -> frozenset[str]:
    """Names of files that begin as ELF and are too short to be."""
    short = (entry.path for entry in tree.entries if entry.type is EntryType.FILE and entry.size < 52)
    return frozenset(path.rpartition("/")[2] for path in short if b"".join(tree.content(path)).startswith(b"\x7fELF"))


def _other_scores(files: dict[str, bytes], package: bytes, path: Path, wanted: Row, facts: Row) -> Iterator[tuple[str, str]]:
    yield "entries", _entries(package, wanted)
    name, bill = next(iter(wanted["sbom"].items()))
    yield "sbom", compared_bills(_plain(json.loads(content_of(package, name))), _plain(bill))
    yield "lint", _findings(files, f"lint-{path.name.removesuffix('.apk')}.json", facts.get("lint", {}))


def _request(row: Row, place: Path) -> EmissionRequest:
    words = row["args"]
    options = tuple(words[number + 1] for number, word in enumerate(words) if word == "--build-option")
    name = f"{row['name']}.yaml"
    arch = Arch.parse("x86_64")
    loaded = load((place / name).read_bytes(), name, EvaluationSettings((), options, _COMMIT))
    definition = resolve(loaded, arch, library_of([]), CompilationSettings(strict=True)).definition
    return EmissionRequest(
        embedded(definition),
        arch,
        source_date=_date(row),
        namespace="fixture",
        guest=(_GUEST,),
        definition_path=name,
        git_commit=_COMMIT,
        git_repository="https://example.org/fixtures",
        lint=_PEER,
        lint_results=True,
    )


def _date(row: Row) -> int:
    from datetime import datetime

    if "SOURCE_DATE_EPOCH" in row["env"]:
        return int(row["env"]["SOURCE_DATE_EPOCH"])
    words = row["args"]
    return int(datetime.fromisoformat(words[words.index("--build-date") + 1]).timestamp()) if "--build-date" in words else 0


def _tree(path: Path) -> OutputTree:
    """The files of a package without its bill, whose directories go when nothing else is in them."""
    contents: dict[str, bytes] = {}

    class Receiver:
        def add(self, entry: Entry, content: Iterator[bytes]) -> None:
            contents[entry.path] = b"".join(content)

    with path.open("rb") as stream:
        read = read_package(stream, policy=COMPAT, receiver=Receiver())
    entries = [item.entry._replace(pax=()) for item in read.entries if not item.entry.path.startswith("var/lib/db/sbom")]
    for directory in ("var/lib/db", "var/lib", "var"):
        if not any(entry.path.startswith(f"{directory}/") for entry in entries):
            entries = [entry for entry in entries if entry.path != directory]
    return OutputTree(read.info.name, tuple(entries), lambda name: (contents[name],))


def _lines(text: str) -> set[str]:
    """What is compared; melange leaves a blank behind the paths of triggers."""
    return {line.rstrip() if line.startswith("triggers") else line for line in text.splitlines() if _is_compared(line)}


def content_of_control(package: bytes) -> str:
    """`.PKGINFO` of a package."""
    import tarfile
    import zlib

    members: list[bytes] = []
    rest = package
    while rest and len(members) < 2:
        inflater = zlib.decompressobj(31)
        members.append(inflater.decompress(rest))
        rest = inflater.unused_data
    control = next(member for member in members if member.startswith(b".PKGINFO"))
    with tarfile.open(fileobj=BytesIO(control + bytes(1024))) as archive:
        stream = archive.extractfile(".PKGINFO")
        assert stream is not None
        return stream.read().decode()


def _is_compared(line: str) -> bool:
    return bool(line) and not line.startswith("# Generated") and line.partition(" = ")[0] not in _NOT_COMPARED


def _entries(package: bytes, wanted: Row) -> str:
    got = {
        entry.path: (entry.type.value, entry.mode, entry.uid, entry.gid, entry.mtime, sha1.hex())
        for entry, sha1, _ in read_package(BytesIO(package)).entries
        if not entry.path.startswith("var/lib/db/sbom/")
    }
    kinds = {"file": EntryType.FILE, "dir": EntryType.DIRECTORY, "symlink": EntryType.SYMLINK, "hardlink": EntryType.HARDLINK}
    rows = wanted["members"][-1]["entries"]
    two = {
        row["path"]: (
            kinds[row["type"]].value,
            int(row["mode"], 8),
            row["uid"],
            row["gid"],
            row["mtime"],
            (row.get("pax") or {}).get("APK-TOOLS.checksum.SHA1", ""),
        )
        for row in rows
        if not row["path"].startswith("var/lib/db/sbom/")
    }
    wrong = {path: (got.get(path), two.get(path)) for path in got.keys() | two.keys() if got.get(path) != two.get(path)}
    return f"{wrong}" if wrong else ""


def _plain(bill: Row) -> Row:
    """The bill without the purl of the definition: melange writes a GitHub one whatever the host is."""
    for package in bill["packages"]:
        if package["primaryPackagePurpose"] == "INSTALL":
            package["externalRefs"] = []
    return bill


def _findings(files: dict[str, bytes], name: str, wanted: Row) -> str:
    got = json.loads(files[name])["findings"]
    two = wanted.get(name, {"findings": {}})["findings"]
    found, recorded = (
        {linter: [_details(row) for row in rows] for linter, rows in side.items() if linter != _NEVER_FIRES}
        for side in (got, two)
    )
    # melange gives no details for some linters.
    found |= {linter: rows for linter, rows in recorded.items() if linter in found and not any(rows)}
    return "" if found == recorded else f"{found}, wanted {recorded}"


def _details(row: Row) -> Any:
    """Details of a finding, without the quotes that melange puts around names of Python modules."""
    found = row.get("details")
    return found | {"packages": [name.strip('"') for name in found["packages"]]} if found and "packages" in found else found


SUITES = (Suite("melange-runs/emission", is_runs, emissions),)
