"""Images that the peer built, built again: the golden image of `apko`, and the build part of `apko-runs`.

Scores of `apko-runs`: `build` (the image equals the recorded one, see `image_trees`), `refuse` (what the peer refuses is
refused), `packages` (the set of packages; apk-tools judges where it disagrees with the peer), `formats` (listings),
`bills` (bills of materials), `exports` (the tree as minirootfs and cpio).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, SKIPPED, Difference, Outcome, Suite, judged
from tests.conformance.suites.commands import Answer, run_command, run_judged
from tests.conformance.suites.image_trees import (
    BuiltImage,
    Owners,
    Tree,
    compare_configurations,
    compare_indexes,
    compare_trees,
    database_of,
    installed,
    installed_versions,
)
from tests.conformance.suites.peer_ways import Recording, triggered_names
from tests.conformance.suites.tree_exports import compare_exports

_APK_ARCH = {"amd64": "x86_64", "arm64": "aarch64", "386": "x86"}
_BUG = 70


def is_golden(folder: Path) -> bool:
    return folder.name == "apko" and (folder / "cli" / "testdata" / "golden" / "index.json").exists()


def is_runs(folder: Path) -> bool:
    return folder.name == "apko-runs" and (folder / "manifest.json").exists() and (folder / "cases").is_dir()


# --- apko-golden -------------------------------------------------------------------------------------------------------


def run_golden(folder: Path) -> Iterator[Outcome]:
    """One case a platform and one for the index."""
    directory, file = folder / "cli", "cli/testdata/golden"
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary, "out")
        flags = ["--annotations", "org.opencontainers.image.vendor:Vendor,org.opencontainers.image.title:Title"]
        words = ["image", "build", "testdata/apko.yaml", "golden:latest", str(output), "--vcs=false", *flags]
        answer = run_command([*words, "--cache-dir", f"{temporary}/cache"], directory, {"SOURCE_DATE_EPOCH": "0"})
        if answer.code:
            yield Outcome(FAILED, file, "build", answer.first_error)
            return
        ours, theirs = BuiltImage(output), BuiltImage(folder / file)
        yield judged(file, "index", "", compare_indexes(ours.index, theirs.index))
        for platform in theirs.platforms:
            faults = [*_compare_golden(ours, theirs, platform)]
            yield judged(file, platform, "", faults)


def _compare_golden(ours: BuiltImage, theirs: BuiltImage, platform: str) -> Iterator[Difference]:
    if platform not in ours.platforms:
        yield Difference("the platform is missing")
        return
    recorded = theirs.tree(platform)
    for entry in recorded.values():
        if "content" in entry:
            entry["text"] = entry["content"].decode(errors="replace")
            entry["hex"] = entry["content"].hex()
    tree = ours.tree(platform)
    yield from compare_trees(tree, recorded, _owners_of_database(database_of(recorded)), _APK_ARCH.get(platform, platform))
    if installed(database_of(tree)) != installed(database_of(recorded)):
        yield Difference("other packages are installed")
    yield from compare_configurations(ours.configuration(platform), theirs.configuration(platform))


def _owners_of_database(text: str) -> Owners:
    """Modes and ids as the recorded database has them: what the packages say."""
    owners: dict[str, list[dict[str, Any]]] = {}
    directory = name = ""
    for line in text.splitlines():
        letter, _, value = line.partition(":")
        if letter == "F":
            directory = value
        elif letter == "R":
            name = value
        elif letter in ("a", "M") and len(value.split(":")) >= 3:
            uid, gid, mode = value.split(":")[:3]
            path = directory if letter == "M" else f"{directory}/{name}".lstrip("/")
            owners.setdefault(path, []).append({"uid": int(uid), "gid": int(gid), "mode": f"{int(mode, 8):04o}"})
    return owners


# --- apko-runs ---------------------------------------------------------------------------------------------------------


def run_recorded(folder: Path) -> Iterator[Outcome]:
    """All cases, each with a fresh cache of its own kind: one cache for the whole run, as a user would have."""
    manifest = json.loads((folder / "manifest.json").read_text())
    owners, triggered = package_entries(folder), triggered_names(folder)
    with tempfile.TemporaryDirectory() as temporary:
        for case in manifest["cases"]:
            yield from _run_case(Recording(folder, case, owners, triggered), Path(temporary))


def package_entries(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """`name-version` to the entries of the package's data section."""
    packages = json.loads((folder / "packages.json").read_text())["packages"]
    return {Path(package["file"]).name.removesuffix(".apk"): package["entries"] for package in packages}


def _run_case(recording: Recording, temporary: Path) -> Iterator[Outcome]:
    folder, case = recording.folder, recording.case
    file, name = case["config"], case["name"]
    output = temporary / name
    cache = ["--cache-dir", str(temporary / "cache")]
    words = ["image", "build", case["config"], case["tag"], str(output), "--vcs=false", *case["args"], *cache]
    answer = run_judged(words, folder, case["env"])
    if case["expect_failure"]:
        words[4] = f"{output}-strict"
        yield judged(file, name, "refuse", _refusal(recording, answer, output, words))
    elif answer.code:
        yield judged(file, name, "build", [Difference(answer.first_error, recording.of_refusal(answer))])
    else:
        yield from _compare_case(recording, BuiltImage(output), output)
    yield from _formats(folder, case, temporary)
    for name, differences in compare_exports(recording, temporary):
        yield judged(file, f"{case['name']} {name}", "exports", differences)


def _refusal(recording: Recording, answer: Answer, output: Path, words: list[str]) -> Iterator[Difference]:
    if answer.code >= _BUG:
        yield Difference(f"exit code {answer.code}: {answer.first_error}")
    elif answer.code == 0:
        image = BuiltImage(output)
        found = installed(database_of(image.tree(next(iter(image.platforms)))))
        if not recording.is_right_to_build(found, words):
            yield Difference("built, although the peer refuses", recording.of_success())


def _compare_bills(theirs: Path, ours: Path, image: BuiltImage) -> Iterator[str]:
    """Ours lists what is installed, the peer's only packages that bring a document; both tell of the same ones alike."""
    arch = ours.name.removeprefix("sbom-").removesuffix(".spdx.json")
    platform = next((name for name in image.platforms if _APK_ARCH.get(name, name) == arch), "")
    found, said = _listed(ours), _listed(theirs)
    wanted = set(installed(database_of(image.tree(platform)))) if platform else set()
    if found.keys() != wanted:
        yield f"{ours.name} lists {sorted(found.keys() ^ wanted)} otherwise than the image"
    for name in sorted(said.keys() & wanted):
        if said[name] not in ("", "NOASSERTION", found.get(name)):
            yield f"{name} has the licence {found.get(name)!r}, not {said[name]!r}"


def _listed(path: Path) -> dict[str, str]:
    """`name-version` of each apk package, with its licence."""
    document = json.loads(path.read_text())
    return {
        f"{item['name']}-{item['versionInfo']}": str(item.get("licenseDeclared", ""))
        for item in document["packages"]
        if any(ref.get("referenceLocator", "").startswith("pkg:apk/") for ref in item.get("externalRefs", ()))
    }


def _compare_case(recording: Recording, ours: BuiltImage, output: Path) -> Iterator[Outcome]:
    case, expect, file = recording.case, recording.expect, recording.case["config"]
    if not (expect / "index.json").exists():
        yield Outcome(SKIPPED, file, case["name"], "no image is recorded", "build")
        return
    faults: list[Difference] = []
    sets: list[Difference] = []
    differs = False
    for platform in sorted({path.stem.split("-")[1] for path in expect.glob("layer-*-*.json")}):
        if platform not in ours.platforms:
            faults.append(Difference(f"{platform} is missing"))
            continue
        theirs = json.loads((expect / f"config-{platform}.json").read_text())
        faults += compare_configurations(ours.configuration(platform), theirs, recording)
        recorded = recorded_tree(expect, platform)
        if not recorded:
            continue
        tree = ours.tree(platform)
        found, wanted = installed(database_of(tree)), _wanted_packages(recording, recorded, database_of(tree))
        if found != wanted:
            names = [{item.rsplit("-", 2)[0] for item in side} for side in (found, wanted)]
            text = f"{platform}: {sorted(set(found) ^ set(wanted))}"
            sets.append(Difference(text, recording.of_sets(*names)))
        if found != installed(database_of(recorded)) or not recording.is_stable:
            differs = True
        else:
            said = owners_in({name: recording.packages[name] for name in found if name in recording.packages})
            differences = compare_trees(tree, recorded, said, _APK_ARCH[platform], recording)
            faults += [difference.at(platform) for difference in differences]
    faults += compare_indexes(ours.index, json.loads((expect / "index.json").read_text()), recording)
    yield judged(file, case["name"], "build", faults)
    yield judged(file, case["name"], "packages", sets)
    for bill in sorted(expect.glob("sbom-*.spdx.json")):
        if bill.name != "sbom-index.spdx.json" and (output / bill.name).exists():
            yield judged(
                file, f"{case['name']} {bill.name}", "bills", map(Difference, _compare_bills(bill, output / bill.name, ours))
            )
    for platform in ours.platforms if not differs else ():
        if len(list(expect.glob(f"layer-{platform}-*.json"))) > 1:
            differing = _compare_layers(recording, platform, ours)
            yield judged(
                file, f"{case['name']} {platform}", "layers", [Difference(text, recording.of_layers()) for text in differing]
            )


def _compare_layers(recording: Recording, platform: str, ours: BuiltImage) -> Iterator[str]:
    """Which files share a layer, and in which order the layers lie; the top layer holds what is left.

    What a rule changes in a package's file lies in our top layer, so that the package's layer is the same in all images.
    """
    files = sorted(recording.expect.glob(f"layer-{platform}-*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))
    theirs, layers = [json.loads(path.read_text())["entries"] for path in files], ours.layers(platform)
    recorded = [{entry["path"] for entry in layer if entry["type"] != "dir"} for layer in theirs]
    found = [{entry["path"] for entry in layer if entry["type"] != "dir"} for layer in layers]
    for number, (own, other) in enumerate(zip(layers, theirs, strict=False)):
        listed = [installed(database_of({entry["path"]: entry for entry in side})) for side in (own, other)]
        if listed[0] != listed[1]:
            yield f"the database of layer {number} lists {', '.join(listed[0])}, not {', '.join(listed[1])}"
    if len(found) != len(recorded):
        yield f"{len(found)} layers, not {len(recorded)}"
    changed = _changed(layers[-1], recording)
    for number, (left, right) in enumerate(zip(found[:-1], recorded[:-1], strict=False)):
        difference = {path for path in left ^ right if not path.startswith("usr/lib/apk/db/")} - changed
        if difference:
            yield f"layer {number} differs in {', '.join(sorted(difference)[:3])}"


def _changed(top: list[dict[str, Any]], recording: Recording) -> set[str]:
    """Paths of a layer that packages ship otherwise, or not at all."""
    shipped = owners_in(dict(recording.packages))
    keys = ("sha256", "mode", "uid", "gid")
    return {
        entry["path"]
        for entry in top
        if entry["path"] not in shipped
        or all([entry.get(key) for key in keys] != [row.get(key) for key in keys] for row in shipped[entry["path"]])
    }


def recorded_tree(expect: Path, platform: str) -> Tree:
    """The union of the recorded layers."""
    layers = sorted(expect.glob(f"layer-{platform}-*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))
    return {entry["path"]: {"linkname": "", **entry} for layer in layers for entry in json.loads(layer.read_text())["entries"]}


def _wanted_packages(recording: Recording, recorded: Tree, database: str) -> list[str]:
    right = recording.tools_packages(installed_versions(database))
    return installed(database_of(recorded)) if right is None else sorted(f"{name}-{version}" for name, version in right)


def owners_in(packages: Owners) -> Owners:
    """Path to what each of the packages says of it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entries in packages.values():
        for entry in entries:
            found.setdefault(entry["path"], []).append(entry)
    return found


def _formats(folder: Path, case: Mapping[str, Any], temporary: Path) -> Iterator[Outcome]:
    for form, wanted in case.get("formats", {}).items():
        words = ["image", "packages", case["config"], "--format", form, "--cache-dir", str(temporary / "cache")]
        answer = run_command(words, folder, case["env"])
        good = answer.code == wanted["rc"] and answer.output == wanted["stdout"]
        cause = "format-without-field" if f"`{form}` is no format" in answer.errors and "{{" not in form else ""
        faults = [] if good else [Difference(f"exit code {answer.code}: {answer.output!r}", cause)]
        yield judged(case["config"], f"{case['name']} {form}", "formats", faults)


SUITES = (
    Suite("apko-golden", is_golden, run_golden),
    Suite("apko-runs", is_runs, run_recorded),
)
