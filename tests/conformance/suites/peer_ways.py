"""Why an image of ours differs from the peer's: the ways of the peer that are not followed, recognised by what they do.

A cause is one word; `known.toml` lists those that are accepted, each with its reason, so that any recording in which the peer
does the same thing is judged alike.  A difference that no rule here explains has no cause and is a failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml
from tests.conformance.suites.commands import Answer, Fault, run_command

Row = dict[str, Any]
Tree = Mapping[str, Row]
_CREATED = "org.opencontainers.image.created"
_SOURCE = frozenset({"org.opencontainers.image.source", "org.opencontainers.image.revision"})
_EARLY = frozenset({"no-packages", "no-repositories"})
READ_STRICTLY = (
    "`entrypoint.type`", "needs `source`", "`entrypoint.services", "is not a mode", "cannot be a user or group name",
    "`annotations`", "must be one line of text",
)  # fmt: skip
"""What faults of definitions say that the peer lives with."""


class Recording(NamedTuple):
    """One case of `apko-runs`, with what explains its differences."""

    folder: Path
    case: Mapping[str, Any]
    packages: Mapping[str, list[Row]]
    """`name-version` → entries of the data section."""
    triggered: frozenset[str] = frozenset()
    """Names of packages with `install_if`, and of what those depend on: the peer misses some of them."""

    @property
    def expect(self) -> Path:
        return self.folder / "cases" / str(self.case["name"]) / "expect"

    @property
    def is_stable(self) -> bool:
        """Whether the peer gave one image every time; otherwise the recorded one is any of several."""
        results: Mapping[str, Any] = self.case["results"]
        return all(row.get("distinct_results", 1) == 1 for row in results.values())

    @property
    def definition(self) -> Row:
        """The definition with what it includes under it; empty where it cannot be read."""
        return _definition(self.folder, self.folder / self.case["config"], 5)

    # --- images ---

    def of_entry(self, path: str, ours: Row | None, theirs: Row | None, database: str) -> str:
        """Of a path that differs between the two trees; `database`: what ours has installed."""
        if ours is None and theirs is not None:
            return "busybox-root" if _is_stray_applet(path, theirs) else ""
        if ours is None or theirs is None:
            return "older-peer" if re.search(r"/\.[^/]*\.sha256$", path) else ""
        if cause := _cause_of_mode(path, ours, theirs, self.definition.get("paths") or []):
            return cause
        owner = owners_in_database(database).get(path, "")
        if owner in self.ambiguous():
            return "repository-order"
        return "install-order" if owner and self._owner_of_tools(path) == owner else ""

    def _owner_of_tools(self, path: str) -> str:
        """`name-version` of the package that apk-tools leaves as the owner of a path that several packages have."""
        verdict = self.expect / "apk-tools.json"
        sharing = [
            name for name in installed_packages(self.expect) if any(row["path"] == path for row in self.packages.get(name, ()))
        ]
        if len(sharing) < 2 or not verdict.exists():
            return ""
        return owners_in_database(json.loads(verdict.read_text()).get("installed", "")).get(path, "")

    def of_document(self, ours: Any, theirs: Any) -> str:
        """Of a part of configuration or index (labels, annotations, `created`)."""
        differing = [(key.rpartition("/")[2], right) for key, left, right in _leaves(ours, theirs, "") if left != right]
        sources = [(name, right) for name, right in differing if name in _SOURCE]
        times = [name for name, _ in differing if name in (_CREATED, "created")]
        if not differing or len(sources) + len(times) < len(differing):
            return ""
        causes = [self._of_source(sources)] * bool(sources) + [self._of_time()] * bool(times)
        return causes[0] if all(causes) else ""

    def _of_source(self, theirs: Iterable[tuple[str, Any]]) -> str:
        """Of source and revision; `theirs`: what the peer says, which may be an annotation of the definition, or nothing."""
        url = str(self.definition.get("vcs-url") or "")
        said = self.definition.get("annotations") or {}
        if url and all(value is None or value == said.get(name) for name, value in theirs):
            return "source-everywhere"
        return "source-with-at" if url.count("@") > 1 else ""

    def _of_time(self) -> str:
        if self.ambiguous():
            return "repository-order"
        if any(re.search(r"[+-]\d\d:\d\d$", word) for word in self.case["args"]):
            return "time-zone"
        if self.case.get("apk_tools_agrees") is False:
            return "other-packages"
        return "epoch-of-index" if "SOURCE_DATE_EPOCH" in self.case["env"] else ""

    def of_solver(self) -> str:
        """Of an answer of the solver which is not the peer's: apk-tools refuses what the peer takes."""
        return "apk-tools-refuses" if self._refusal_of_tools() else ""

    def _refusal_of_tools(self) -> str:
        """What apk-tools says where it finds no packages for the same world."""
        verdict = self.expect / "apk-tools.json"
        answer = json.loads(verdict.read_text()) if verdict.exists() else {"rc": 0}
        return str(answer.get("messages", "refused")) if answer["rc"] else ""

    def of_layers(self) -> str:
        """Of packages that share a layer otherwise."""
        layering = self.definition.get("layering") or {}
        return "default-budget" if layering.get("strategy") == "origin" and not layering.get("budget") else ""

    def of_refusal(self, answer: Answer) -> str:
        """Of a definition or package that the peer accepts and we do not."""
        return _single(map(self._cause_of_fault, answer.faults))

    def _cause_of_fault(self, fault: Fault) -> str:
        if fault.reason == "unsupported-format":
            return "erofs"
        if fault.reason == "no-certificate-bundle":
            return fault.reason
        if fault.reason in ("unsatisfiable", "unknown-tag"):
            return self.of_solver()
        if fault.kind == "ConfigurationError":
            known = fault.reason in _EARLY or any(text in fault.message for text in READ_STRICTLY) or self.case["expect_failure"]
            return "refused-when-read" if known else ""
        if fault.reason == "path-exists":
            types = {entry.get("type") for entry in self.definition.get("paths") or [] if _path(entry) in fault.message}
            return "empty-file-exists" if "empty-file" in types else ""
        if fault.reason == "file-conflict":
            return "equal-content-other-mode" if self._is_same_content(fault.member) else ""
        if fault.reason == "certificate-invalid" and fault.package:
            return "provider-certificate"
        if fault.reason == "lock-mismatch":
            return "lock-compared-whole"
        return "hostile-package" if fault.kind == "FormatError" and fault.source.endswith(".apk") else ""

    def _is_same_content(self, path: str) -> bool:
        """Whether the packages of the image agree on the content of a path, and not on its mode or owner."""
        names = installed_packages(self.expect)
        rows = [entry for name in names for entry in self.packages.get(name, ()) if entry["path"] == path]
        return len(rows) > 1 and len({row.get("sha256") for row in rows}) == 1

    def ambiguous(self) -> frozenset[str]:
        """Packages (`name-version`) that several local repositories of the definition have."""
        contents = self.definition.get("contents") or {}
        named = [*(contents.get("repositories") or ()), *(contents.get("build_repositories") or ())]
        found: dict[str, int] = {}
        for place in {str(text).split()[-1] for text in named}:
            for package in (self.folder / place).glob("*/*.apk"):
                key = f"{package.parent.name}/{package.stem}"
                found[key] = found.get(key, 0) + 1
        return frozenset(key.rpartition("/")[2] for key, count in found.items() if count > 1)

    # --- refusals of the peer ---

    def is_right_to_build(self, installed: Iterable[str], words: list[str]) -> bool:
        """Whether building what the peer refuses is right: apk-tools installs the same set, or it is an extension that
        `--strict-apko` refuses."""
        verdict = self.expect / "apk-tools.json"
        if self.case.get("apk_tools_agrees") is False and verdict.exists():
            answer = json.loads(verdict.read_text())
            return answer["rc"] == 0 and sorted(answer["packages"]) == sorted(installed)
        return bool(run_command([*words, "--strict-apko"], self.folder, self.case["env"]).code)

    def of_success(self) -> str:
        """Of an image of ours where the peer has none."""
        told = (self.expect / "build.stderr").read_text() if (self.expect / "build.stderr").exists() else ""
        if 'nothing provides "!' in told:
            return "exclusion"
        if "unable to select packages" in self._refusal_of_tools():
            return "complete-solution"
        return "links-not-followed" if re.search(r'mutat.*: chmod "[^"]*": file does not exist', told) else ""

    # --- locks ---

    def of_lock_refusal(self, answer: Answer) -> str:
        """Of a lock or list that the peer makes and we do not: it is made of packages that were read completely."""
        if self.case["expect_failure"] and answer.faults and all(fault.source.endswith(".apk") for fault in answer.faults):
            return "hostile-package"
        return self.of_refusal(answer)

    def of_lock_row(self, row: tuple[str, str, str], theirs: Iterable[tuple[str, str, str]]) -> str:
        """Of a package (architecture, name, version) that only one side locks, or that differs."""
        _, name, version = row
        if f"{name}-{version}" in self.ambiguous():
            return "repository-order"
        if name in self.triggered and row not in set(theirs):
            return "install-if"
        if cause := self.of_solver():
            return cause
        return "drift" if len({other[2] for other in theirs if other[1] == name}) > 1 else ""

    def tools_packages(self, ours: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]] | None:
        """(name, version) of what apk-tools installs: where it agrees with the peer's image, too, as lists of the peer may not.

        Of several architectures it was asked for the first only, and nobody compared: there its names count when they are
        ours; versions may be lower, as all architectures must have them.
        """
        verdict = self.expect / "apk-tools.json"
        agrees = self.case.get("apk_tools_agrees")
        if not verdict.exists():
            return None
        answer = json.loads(verdict.read_text())
        if answer["rc"]:
            return None
        split = [name.rsplit("-", 2) for name in answer["packages"]]
        found = frozenset((name, f"{version}-{release}") for name, version, release in split)
        if agrees is not None:
            return found
        own = frozenset(ours)
        return own if {name for name, _ in own} == {name for name, _ in found} else None

    def of_sets(self, ours: Iterable[str], theirs: Iterable[str]) -> str:
        """Of sets of package names."""
        left, right = set(ours), set(theirs)
        return "install-if" if right < left and left - right <= self.triggered else self.of_solver()


def triggered_names(folder: Path) -> frozenset[str]:
    """See `Recording.triggered`."""
    rows = [package["pkginfo"] for package in json.loads((folder / "packages.json").read_text())["packages"]]
    facts = [_control(lines) for lines in rows]
    found = {name for name, needs, install_if in facts if install_if}
    needed = {need for name, needs, _ in facts if name in found for need in needs}
    return frozenset(found | needed)


def _control(lines: Iterable[str]) -> tuple[str, list[str], bool]:
    """Name, names of dependencies, whether it has `install_if`."""
    values = [line.partition(" = ")[::2] for line in lines]
    needs = [re.split("[<>=~@]", value)[0] for key, value in values if key == "depend"]
    return next(value for key, value in values if key == "pkgname"), needs, any(key == "install_if" for key, _ in values)


def installed_packages(expect: Path) -> list[str]:
    """`name-version` of all packages in the recorded image, from its bill of packages or its database."""
    for path in sorted(expect.glob("layer-*.json"), reverse=True):
        for entry in json.loads(path.read_text())["entries"]:
            if entry["path"] == "usr/lib/apk/db/installed":
                return list(dict.fromkeys(_records(entry["text"])))
    return []


def owners_in_database(text: str) -> dict[str, str]:
    """Path of a file → `name-version` of its package."""
    owners: dict[str, str] = {}
    name = version = directory = ""
    for line in text.splitlines():
        letter, _, value = line.partition(":")
        if letter == "P":
            name = value
        elif letter == "V":
            version = value
        elif letter == "F":
            directory = value
        elif letter == "R":
            owners[f"{directory}/{value}".lstrip("/")] = f"{name}-{version}"
    return owners


def _records(text: str) -> Iterator[str]:
    name = ""
    for line in text.splitlines():
        if line.startswith("P:"):
            name = line[2:]
        elif line.startswith("V:"):
            yield f"{name}-{line[2:]}"


def _definition(folder: Path, path: Path, depth: int) -> Row:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    if not isinstance(found, dict):
        return {}
    include = found.get("include")
    if not isinstance(include, str) or not depth:
        return found
    for place in (folder / include, path.parent / include, *folder.glob(f"cases/*/{include}"), *path.parent.glob(f"*/{include}")):
        if place.is_file():
            return _over(_definition(folder, place, depth - 1), found)
    return found


def _over(base: Row, child: Row) -> Row:
    merged = {**base, **child}
    merged["paths"] = [*(base.get("paths") or ()), *(child.get("paths") or ())]
    left, right = base.get("contents") or {}, child.get("contents") or {}
    merged["contents"] = {key: [*_listed(left.get(key)), *_listed(right.get(key))] for key in {*left, *right}}
    return merged


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _path(entry: Row) -> str:
    return str(entry.get("path", "")).strip("/")


def _is_stray_applet(path: str, theirs: Row) -> bool:
    """The peer puts an applet whose place is the root of the tree into `/root`."""
    parent, _, name = path.rpartition("/")
    return parent == "root" and bool(name) and theirs["type"] == "symlink" and theirs["linkname"] == "/bin/busybox"


def _cause_of_mode(path: str, ours: Row, theirs: Row, mutations: Collection[Row]) -> str:
    """The peer gives missing parents the mode of the path, sets modes and owners of what links lead to instead of the links',
    and takes absent permissions for none."""
    for entry in mutations:
        place, bits = _path(entry), _bits(entry.get("permissions"))
        if place.startswith(f"{path}/") and ours["mode"] == "0755" and int(theirs["mode"], 8) == bits:
            return "parent-mode"
        target = str(entry.get("source", ""))
        reached = str(PurePosixPath("/", place).parent / target).strip("/") if target else ""
        if entry.get("type") == "symlink" and path in (place, reached, *hard_links(mutations, reached)):
            return "links-not-followed"
        if place == path and "permissions" not in entry and int(theirs["mode"], 8) == 0:
            return "permissions-absent"
    return ""


def hard_links(mutations: Iterable[Row], path: str) -> list[str]:
    """Further names that a definition gives to the file at `path`."""
    links = [entry for entry in mutations if entry.get("type") == "hardlink"]
    return [_path(entry) for entry in links if str(entry.get("source", "")).strip("/") == path]


def _bits(value: Any) -> int:
    return int(value, 8) if isinstance(value, str) else int(value or 0)


def _leaves(ours: Any, theirs: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _leaves(ours.get(key), theirs.get(key), f"{place}/{key}".replace(".image/", ".image."))
    else:
        yield place, ours, theirs


def _single(causes: Iterable[str]) -> str:
    """The one cause of all faults; empty where one has none, or they differ."""
    found = set(causes)
    return found.pop() if len(found) == 1 else ""
