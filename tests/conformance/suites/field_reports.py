"""Troubles of real users, cut down to small inputs: one suite for each area that has a product behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Outcome, Suite
from tests.conformance.suites.build_reports import JUDGES as BUILD_JUDGES
from tests.conformance.suites.definition_reports import JUDGES as DEFINITION_JUDGES
from tests.conformance.suites.image_reports import JUDGES as IMAGE_JUDGES
from tests.conformance.suites.image_reports import Unjudged
from tests.conformance.suites.package_reports import JUDGES as PACKAGE_JUDGES
from tests.conformance.suites.repository_reports import JUDGES as REPOSITORY_JUDGES

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.identity import identity_text
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.pkginfo import parse as parse_package_information
from apkiln.formats.apk.version import compare, is_valid
from apkiln.formats.deb.deb822 import parse_stanzas
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

Row = dict[str, Any]
FILE = "cases.jsonl"


def recognise(folder: Path) -> bool:
    """Folder `field-reports` with its README and its cases."""
    return folder.name == "field-reports" and (folder / "README.md").exists() and (folder / FILE).exists()


def suite(area: str) -> Suite:
    """The cases of one area; a kind that nothing here judges is a skip that names it."""

    def run(folder: Path) -> Iterable[Outcome]:
        with (folder / FILE).open(encoding="utf-8") as lines:
            for case in map(json.loads, lines):
                if case["area"] == area:
                    yield _judged(case)

    return Suite(f"field-reports/{area}", recognise, run)


def _judged(case: Row) -> Outcome:
    judge = (IMAGE_JUDGES if case["area"] == "image" else {}).get(case["kind"]) or JUDGES.get(case["kind"])
    if judge is None:
        return Outcome(SKIPPED, FILE, case["id"], f"kind {case['kind']}")
    try:
        wrong = judge(case["input"], case.get("expect", {}))
    except Unjudged as what:
        return Outcome(SKIPPED, FILE, case["id"], str(what))
    return Outcome(FAILED if wrong else PASSED, FILE, case["id"], wrong)


def _complete_index(text: str) -> bytes:
    """The text with the letters that the cases leave out: identity, sizes and architecture."""
    blocks = [block for block in text.strip("\n").split("\n\n") if block]
    rows = []
    for number, block in enumerate(blocks):
        identity = identity_text(hashlib.sha1(f"{number}\0{block}".encode(), usedforsecurity=False).digest())
        rows.append(f"C:{identity}\n{block}\nA:x86_64\nS:1\nI:1\nT:t\nU:u\nL:l\n\n")
    return "".join(rows).encode()


def _solve(given: Row, expected: Row) -> str:
    repositories = [
        SolverRepository(parse_index_text(_complete_index(row["index"])).records, number, row.get("tag", ""))
        for number, row in enumerate(given["repos"])
    ]
    try:
        world = tuple(parse_dependency(item) for item in given["world"])
        solution = solve(repositories, Request(world), Arch.parse("x86_64"))
    except ApkilnError as error:
        return _refused(error, expected)
    if expected.get("error"):
        return "solved, a refusal is wanted"
    got = {f"{package.record.name}={package.record.version}" for package in solution.packages}
    if "install" in expected and got != set(expected["install"]):
        return f"installs {sorted(got)}, wanted {sorted(expected['install'])}"
    names = {item.partition("=")[0] for item in got}
    return "".join(f"installs {name}" for name in expected.get("not_installed", ()) if name in names)


def _refused(error: ApkilnError, expected: Row) -> str:
    """What is wrong with a refusal: not wanted, or a text or a line that it must name is missing."""
    if not expected.get("error"):
        return f"refused: {error}"
    text = "\n".join(f"{fault}\n{fault.hint}\n" + "\n".join(fault.details) for fault in _faults(error))
    missing = [word for word in expected.get("mentions", ()) if word not in text]
    if "at_line" in expected and expected["at_line"] not in {fault.origin.line for fault in _faults(error)}:
        missing.append(f"line {expected['at_line']}")
    return f"the message lacks {missing}: {text!r}" if missing else ""


def _faults(error: ApkilnError) -> tuple[ApkilnError, ...]:
    return error.faults if isinstance(error, FaultGroup) else (error,)


def _version(given: Row, expected: Row) -> str:
    wrong = [row for row, truth in zip(given["rows"], expected["rows"], strict=True) if _holds(row) is not truth]
    return f"wrong: {wrong}" if wrong else ""


def _holds(row: str) -> bool:
    words = row.split(" ")
    if words[0] == "valid":
        return is_valid(words[1])
    order = compare(words[0], words[2])
    return order < 0 if words[1] == "<" else order > 0


def _dependency(given: Row, expected: Row) -> str:
    text = f"pkgname = a\npkgver = 1-r0\narch = x86_64\nsize = 1\ndepend = {given['item']}\n"
    try:
        parse_package_information(text.encode())
    except ApkilnError as error:
        return _refused(error, expected)
    return "accepted" if expected.get("error") else ""


def _index(given: Row, expected: Row) -> str:
    if "tar_entries" in given:
        return _index_archive(given)
    try:
        parse_index_text((given.get("apkindex") or given.get("body_bytes_utf8", "")).encode())
    except ApkilnError as error:
        return _refused(error, expected)
    return "accepted" if expected.get("error") else ""


def _index_archive(given: Row) -> str:
    """A tar entry without a type flag: accepted, or refused with a message that names the type."""
    import gzip
    import io
    import tarfile

    from apkiln.formats.apk.index import read_index, write_index
    from apkiln.formats.deflate.codec import canonical_codec

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in given["tar_entries"]:
            member = tarfile.TarInfo(entry["name"])
            member.type = entry["typeflag"].encode()
            content = entry["text"].encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    try:
        read_index(gzip.compress(buffer.getvalue(), mtime=0))
    except ApkilnError as error:
        if "type" not in str(error):
            return f"the message does not name the type flag: {error}"
    written = gzip.decompress(write_index((), "", canonical_codec()))
    return "" if written[156:157] == b"0" else f"the writer's type flag is {written[156:157]!r}"


def _index_record(given: Row, expected: Row) -> str:
    from apkiln.formats.apk.contents import PackageContents
    from apkiln.formats.apk.index import record_of
    from apkiln.formats.apk.index_text import format_record

    texts = given.get("pkginfos") or [given["pkginfo"]]
    wanted = expected.get("records") or [expected["fields"]]
    for text, fields in zip(texts, wanted, strict=True):
        information = parse_package_information(text.encode(), tolerant=True)
        contents = PackageContents(information, b"\0" * 20, b"\0" * 32, 1, (), (), (), ())
        lines = dict(line.split(":", 1) for line in format_record(record_of(contents)).splitlines() if line)
        wrong = {key: lines.get(key) for key, value in fields.items() if lines.get(key) != value}
        if wrong:
            return f"{wrong}, wanted {fields}"
    return ""


def _stanzas(given: Row, expected: Row) -> str:
    stanzas = list(parse_stanzas(given["text"].encode()))
    if len(stanzas) != expected["records"]:
        return f"{len(stanzas)} records"
    first = stanzas[0]
    wrong = {key: first.get(key) for key, value in expected["first"].items() if first.get(key) != value}
    return f"{wrong}" if wrong or not first.get(expected["first_has_field"]) else ""


def _debian_solve(given: Row, expected: Row) -> str:
    """The closure of the request; several right outcomes are tried one after the other."""
    from apkiln.debian.closure import resolve_closure
    from apkiln.debian.snapshot import Snapshot, SuiteList

    text = given["packages"].encode()
    suite_list = SuiteList("case", "main", "", 0, (), "", text, "case")
    allowed = expected.get("one_of") or [expected]
    try:
        closure = resolve_closure(Snapshot((suite_list,), "amd64"), given["request"])
    except ApkilnError as error:
        faults = [_refused(error, one) for one in allowed]
        return "" if "" in faults else faults[0]
    got = {package.name: package.version for package in closure.packages}
    for one in allowed:
        wanted = dict(item.partition("=")[::2] for item in one.get("install", ()))
        if (
            not one.get("error")
            and wanted.keys() == got.keys()
            and all(version in ("", got[name]) for name, version in wanted.items())
        ):
            return ""
    return f"installs {got}"


def _debian_lock(given: Row, expected: Row) -> str:
    """Packages of one name and version in two suites, imported over one cache; what each set's lock says of its file."""
    from apkiln.core.limits import DEFAULT_LIMITS
    from apkiln.core.progress import Silent
    from apkiln.debian.converting import ImportAccess
    from apkiln.debian.importing import ImportRequest, import_packages
    from apkiln.formats.archive.entry import Entry, EntryType
    from apkiln.formats.deb.deb822 import Stanza
    from apkiln.formats.deb.writer import write_deb
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.system.memory_store import MemoryStore
    from apkiln.system.package_archive import MemoryArchive

    store, labels = MemoryStore(), {}
    archives = {}
    for suite, packages in given["suites"].items():
        made = []
        for name, (version, label) in packages.items():
            control = Stanza((("Package", name), ("Version", version), ("Architecture", "amd64"), ("Description", "d")))
            entry = Entry(f"usr/{name}", EntryType.FILE, size=len(label))
            made.append(write_deb(control, [(entry, label.encode())]))
            labels[hashlib.sha256(made[-1]).hexdigest()] = label
        archives[suite] = MemoryArchive.of_packages({suite: made}, store, architecture="amd64", date=1)
    for name, (suite, package) in given["sets"].items():
        access = ImportAccess(archives[suite], store, Silent(), canonical_codec(), DEFAULT_LIMITS, 1, 1)
        lock = json.loads(import_packages(ImportRequest((package,), Arch.parse("x86_64")), (), access).lock)
        found = [labels[item["deb_sha256"]] for item in lock["packages"] if item["name"] == package]
        if found != [expected["lock"][name]]:
            return f"set {name} has {found}"
    return ""


JUDGES: dict[str, Callable[[Row, Row], str]] = {
    "solve": _solve,
    "version": _version,
    "dependency-parse": _dependency,
    "index-parse": _index,
    "index-generate": _index_record,
    "deb822-parse": _stanzas,
    "deb-solve": _debian_solve,
    "lock": _debian_lock,
    **DEFINITION_JUDGES,
    **PACKAGE_JUDGES,
    **BUILD_JUDGES,
    **REPOSITORY_JUDGES,
}
SUITES = [suite("apk"), suite("debian"), suite("image"), suite("package"), suite("repository")]
