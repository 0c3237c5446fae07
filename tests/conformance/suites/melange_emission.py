"""melange's tables about emitted packages: bills of materials, `.PKGINFO`, index records, provenance, extended attributes."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.melange_definitions import recognise
from tests.sample_packages import sample_signer

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk import pkginfo
from apkiln.formats.apk.index import record_of
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.policy import COMPAT
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.package.analysis.conclusion import Analysis
from apkiln.package.compilation.compiling import CompilationSettings
from apkiln.package.compilation.embedding import embedded
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.definition.parts import parts
from apkiln.package.emission.emitting import EmissionAccess, emit
from apkiln.package.emission.information import information
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.output_tree import OutputTree
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.spool import MemorySpools

Row = dict[str, Any]
OUT = PurePosixPath("/out")
_DESCRIBED = ("SPDXID", "name", "versionInfo", "licenseDeclared", "licenseConcluded", "downloadLocation", "filesAnalyzed")


def _rows(folder: Path, file: str) -> list[Row]:
    rows: list[Row] = json.loads((folder / file).read_text(encoding="utf-8"))["cases"]
    return rows


def _outcome(file: str, case: str, wrong: str) -> Outcome:
    return Outcome(FAILED if wrong else PASSED, file, case, wrong)


def request_for(content: bytes, name: str, arch: str = "x86_64", **fields: Any) -> EmissionRequest:
    """A request for a definition, compiled as a build does it."""
    architecture = Arch.parse(arch)
    resolved = resolve(load(content, name), architecture, library_of([]), CompilationSettings(strict=True))
    return EmissionRequest(embedded(resolved.definition), architecture, **fields)


def emitted(request: EmissionRequest, trees: Sequence[OutputTree], signers: Sequence[Any] = ()) -> dict[str, bytes]:
    """What is published for trees, by file name."""
    files = MemoryFiles()
    emit(request, trees, EmissionAccess(files, OUT, MemorySpools(), canonical_codec(), signers))
    return {path.rpartition("/")[2]: content for path, content in files.snapshot().items()}


def content_of(package: bytes, path: str) -> bytes:
    """One file of a package."""
    found: list[bytes] = []

    class Receiver:
        def add(self, entry: Entry, content: Iterator[bytes]) -> None:
            if entry.path == path:
                found.append(b"".join(content))

    read_package(BytesIO(package), policy=COMPAT, receiver=Receiver())
    return found[0]


def bills(folder: Path) -> Iterable[Outcome]:
    """`sbom/cases.json`."""
    for row in _rows(folder, "sbom/cases.json"):
        yield _outcome("sbom/cases.json", row["config"], _bill(folder / "sbom", row))


def _bill(folder: Path, row: Row) -> str:
    content = (folder / row["config"]).read_bytes()
    name = row["config"].rpartition("/")[2].removesuffix(".yaml")
    options = {"git_repository": "https://github.com/wolfi-dev/os", "git_commit": "c0ffee", "namespace": "wolfi"}
    try:
        request = request_for(content, name, definition_path=f"testdata/{row['config']}", **options)
        files = emitted(request, [OutputTree(name, (), lambda path: ())])
    except ApkilnError as error:
        return "" if row.get("error_has") and "version" in str(error) else f"refused: {error}"
    if row.get("error_has"):
        return "accepted"
    package = files[row["package"]]
    path = f"var/lib/db/sbom/{row['sbom'].rpartition('/')[2]}"
    wanted = json.loads((folder / row["sbom"]).read_text(encoding="utf-8"))
    return compared_bills(json.loads(content_of(package, path)), wanted)


def compared_bills(got: Row, wanted: Row) -> str:
    """Packages with their facts, and relationships.  Of sources the vendor is left out: ours does not claim to know it."""
    for key, normal in (("packages", _packages), ("relationships", _relationships)):
        one, two = normal(got.get(key, [])), normal(wanted.get(key, []))
        if one != two:
            return f"{key}: {sorted(set(one) ^ set(two))}"
    same = all(got[key] == wanted[key] for key in ("name", "documentDescribes")) and _texts(got) == _texts(wanted)
    return "" if same else "name, subject or licence texts differ"


def _packages(rows: list[Row]) -> list[str]:
    found = []
    for row in rows:
        purpose = row["primaryPackagePurpose"].replace("_", "-")
        shown = {key: row.get(key) for key in _DESCRIBED} | {"purpose": purpose}
        if purpose != "SOURCE":
            shown |= {key: row.get(key) for key in ("supplier", "originator")}
        shown["checksums"] = sorted((item["algorithm"], item["checksumValue"]) for item in row.get("checksums", ()))
        shown["references"] = sorted(item["referenceLocator"] for item in row.get("externalRefs", ()))
        found.append(json.dumps(shown, sort_keys=True))
    return sorted(found)


def _relationships(rows: list[Row]) -> list[str]:
    return sorted(f"{row['spdxElementId']} {row['relationshipType']} {row['relatedSpdxElement']}" for row in rows)


def _texts(document: Row) -> dict[str, str]:
    return {row["licenseId"]: row["extractedText"] for row in document.get("hasExtractedLicensingInfos", ())}


def control_texts(folder: Path) -> Iterable[Outcome]:
    """`tables/pkginfo.json`: the key lines of `.PKGINFO`."""
    for row in _rows(folder, "tables/pkginfo.json"):
        given = row["input"]
        package = {key: given[key] for key in ("name", "version", "epoch", "description", "url", "commit")}
        subpackage = {"name": given["name"], "description": given["description"], "url": given["url"]}
        # The origin differs from the name, as a subpackage's does.
        main = package | {"name": given["origin"]}
        definition = json.dumps({"package": main, "subpackages": [subpackage]}).encode()
        request = request_for(
            definition, "input", given["arch"], namespace=given["namespace"], source_date=given["source_date_epoch"]
        )
        info = information(request, parts(request.definition)[1], Analysis())
        text = pkginfo.write(info._replace(installed_size=given["size"], data_hash=given["datahash"])).decode()
        same = text.splitlines()[1:] == row["pkginfo"].splitlines()[1:]
        yield _outcome("tables/pkginfo.json", row["name"], "" if same else text)


def index_records(folder: Path) -> Iterable[Outcome]:
    """`tables/index-entry.json`."""
    for row in _rows(folder, "tables/index-entry.json"):
        with (folder / "sca" / "testdata" / row["apk"]).open("rb") as stream:
            contents = read_package(stream, policy=COMPAT)
        record = record_of(contents)
        got = {
            "P": record.name,
            "V": record.version,
            "A": record.arch,
            "T": record.description,
            "L": record.license,
            "o": record.origin,
            "S": record.size,
            "I": record.installed_size,
            "D": record.depends.split(),
            "C_sha1_hex": record.identity.hex(),
            "datahash": contents.info.data_hash,
        }
        wrong = {key: got.get(key) for key, value in row["want"].items() if got.get(key) != value}
        yield _outcome("tables/index-entry.json", row["apk"], f"{wrong}" if wrong else "")


def provenance(folder: Path) -> Iterable[Outcome]:
    """`tables/slsa.json`: types and subject; the digest is the file's own, which is what verifiers compare."""
    import hashlib

    for row in _rows(folder, "tables/slsa.json"):
        definition = {"package": {"name": row["package"], "version": row["version"], "epoch": row["epoch"]}}
        request = request_for(json.dumps(definition).encode(), "input", provenance=True)
        files = emitted(request, [OutputTree(row["package"], (), lambda path: ())], (sample_signer(),))
        envelope = json.loads(files[f"{row['subject']}.intoto.jsonl"])
        statement = json.loads(b64decode(envelope["payload"]))
        digest = hashlib.sha256(files[row["subject"]]).hexdigest()
        good = (
            statement["_type"] == "https://in-toto.io/Statement/v1"
            and statement["predicateType"] == "https://slsa.dev/provenance/v1"
            and [(item["name"], item["digest"]) for item in statement["subject"]] == [(row["subject"], {"sha256": digest})]
        )
        yield _outcome("tables/slsa.json", row["name"], "" if good else json.dumps(statement)[:400])


def attributes(folder: Path) -> Iterable[Outcome]:
    """`tables/tar-xattr.json`: extended attributes of files and directories."""
    for number, row in enumerate(_rows(folder, "tables/tar-xattr.json")):
        contents = {item["path"]: item.get("content", "").encode() for item in row["entries"]}
        entries = tuple(_entry(item, len(contents[item["path"]])) for item in row["entries"])
        request = request_for(b'{"package": {"name": "a", "version": "1"}}', "input")
        files = emitted(request, [OutputTree("a", entries, lambda path, contents=contents: (contents[path],))])  # type: ignore[misc]
        found = {item.entry.path: item.entry for item in read_package(BytesIO(files["a-1-r0.apk"])).entries}
        wrong = [item["name"] for item in row["want"] if _records(found[item["name"]]) != item["pax"]]
        yield _outcome("tables/tar-xattr.json", str(number), f"{wrong}" if wrong else "")


def _entry(row: Row, size: int) -> Entry:
    xattrs = tuple(sorted((name, value.encode()) for name, value in row.get("xattr", {}).items()))
    kind = EntryType.DIRECTORY if row["type"] == "dir" else EntryType.FILE
    return Entry(row["path"], kind, int(row["mode"], 8), size=size, xattrs=xattrs)


def _records(entry: Entry) -> dict[str, str]:
    return {f"SCHILY.xattr.{name}": value.decode() for name, value in entry.xattrs}


def _suite(name: str, file: str, run: Callable[[Path], Iterable[Outcome]]) -> Suite:
    return Suite(f"melange/{name}", lambda folder: recognise(folder) and (folder / file).exists(), run)


def suites() -> Iterator[Suite]:
    yield _suite("sbom", "sbom/cases.json", bills)
    yield _suite("pkginfo", "tables/pkginfo.json", control_texts)
    yield _suite("index-entry", "tables/index-entry.json", index_records)
    yield _suite("slsa", "tables/slsa.json", provenance)
    yield _suite("tar-xattr", "tables/tar-xattr.json", attributes)


SUITES = tuple(suites())
