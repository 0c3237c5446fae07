"""Image definitions: apko's tables and examples, what apko printed for its own runs, and the locked catalogue definitions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Difference, Outcome, Suite, judged
from tests.conformance.suites.apko_tables import Row, recognise, table
from tests.conformance.suites.image_trees import without_repetitions
from tests.conformance.suites.peer_ways import READ_STRICTLY

from apkiln.core.arch import KNOWN, parse_architectures
from apkiln.core.errors import ApkilnError, FaultCollector, FaultGroup
from apkiln.formats.yamlnode.compose import compose
from apkiln.image.configuration.loading import LoadedConfiguration, load_configuration
from apkiln.image.configuration.merge import Remarks, merged
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.configuration.reading import read_configuration
from apkiln.image.configuration.rendering import completed, document, render_yaml
from apkiln.image.documents import environment

ANY_REPOSITORY = {"contents": {"repositories": ["https://packages.example.com/os"]}}


def read(content: bytes) -> ImageConfiguration:
    """One document by itself; its faults are raised."""
    faults = FaultCollector.empty()
    found = read_configuration(compose(content, "input", faults), faults, [])
    faults.raise_if_any()
    return found


def of_value(value: Row) -> ImageConfiguration:
    return read(json.dumps(value).encode())


def faults_of(content: bytes) -> list[ApkilnError]:
    try:
        load_configuration("input", {"input": content}.get)
    except FaultGroup as group:
        return list(group.faults)
    except ApkilnError as fault:
        return [fault]
    return []


def load_from(folder: Path, path: str, *, strict: bool = False) -> LoadedConfiguration:
    """A definition with its includes, paths relative to `folder`."""

    def read_file(name: str) -> bytes | None:
        place = folder / name
        return place.read_bytes() if place.is_file() else None

    return load_configuration(path, read_file, strict=strict)


def _merge(row: Row, _: Row) -> str:
    remarks = Remarks(FaultCollector.empty(), [])
    got = merged(of_value(row["source"]), of_value(row["target"]), remarks)
    return "" if got == of_value(row["want"]) else f"merged to {got}"


def _validate(row: Row, _: Row) -> str:
    config = ANY_REPOSITORY | row["config"]
    config["contents"] = ANY_REPOSITORY["contents"] | row["config"].get("contents", {})
    found = faults_of(json.dumps(config).encode())
    if bool(found) != (row["error"] is not None):
        return f"faults {[str(fault) for fault in found]}, wanted {row['error']}"
    unplaced = [fault for fault in found if not fault.origin.line]
    return "a fault without its place" if unplaced else ""


def _architectures(row: Row, _: Row) -> str:
    got = [arch.apk for arch in parse_architectures(row["in"])]
    wanted = [arch.apk for arch in KNOWN] if isinstance(row["want_apk"], str) else row["want_apk"]
    return "" if got == wanted else f"got {got}"


def _accounts(row: Row, _: Row) -> str:
    faults = FaultCollector.empty()
    user = read_configuration(compose(row["yaml"].encode(), "input", faults), faults, []).accounts.users[0]
    return "" if (user.uid, user.gid) == (row["uid"], row["gid"]) else f"got {user.uid}:{user.gid}"


def _environment(row: Row, _: Row) -> str:
    got = list(environment(of_value(row["config"]).environment))
    return "" if got == row["want"]["env"] else f"got {got}"


def overlays(folder: Path) -> Iterable[Outcome]:
    """`tables/config-overlay.json`: files below `types/testdata`."""
    file = "tables/config-overlay.json"
    for row in json.loads((folder / file).read_text(encoding="utf-8"))["cases"]:
        place = f"testdata/overlay/{row['file']}" if "contents" in row else f"testdata/{row['file']}"
        wrong = ""
        try:
            found = completed(load_from(folder / "types", place).configuration)
            wrong = _overlay_difference(found, row)
        except ApkilnError as fault:
            wrong = str(fault)
        yield Outcome(FAILED if wrong else PASSED, file, row["name"], wrong)


def _overlay_difference(found: ImageConfiguration, row: Row) -> str:
    contents = found.contents
    got: Row = {
        "build_repositories": [entry.text for entry in contents.build_repositories],
        "runtime_repositories": [entry.text for entry in contents.runtime_repositories],
        "repositories": [entry.text for entry in contents.repositories],
        "keyring": [entry.location for entry in contents.keyring],
        "packages": [request.text for request in contents.packages],
    }
    for key, wanted in row.get("contents", {}).items():
        if sorted(got[key]) != sorted(wanted):
            return f"{key}: {got[key]}"
    users = [{"username": user.username, "homedir": user.homedir} for user in found.accounts.users]
    return f"users: {users}" if "users" in row and users != row["users"] else ""


def examples(folder: Path) -> Iterable[Outcome]:
    """Every example loads, and is the same when it is printed and read again."""
    for path in sorted((folder / "examples").rglob("*.yaml")):
        name = path.relative_to(folder).as_posix()
        yield _loads(folder, name, name)


def _loads(folder: Path, path: str, case: str) -> Outcome:
    try:
        found = completed(load_from(folder, path).configuration)
        again = read(render_yaml(found).encode())
    except ApkilnError as fault:
        return Outcome(FAILED, path, case, str(fault))
    wrong = "" if _same(again, found) else "changes when printed and read again"
    return Outcome(FAILED if wrong else PASSED, path, case, wrong)


def _same(one: ImageConfiguration, other: ImageConfiguration) -> bool:
    return _comparable(one) == _comparable(other)


def _comparable(found: ImageConfiguration) -> dict[str, Any]:
    """What is shown, without what differs on purpose: passwords, permissions that are absent, packages named twice."""
    shown: dict[str, Any] = without_repetitions(document(found))
    contents = shown.get("contents", {})
    contents["packages"] = list(dict.fromkeys(map(str, contents.get("packages", ()))))
    layering = shown.get("layering", {})
    if not layering.get("budget"):
        layering.pop("budget", None)  # 0 is not printed by the peer
    for mutation in shown.get("paths", ()):
        mutation.setdefault("permissions", 0)
    return shown


def is_runs(folder: Path) -> bool:
    """Folder `apko-runs` with its README and cases."""
    return folder.name == "apko-runs" and (folder / "README.md").exists() and (folder / "cases").is_dir()


def shown(folder: Path) -> Iterable[Outcome]:
    """`show-config.yaml` of each case, equal in meaning to what we print."""
    refused = {row["name"] for row in _cases(folder) if row["expect_failure"]}
    for expected in sorted(folder.glob("cases/*/expect/show-config.yaml")):
        case = expected.parents[1].name
        path = f"cases/{case}/apko.yaml"
        try:
            got = read(render_yaml(completed(load_from(folder, path).configuration)).encode())
            wanted = read(expected.read_bytes())
        except ApkilnError as fault:
            # The peer prints it, and fails to build it later or lives with what it does not know.
            known = case in refused or any(text in str(fault) for text in READ_STRICTLY)
            yield judged(path, case, "", [Difference(str(fault), "refused-when-read" if known else "")])
            continue
        # The peer loses the source of an included definition (its defect 11).
        got = got if wanted.vcs_url else got._replace(vcs_url="")
        yield Outcome(PASSED if _same(got, wanted) else FAILED, path, case, "another definition")


def refusals(folder: Path) -> Iterable[Outcome]:
    """Definitions that the peer's show-config refuses are refused here, in strict mode, with a place."""
    for row in _cases(folder):
        if row["results"].get("show-config", {}).get("rc", 0) == 0:
            continue
        try:
            load_from(folder, row["config"], strict=True)
        except ApkilnError as fault:
            verdict = PASSED if fault.origin.source else FAILED
            yield Outcome(verdict, row["config"], row["name"], "no place")
            continue
        told = folder / "cases" / row["name"] / "expect" / "show-config.stderr"
        fetched = ("apk keyring", "must provide at least one repository")
        cause = "keys-not-fetched" if told.exists() and any(text in told.read_text() for text in fetched) else ""
        yield judged(row["config"], row["name"], "", [Difference("accepted", cause)])


def _cases(folder: Path) -> list[Row]:
    rows: list[Row] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["cases"]
    return rows


def checksums(folder: Path) -> Iterable[Outcome]:
    """The checksum of a definition in the lock that was made from it."""
    for lock in sorted(folder.glob("cases/*/expect/lock.json")):
        case, path = lock.parents[1].name, f"cases/{lock.parents[1].name}/apko.yaml"
        wanted = json.loads(lock.read_bytes())["config"]["checksum"]
        try:
            got = load_from(folder, path).checksum
        except ApkilnError as fault:
            yield Outcome(SKIPPED, path, case, f"refused here: {fault.reason}")
            continue
        yield Outcome(PASSED if got == wanted else FAILED, path, case, got)


def is_catalogue(folder: Path) -> bool:
    """Folder `chainguard-images` with its README."""
    return folder.name == "chainguard-images" and (folder / "README.md").exists()


def locked(folder: Path) -> Iterable[Outcome]:
    """Every inner definition loads; architectures of one image name the same packages; printing changes nothing."""
    for path in sorted(folder.glob("*/locked_config.json")):
        file = path.relative_to(folder).as_posix()
        for image, lock in json.loads(path.read_bytes())["imageLocks"].items():
            for kind in ("configs", "devConfigs", "fullConfigs"):
                for case, texts in _entries(lock.get(kind) or {}, f"{image}/{kind}"):
                    yield _locked(file, case, texts)


def _entries(value: Any, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(case, architecture → JSON text), whether the lock has one entry or a list of them."""
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows):
        if row:
            yield f"{name}[{number}]", row


def _locked(file: str, case: str, texts: dict[str, str]) -> Outcome:
    packages: dict[str, frozenset[str]] = {}
    for architecture, text in texts.items():
        content = json.dumps(json.loads(text)["config"]).encode()
        faults = faults_of(content)
        if faults:
            return Outcome(FAILED, file, f"{case}/{architecture}", str(faults[0]))
        found = read(content)
        if read(render_yaml(found).encode()) != found:
            return Outcome(FAILED, file, f"{case}/{architecture}", "changes when printed and read again")
        packages[architecture] = frozenset(request.text for request in found.contents.packages)
    same = packages.get("amd64") == packages.get("arm64")
    return Outcome(PASSED if same else FAILED, file, case, "architectures name different packages")


SUITES = (
    table("config-merge", _merge),
    table("config-validate", _validate),
    table("architectures", _architectures),
    table("accounts", _accounts),
    table("oci-config", _environment),
    Suite("apko/config-overlay", recognise, overlays),
    Suite("apko/examples", recognise, examples),
    Suite("apko-runs/show-config", is_runs, shown),
    Suite("apko-runs/config-refusals", is_runs, refusals),
    Suite("apko-runs/config-checksum", is_runs, checksums),
    Suite("chainguard-images/locked-configs", is_catalogue, locked),
)
