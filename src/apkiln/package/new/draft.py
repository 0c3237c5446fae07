"""A definition before it is written: what was read from a foreign package, and what was guessed."""

from __future__ import annotations

import re
from typing import Any

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.version import has_wide_number, is_valid
from apkiln.formats.sbom.licences import NO_ASSERTION, expression
from apkiln.formats.yamlnode.writer import write

_LONGEST_LINE = 200


class DraftStep(NamedTuple):
    """One step: a named pipeline with inputs, or a script."""

    uses: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    runs: str = ""
    directory: str = ""
    network: bool = False


class DraftPackage(NamedTuple):
    """A subpackage."""

    name: str
    description: str
    steps: tuple[DraftStep, ...]
    runtime: tuple[str, ...] = ()


class Draft(NamedTuple):
    """Everything a first definition says."""

    name: str
    version: str
    description: str = ""
    url: str = ""
    licence: str = ""
    epoch: int = 0
    runtime: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    """Packages of the build environment."""
    steps: tuple[DraftStep, ...] = ()
    subpackages: tuple[DraftPackage, ...] = ()
    tests: tuple[DraftStep, ...] = ()
    side_files: tuple[tuple[str, bytes], ...] = ()
    """Files for the directory named after the definition: patches and the like."""
    guesses: tuple[str, ...] = ()
    """What a person has to look at, one sentence each."""


class Place(NamedTuple):
    """Where the foreign package was read from."""

    uri: str
    """Where a build can fetch it."""
    sha256: str
    """64 hex digits of the file."""
    file_name: str


def fetch_step(place: Place, **inputs: str) -> DraftStep:
    """The step that takes the file a draft was made from."""
    given = (
        ("uri", place.uri),
        ("expected-sha256", place.sha256),
        *((key.replace("_", "-"), text) for key, text in inputs.items()),
    )
    return DraftStep("fetch", given)


def versioned(place: Place, version: str) -> Place:
    """The place with the version as a variable, so that the next version needs one change only."""
    if len(version) < 3 or version not in place.uri:
        return place
    return place._replace(uri=place.uri.replace(version, "${{package.version}}"))


def apk_name(text: str) -> str:
    """A name that apk takes: small letters, digits, `+_.-`.  FormatError `bad-package-name` when nothing is left."""
    found = re.sub(r"[^a-z0-9+_.-]+", "-", text.strip().lower()).strip("-._+")
    if not found:
        raise FormatError(f"`{text[:60]}` gives no package name", reason="bad-package-name")
    return found


def plain_name(text: str) -> str:
    """A name that may stand in a script.  FormatError `bad-package-name`."""
    if not re.fullmatch(r"[A-Za-z0-9@][A-Za-z0-9._@/+-]*", text):
        raise FormatError(f"`{text[:60]}` is no name of a package", reason="bad-package-name")
    return text


def checked_version(text: str, source: str) -> str:
    """The version as apk spells it.  FormatError `bad-version`."""
    if is_valid(text) and not has_wide_number(text):
        return text
    from apkiln.package.editing.bumping import readable_version

    found = readable_version(text)
    if not found:
        message = f"`{text[:60]}` is no version that apk can read"
        raise FormatError(message, reason="bad-version", origin=Origin(source), hint="name one with `--version`")
    return found


def one_line(text: str) -> str:
    """The first sentence of a description, on one line."""
    words = " ".join(text.split())
    return words[:_LONGEST_LINE].rstrip(" .") if words else ""


def licence_of(text: str, guesses: list[str]) -> str:
    """The SPDX form of a licence that is stated somehow; a guess where it is none."""
    found = expression(text.strip())
    if found.text == NO_ASSERTION or found.references:
        guesses.append(f"the licence is stated as `{one_line(text) or 'nothing'}`, which is no SPDX expression")
        return NO_ASSERTION
    return found.text


def render_draft(draft: Draft) -> str:
    """The YAML text, in the order people write it; guesses stand at the top as comments.  It reads back as a definition."""
    package: dict[str, Any] = {"name": draft.name, "version": draft.version, "epoch": draft.epoch}
    package |= {key: text for key, text in (("description", draft.description), ("url", draft.url)) if text}
    package["copyright"] = [{"license": draft.licence or NO_ASSERTION}]
    if draft.runtime:
        package["dependencies"] = {"runtime": list(draft.runtime)}
    document: dict[str, Any] = {"package": package}
    if draft.build:
        document["environment"] = {"contents": {"packages": sorted(set(draft.build))}}
    document["pipeline"] = [_step(step) for step in draft.steps]
    if draft.subpackages:
        document["subpackages"] = [_subpackage(one) for one in draft.subpackages]
    if draft.tests:
        document["test"] = {"pipeline": [_step(step) for step in draft.tests]}
    parts = [write({key: value}) for key, value in document.items()]
    notes = "".join(f"# to do: {' '.join(guess.split())}\n" for guess in draft.guesses)
    return (f"{notes}\n" if notes else "") + "\n".join(parts)


def _subpackage(one: DraftPackage) -> dict[str, Any]:
    found: dict[str, Any] = {"name": one.name}
    if one.description:
        found["description"] = one.description
    if one.runtime:
        found["dependencies"] = {"runtime": list(one.runtime)}
    return found | {"pipeline": [_step(step) for step in one.steps]}


def _step(step: DraftStep) -> dict[str, Any]:
    found: dict[str, Any] = {"uses": step.uses} if step.uses else {}
    if step.directory:
        found["working-directory"] = step.directory
    if step.inputs:
        found["with"] = dict(step.inputs)
    if step.runs:
        found["runs"] = step.runs.rstrip("\n") + "\n" if "\n" in step.runs.strip("\n") else step.runs.strip("\n")
    if step.network:
        found["network"] = True
    return found
