"""Why a package of ours differs from melange's: its ways that are not followed, recognised by what they do.

A cause is one word; `known.toml` lists those that are accepted, each with its reason, so that any recording in which melange
does the same thing is judged alike.  A difference that no rule here explains has no cause and is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import yaml
from tests.conformance.scoring import Difference
from tests.conformance.suites.commands import Answer

from apkiln.core.errors import ApkilnError, FaultGroup

Row = Mapping[str, Any]
OwnEntry = tuple[str, str, int, int, int, str, str, tuple[tuple[str, str], ...]]
"""Type, mode, owner, group, time, target, digest, attributes."""

_REFUSED = {
    "line-feed": "text-of-several-lines",
    "device-not-allowed": "special-file",
    "name-control-character": "names-of-files",
    "path-outside": "path-outside",
    "unknown-variable": "unknown-variable",
}
"""Reason of our refusal where melange builds → cause."""
_REFUSED_BY = {"setcap-missing-file": "setcap-missing-file", "infodir": "info-directory", "usrmerge": "file-before-old-places"}
"""The same for checks that refuse, by their name."""
_FIRST_LINES = re.compile(r"#!\s*(?:\S*/)?env\s+(?:-S\b|\w+=)|#!\s*/bin/env\b|/(?:usr/)?s?bin/")


class Recording(NamedTuple):
    """One case of `melange-runs`, with what explains its differences."""

    row: Row
    definition: Any
    log: str

    @classmethod
    def of(cls, row: Row, text: str, log: str) -> Recording:
        try:
            definition = yaml.load(text, Loader=yaml.BaseLoader)
        except yaml.YAMLError:
            definition = None
        return cls(row, definition if isinstance(definition, dict) else {}, log)

    def of_refusal(self, answer: Answer) -> str:
        """Of what melange builds and we refuse."""
        return _single(_cause_of(fault.reason, fault.message) for fault in answer.faults)

    def of_faults(self, error: ApkilnError) -> str:
        """The same for what was raised."""
        faults = error.faults if isinstance(error, FaultGroup) else (error,)
        return _single(_cause_of(fault.reason, fault.message) for fault in faults)

    def of_document(self, difference: str) -> str:
        """Of a place where two compiled definitions differ."""
        if self._chooses_variables:
            return "build-option"
        return "setcap-of-subpackage" if re.match(r"\.subpackages\S*\.setcap: recorded None", difference) else ""

    def of_acceptance(self) -> str:
        """Of what melange refuses and we build."""
        said = " ".join(self.row["error"])
        if "violation of usrmerge" in said:
            return "links-of-old-places"
        if "stripping runs comments" in said:
            return "shell-grammar"
        if "evaluating conditional" in said or self.row["rc"] == 2:
            return "conditions"
        return ""

    def of_entry(self, package: str, theirs: OwnEntry | None, ours: OwnEntry | None, linked: OwnEntry | None) -> str:
        """Of a path that differs; `linked`: what our hard link is another name of."""
        if self._chooses_variables:
            return "build-option"
        if theirs is None or ours is None:
            return ""
        if ours[0] == "hardlink" and theirs[0] == "file":
            same = linked is not None and linked[1:5] == theirs[1:5] and linked[6:] == theirs[6:]
            return "hard-links" if same else ""
        if ours[0] == theirs[0] == "dir" and _as_melange_keeps(ours) == theirs:
            return "directories"
        if package in self._packages_with_capabilities and _without_capability(ours) == theirs:
            return "setcap-of-subpackage"
        return ""

    def of_relations(self, theirs: Iterable[str], ours: Iterable[str], damaged: frozenset[str]) -> Iterator[Difference]:
        """Of two lists of `KEY = VALUE`; `damaged`: names of files that only look like ELF."""
        lost, added = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
        for line in (*lost, *added):
            yield Difference(f"{'recorded' if line in lost else 'got'} {line}", self._of_relation(line, line in lost, damaged))

    def _of_relation(self, line: str, is_theirs: bool, damaged: frozenset[str]) -> str:
        key, _, value = line.partition(" = ")
        kind, _, name = value.partition(":")
        if is_theirs and kind == "cmd" and key == "provides" and name.partition("=")[0] in damaged:
            return "damaged-elf"
        if kind == "pc" and not is_theirs and "Unable to load .pc file" in self.log:
            return "modules-not-read"
        if kind == "cmd" and key == "depend" and _FIRST_LINES.search(str(self.definition)):
            return "first-lines"
        if value.startswith("ruby-") and not is_theirs:
            return "gem-directories"
        if value.startswith("perl~"):
            return "perl-directories"
        if key == "L":
            return "licences-in-index"
        if key in ("T", "U") and "#" in str(self.definition):
            return "text-behind-a-hash"
        if kind in ("so", "so-ver") and value.endswith(("=", "=0")):
            return "version-of-nothing"
        return "build-option" if self._chooses_variables else ""

    def of_finding(self, linter: str, theirs: Sequence[str] | None, ours: Sequence[str] | None) -> str:
        """Of the paths that two linters of one name found."""
        found, recorded = set(ours or ()), set(theirs or ())
        if linter == "strip":
            return "debugging-data"
        if linter == "infodir" and recorded < found:
            return "info-directory"
        if linter == "usrmerge":
            return "links-of-old-places" if found < recorded else "file-before-old-places"
        if linter in ("nonlinux", "unsupportedarch", "python/multiple", "sbom", "binaryarch", "lddcheck"):
            return "finer-checks"
        return "hard-links" if linter == "duplicate" and found < recorded else ""

    @property
    def _chooses_variables(self) -> bool:
        chosen = {value for flag, value in pairwise(self.row["args"]) if flag == "--build-option"}
        options = self.definition.get("options") or {}
        return any((options.get(name) or {}).get("vars") for name in chosen)

    @property
    def _packages_with_capabilities(self) -> frozenset[str]:
        subpackages = self.definition.get("subpackages") or []
        return frozenset(one.get("name", "") for one in subpackages if isinstance(one, dict) and one.get("setcap"))


def _cause_of(reason: str, message: str) -> str:
    linter = message.rpartition("[")[2].rstrip("]")
    return _REFUSED_BY.get(linter, "") if reason == "lint" else _REFUSED.get(reason, "")


def _single(causes: Iterable[str]) -> str:
    found = set(causes)
    return found.pop() if len(found) == 1 else ""


def _as_melange_keeps(entry: OwnEntry) -> OwnEntry:
    """A directory without special bits, owner and attributes."""
    kind, mode, _owner, _group, time, target, digest, _attributes = entry
    return (kind, f"{int(mode, 8) & 0o777:04o}", 0, 0, time, target, digest, ())


def _without_capability(entry: OwnEntry) -> OwnEntry:
    kept = tuple(pair for pair in entry[7] if pair[0] != "security.capability")
    return (*entry[:7], kept)
