"""Builds of melange, done again: the fixtures of `melange-runs` built for real, and its packages compared (README there).

Not compared, as the README says: sizes and hashes of sections, comments, namespaces of bills of materials, printed scripts.
What the peer is known to do wrong is listed in `known.toml`, case by case.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Difference, Outcome, Suite, judged
from tests.conformance.suites.commands import Answer, run_command, run_judged
from tests.conformance.suites.melange_ways import OwnEntry, Recording

_SBOM = "var/lib/db/sbom"
_TYPES = {"FILE": "file", "DIRECTORY": "dir", "SYMLINK": "symlink", "HARDLINK": "hardlink"}
_INFORMATION = (
    *("pkgname", "pkgver", "arch", "origin", "pkgdesc", "url", "commit", "maintainer", "builddate", "license", "depend"),
    *("provides", "replaces", "provider_priority", "replaces_priority", "triggers"),
)
_OURS = frozenset(
    (
        *("setcap-missing-file", "file-conflict", "dangling-symlink", "rpath", "missing-needed", "owner", "build-path"),
        *("shebang-missing", "scriptlet-syntax", "world-readable-secrets", "empty-dir-perms", "case-collision"),
    )
)
"""Linters that the peer has not."""
_INDEX = "PVATUoLmtcDprki"
_LISTED = {"D": "depend", "p": "provides", "r": "replaces"}
_NO_PARENTHESES = str.maketrans("", "", "()")
_ELSEWHERE = "melange-runs is built with bubblewrap on x86-64 Linux"


def is_runs(folder: Path) -> bool:
    """Folder `melange-runs` with its README and manifest, and cases that were built."""
    return folder.name == "melange-runs" and (folder / "manifest.json").exists() and (folder / "cases").is_dir()


def builds(folder: Path) -> Iterable[Outcome]:
    """Every case of the manifest."""
    import os

    from tests.build_workshop import make_fixture

    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["cases"]
    if shutil.which("bwrap") is None or os.uname().machine != "x86_64":
        yield from (Outcome(SKIPPED, "manifest.json", row["name"], _ELSEWHERE, "result") for row in rows)
        return
    with tempfile.TemporaryDirectory(prefix="apkiln-builds-") as place:
        work = Path(place)
        work.chmod(0o755)
        fixture = make_fixture(work / "fixture")
        _copy_sources(folder / "src", work / "src")
        common = (
            *("--arch", "x86_64", "-r", str(fixture.directory), "-k", str(fixture.key), "--out-dir", "out"),
            *("--signing-key", str(fixture.signing_key), "--cache-dir", str(work / "sources")),
            *("--source-dir", str(work / "src"), "--namespace", "fixture", "--git-commit", "1" * 40),
            *("--git-repo-url", "https://example.org/fixtures", "--persist-lint-results"),
        )
        for row in rows:
            yield from _case(row, folder / "cases" / row["name"], work, common)


def _case(row: Mapping[str, Any], case: Path, work: Path, common: tuple[str, ...]) -> Iterator[Outcome]:
    name = row["name"]
    directory = work / name
    directory.mkdir()
    shutil.copy(case / f"{name}.yaml", directory)
    environment = {"APKILN_CACHE": str(work / "cache"), **row["env"]}
    answer = run_judged(["melange", "build", f"{name}.yaml", *common, *row["args"]], directory, environment)
    facts = json.loads((case / "facts.json").read_text(encoding="utf-8"))
    recording = Recording.of(row, (case / f"{name}.yaml").read_text(encoding="utf-8"), _text_of(case / "log.txt"))
    scores = dict(_scores(recording, answer, facts, directory / "out"))
    yield from (_judged(name, score, found) for score, found in scores.items())
    if len(scores) > 1:
        shutil.rmtree(directory)


def differences_of(recording: Recording, answer: Answer, facts: Mapping[str, Any], output: Path) -> Iterator[Difference]:
    """All that differs between a build of ours and the facts of one by melange."""
    return (found for _, differences in _scores(recording, answer, facts, output) for found in differences)


def _scores(
    recording: Recording, answer: Answer, facts: Mapping[str, Any], output: Path
) -> Iterator[tuple[str, list[Difference]]]:
    wrong = _result(recording.row, answer, output)
    yield "result", [Difference(wrong, _why(recording, answer))] if wrong else []
    if wrong or answer.code or not recording.row["packages"]:
        return
    packages = {package["file"]: package for package in facts["packages"]}
    ours = {file: _read(output / "x86_64" / file) for file in packages}
    for score, compare in (("information", _information), ("files", _files), ("scripts", _scripts), ("bills", _bills)):
        yield score, [found.at(file) for file, fact in packages.items() for found in compare(fact, ours[file], recording)]
    yield "index", list(_index(facts, output / "x86_64/APKINDEX.tar.gz", recording, ours.values()))
    yield "lint", list(_lint(facts, output, recording))


def _judged(name: str, score: str, differences: Iterable[Difference]) -> Outcome:
    return judged(f"cases/{name}/facts.json", name, score, differences)


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _why(recording: Recording, answer: Answer) -> str:
    """The cause of another result than the recorded one."""
    return recording.of_refusal(answer) if answer.code and not recording.row["rc"] else recording.of_acceptance()


def _copy_sources(source: Path, target: Path) -> None:
    """With modes as a checkout has them: the corpus may be kept read-only."""
    target.mkdir()
    for path in source.iterdir():
        shutil.copy(path, target)
        (target / path.name).chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _result(row: Mapping[str, Any], answer: Answer, output: Path) -> str:
    if bool(answer.code) != bool(row["rc"]):
        return f"exit code {answer.code}, recorded is {row['rc']}: {answer.first_error}"
    if answer.code:
        return f"a fault of ours: {answer.errors[-500:]}" if answer.code == 70 else ""
    found = sorted(path.name for path in output.glob("*/*.apk")) if output.exists() else []
    return "" if found == sorted(row["packages"]) else f"built {found}, recorded is {sorted(row['packages'])}"


class _Package:
    """One of ours, read completely."""

    def __init__(self, data: bytes) -> None:
        from apkiln.core.limits import DEFAULT_LIMITS
        from apkiln.formats.apk.package import read_package
        from apkiln.formats.apk.pkginfo import write
        from apkiln.formats.gzip import GzipMembers  # noqa: F401

        self.bills: dict[str, bytearray] = {}
        self._open: bytearray | None = None
        self._heads: dict[str, bytes] = {}
        self._path = ""
        self.contents = read_package(BytesIO(data), DEFAULT_LIMITS, sink=self)
        self.information = write(self.contents.info).decode()

    def entry(self, entry: Any) -> None:
        self._open = self.bills.setdefault(entry.path, bytearray()) if entry.path.startswith(f"{_SBOM}/") else None
        self._path = entry.path

    def content(self, chunk: bytes) -> None:
        if self._open is not None:
            self._open += chunk
        if len(self._heads.get(self._path, b"")) < 64:
            self._heads[self._path] = self._heads.get(self._path, b"") + chunk[:64]

    @property
    def damaged(self) -> frozenset[str]:
        """Names of files that begin as ELF and are too short to be."""
        return frozenset(
            path.rpartition("/")[2] for path, head in self._heads.items() if head.startswith(b"\x7fELF") and len(head) < 52
        )


def _read(path: Path) -> _Package:
    return _Package(path.read_bytes())


def _lines(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition(" = ")
        if equals and not line.startswith("#") and value.strip() and key in _INFORMATION:
            found.setdefault(key, []).append(value.strip())
    return found


def _information(fact: Mapping[str, Any], package: _Package, recording: Recording) -> Iterator[Difference]:
    recorded, got = _lines(fact["pkginfo"]), _lines(package.information)
    one, two = ([f"{key} = {value}" for key, values in side.items() for value in values] for side in (recorded, got))
    return recording.of_relations(one, two, package.damaged)


def _files(fact: Mapping[str, Any], package: _Package, recording: Recording) -> Iterator[Difference]:
    (data,) = (member for member in fact["members"] if member["role"] == "data")
    recorded = {entry["path"]: _recorded_entry(entry) for entry in data["entries"]}
    got = {item.entry.path: _own_entry(item) for item in package.contents.entries}
    for path in sorted(recorded.keys() | got.keys()):
        one, two = recorded.get(path), got.get(path)
        if one != two:
            cause = recording.of_entry(package.contents.info.name, one, two, got.get(two[5]) if two is not None else None)
            yield Difference(f"{path}: recorded {str(one)[:300]}, got {str(two)[:300]}", cause)


def _recorded_entry(entry: Mapping[str, Any]) -> OwnEntry:
    pax = {key.removeprefix("SCHILY.xattr."): value for key, value in entry.get("pax", {}).items() if "xattr" in key}
    content = "" if entry["path"].startswith(f"{_SBOM}/") else entry.get("sha256", "")
    owner = (entry["uid"], entry["gid"])
    return (entry["type"], entry["mode"], *owner, entry["mtime"], entry.get("linkname", ""), content, tuple(sorted(pax.items())))


def _own_entry(item: Any) -> OwnEntry:
    entry = item.entry
    content = "" if entry.path.startswith(f"{_SBOM}/") or not item.sha256 else item.sha256.hex()
    xattrs = tuple((name, _text(value)) for name, value in entry.xattrs)
    kind = _TYPES.get(entry.type.name, entry.type.name)
    return (kind, f"{entry.mode:04o}", entry.uid, entry.gid, entry.mtime, entry.target, content, xattrs)


def _text(value: bytes) -> str:
    import base64

    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
    return text if text.isprintable() else "base64:" + base64.b64encode(value).decode()


def _scripts(fact: Mapping[str, Any], package: _Package, recording: Recording) -> Iterator[Difference]:
    recorded = {name.lstrip("."): text for name, text in fact["control_files"].items() if name != ".melange.yaml"}
    return _differences(recorded, {name: text.decode() for name, text in package.contents.scripts})


def _bills(fact: Mapping[str, Any], package: _Package, recording: Recording) -> Iterator[Difference]:
    recorded = {path: _bill(value) for path, value in (fact.get("sbom") or {}).items()}
    return _differences(recorded, {path: _bill(json.loads(text)) for path, text in package.bills.items() if text})


def _bill(document: Mapping[str, Any]) -> Any:
    packages = document.get("packages", ())
    names = {row["SPDXID"]: (row["name"], row.get("versionInfo", "")) for row in packages}
    listed = sorted(
        # Alternatives among several licences get parentheses here; the peer joins without, which says something else.
        (*names[row["SPDXID"]], row.get("licenseDeclared", "").translate(_NO_PARENTHESES), row.get("licenseConcluded", ""))
        for row in packages
    )
    relations = sorted(
        (names.get(row["spdxElementId"], ("?",))[0], row["relationshipType"], names.get(row["relatedSpdxElement"], ("?",))[0])
        for row in document.get("relationships", ())
        if row["spdxElementId"] in names and row["relatedSpdxElement"] in names
    )
    return listed, relations


def _index(facts: Mapping[str, Any], path: Path, recording: Recording, packages: Iterable[_Package]) -> Iterator[Difference]:
    from apkiln.formats.apk.index import read_index

    recorded, got = _records(facts["index"]), _records(read_index(path.read_bytes()).text.decode())
    damaged = frozenset(name for package in packages for name in package.damaged)
    for name in sorted(recorded.keys() | got.keys()):
        one, two = (_listed(side.get(name, {})) for side in (recorded, got))
        yield from (found.at(name) for found in recording.of_relations(one, two, damaged))


def _listed(fields: Mapping[str, list[str]]) -> list[str]:
    return [f"{_LISTED.get(letter, letter)} = {item}" for letter, items in fields.items() for item in items]


def _records(text: Any) -> dict[str, dict[str, list[str]]]:
    found = {}
    for block in (text.decode() if isinstance(text, bytes) else text).strip().split("\n\n"):
        fields = {line[0]: sorted(line[2:].split()) for line in block.splitlines() if line[0] in _INDEX and line[2:].strip()}
        fields.pop("t", None) if fields.get("t") == ["0"] else None
        found[" ".join(fields.get("P", ()))] = fields
    return found


def _lint(facts: Mapping[str, Any], directory: Path, recording: Recording) -> Iterator[Difference]:
    recorded = {name: _findings(value) for name, value in (facts.get("lint") or {}).items()}
    got = {path.name: _findings(json.loads(path.read_text())) for path in directory.rglob("lint-*.json")}
    for name in sorted(recorded.keys() | got.keys()):
        one, two = recorded.get(name, {}), got.get(name, {})
        for linter in sorted(one.keys() | two.keys()):
            if not one.get(linter) and linter in one and linter in two:
                continue  # the peer names no paths for some of its linters
            if one.get(linter) != two.get(linter):
                text = f"{name}: {linter}: recorded {str(one.get(linter))[:300]}, got {str(two.get(linter))[:300]}"
                yield Difference(text, recording.of_finding(linter, one.get(linter), two.get(linter)))


def _findings(value: Mapping[str, Any]) -> dict[str, Any]:
    """Linter → paths, of the linters that the peer has too."""
    rows = {name: found for name, found in (value.get("findings") or {}).items() if name not in _OURS}
    return {
        name: sorted(path for row in found for path in (row.get("details") or {}).get("paths", ()))
        for name, found in rows.items()
    }


def _differences(recorded: Mapping[Any, Any], got: Mapping[Any, Any]) -> Iterator[Difference]:
    for key in sorted(recorded.keys() | got.keys(), key=str):
        if recorded.get(key) != got.get(key):
            yield Difference(f"{key}: recorded {str(recorded.get(key))[:300]}, got {str(got.get(key))[:300]}")


def _different(recorded: Mapping[Any, Any], got: Mapping[Any, Any]) -> str:
    """The first difference."""
    return next((found.text for found in _differences(recorded, got)), "")


def tests(folder: Path) -> Iterable[Outcome]:
    """The definition of `test-command`: built, then tested."""
    import os

    expected = json.loads((folder / "test-command/expect.json").read_text(encoding="utf-8"))
    if shutil.which("bwrap") is None or os.uname().machine != "x86_64":
        yield Outcome(SKIPPED, "test-command/expect.json", "tp", _ELSEWHERE)
        return
    from tests.build_workshop import make_fixture

    with tempfile.TemporaryDirectory(prefix="apkiln-tests-") as place:
        work = Path(place)
        work.chmod(0o755)
        fixture = make_fixture(work / "fixture")
        shutil.copy(folder / "test-command/tp.yaml", work)
        environment = {"APKILN_CACHE": str(work / "cache")}
        keys = ("-k", str(fixture.key), "--arch", "x86_64")
        build = ("melange", "build", "tp.yaml", "-r", str(fixture.directory), *keys, "--signing-key", str(fixture.signing_key))
        built = run_command([*build, "--empty-workspace"], work, environment)
        test = ("melange", "test", "tp.yaml", "-r", str(fixture.directory), "-r", "packages", *keys, "--report", "report.json")
        answer = run_command(test, work, environment)
        wrong = "" if not built.code and bool(answer.code) == bool(expected["rc"]) else built.errors + answer.errors
        if not wrong:
            report = json.loads((work / "report.json").read_text())
            found = {row["package"]: (row["verdict"], "tp=1.0-r0" in row["packages"]) for row in report["tests"]}
            right = {"tp": ("passed", True), "tp-sub": ("failed", False)}
            wrong = _different(right, found) or ("" if "exit code 3" in answer.errors else "the exit code is not told")
    yield Outcome(FAILED if wrong else PASSED, "test-command/expect.json", "tp", wrong)


def has_tests(folder: Path) -> bool:
    """Folder `melange-runs` with the recorded run of a test."""
    return is_runs(folder) and (folder / "test-command/expect.json").exists()


SUITES = (Suite("melange-runs/build", is_runs, builds), Suite("melange-runs/test", has_tests, tests))
