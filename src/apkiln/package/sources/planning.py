"""From a resolved definition to its sources (spec package.md §6.1, §9.4)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.digest import Digest
from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.package.definition.model import PackageDefinition, Step
from apkiln.package.evaluation.conditions import evaluate
from apkiln.package.sources.cherry_picks import parse_cherry_picks
from apkiln.package.sources.plan import FULL_HISTORY, FetchSource, GitSource, Source, SourcePlan

PIPELINES = ("fetch", "git-checkout")
"""Named pipelines whose inputs declare sources."""
_REMOTE = ("http://", "https://", "ftp://", "git://", "ssh://", "git+ssh://")
_TRUTHS = ("true", "false")


def plan_sources(definition: PackageDefinition, *, tests: bool = False, builds: bool = True) -> SourcePlan:
    """The sources of all steps that will run, with those of subpackages and of pipelines inside pipelines.

    `definition` is resolved (`compilation.resolving.resolve`).  `builds`, `tests`: steps of the build, of tests.  Steps whose
    `if` is false declare nothing.  Raises ConfigurationError, or a FaultGroup, with the place of each: `missing-input`,
    `missing-checksum`, `bad-digest`, `bad-value`, `exclusive-inputs`, `bad-cherry-pick`.
    """
    faults = FaultCollector.empty()
    found = [_source(step, path, package, faults) for path, package, step in source_steps(definition, tests, builds)]
    faults.raise_if_any()
    sources = [source for source in found if source is not None]
    return SourcePlan(
        tuple(source for source in sources if is_remote(source)), tuple(source for source in sources if not is_remote(source))
    )


def source_steps(definition: PackageDefinition, tests: bool, builds: bool) -> Iterator[tuple[str, str, Step]]:
    """(path, package, step) of the steps that declare sources, in order."""
    name = definition.package.name.text
    if builds:
        yield from _walk(definition.pipeline, "pipeline", name)
    if tests and definition.test is not None:
        yield from _walk(definition.test.pipeline, "test.pipeline", name)
    for number, subpackage in enumerate(definition.subpackages):
        place = f"subpackages[{number}]"
        if builds:
            yield from _walk(subpackage.pipeline, f"{place}.pipeline", subpackage.name.text)
        if tests and subpackage.test is not None:
            yield from _walk(subpackage.test.pipeline, f"{place}.test.pipeline", subpackage.name.text)


def is_remote(source: Source) -> bool:
    """Whether the builder fetches it; paths and `file:` URLs are for the step itself."""
    location = source.uri if isinstance(source, FetchSource) else source.repository
    scp_like = isinstance(source, GitSource) and ":" in location.partition("/")[0] and "://" not in location
    return location.lower().startswith(_REMOTE) or (scp_like and not location.startswith("file:"))


def _walk(steps: tuple[Step, ...], path: str, package: str) -> Iterator[tuple[str, str, Step]]:
    for number, step in enumerate(steps):
        if not evaluate(step.condition):
            continue
        place = f"{path}[{number}]"
        if step.uses.text in PIPELINES:
            yield place, package, step
        else:
            yield from _walk(step.pipeline, f"{place}.pipeline", package)


def _source(step: Step, path: str, package: str, faults: FaultCollector) -> Source | None:
    inputs = _Inputs(step, faults)
    return _fetch(inputs, path, package) if step.uses.text == "fetch" else _checkout(inputs, path, package)


class _Inputs:
    """The inputs of one step."""

    def __init__(self, step: Step, faults: FaultCollector) -> None:
        self.step = step
        self.given = dict(step.inputs_given)
        self.faults = faults

    def text(self, name: str, default: str = "") -> str:
        found = self.given.get(name)
        return (found.text.strip() if found is not None else "") or default

    def fault(self, name: str, message: str, reason: str, hint: str = "") -> None:
        origin = self.given.get(name, self.step.uses).origin
        self.faults.add(ConfigurationError(message, reason=reason, origin=origin, hint=hint))

    def truth(self, name: str) -> bool:
        text = self.text(name, "false")
        if text not in _TRUTHS:
            self.fault(name, f"`{name}`: `{text}` is neither `true` nor `false`", "bad-value")
        return text == "true"

    def number(self, name: str, default: int) -> int:
        text = self.text(name, str(default))
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            self.fault(name, f"`{name}`: `{text}` is no whole number", "bad-value")
            return default
        return int(text[:9])

    def required(self, name: str) -> str:
        text = self.text(name)
        if not text:
            self.fault(name, f"pipeline `{self.step.uses.text}` needs the input `{name}`", "missing-input")
        elif text.startswith("-") or any(char in text for char in "\0\n\r"):
            self.fault(name, f"`{name}`: `{text!r}` is no location", "bad-value")
        return text

    def reference(self, name: str) -> str:
        text = self.text(name)
        if text.startswith("-") or ".." in text or any(char in text for char in " \t\0\n\r~^:?*[\\"):
            self.fault(name, f"`{name}`: `{text}` is no name of a {name}", "bad-value")
        return text

    def digests(self) -> tuple[Digest, ...]:
        found: list[Digest] = []
        for algorithm, length in (("sha256", 64), ("sha512", 128)):
            name = f"expected-{algorithm}"
            text = self.text(name).lower()
            if text and (len(text) != length or any(char not in "0123456789abcdef" for char in text)):
                self.fault(name, f"`{name}`: `{text[:140]}` has not {length} hexadecimal digits", "bad-digest")
            elif text:
                found.append(Digest(algorithm, bytes.fromhex(text)))
        if not any(self.text(f"expected-{kind}") for kind in ("sha256", "sha512", "none")):
            hint = "give `expected-sha256`; `expected-none` takes the file without a check"
            self.fault("uri", "the file has no checksum", "missing-checksum", hint)
        return tuple(found)


def _fetch(inputs: _Inputs, path: str, package: str) -> FetchSource | None:
    uri = inputs.required("uri")
    digests = inputs.digests()
    return FetchSource(
        uri=uri,
        digests=digests,
        step=path,
        package=package,
        extract=inputs.text("extract", "true") == "true",
        strip_components=inputs.number("strip-components", 1),
        directory=inputs.text("directory", "."),
        purl_name=inputs.text("purl-name"),
        purl_version=inputs.text("purl-version"),
        origin=inputs.step.uses.origin,
    )


def _checkout(inputs: _Inputs, path: str, package: str) -> GitSource | None:
    branch, tag, commit = inputs.reference("branch"), inputs.reference("tag"), inputs.text("expected-commit").lower()
    tip = inputs.truth("expected-commit-is-branch-tip")
    if branch and tag:
        inputs.fault("branch", f"branch `{branch}` and tag `{tag}` exclude each other", "exclusive-inputs")
    if tip and not (branch and commit):
        message = "`expected-commit-is-branch-tip` needs `branch` and `expected-commit`"
        inputs.fault("expected-commit-is-branch-tip", message, "exclusive-inputs")
    if commit and (len(commit) not in (40, 64) or any(char not in "0123456789abcdef" for char in commit)):
        inputs.fault("expected-commit", f"`expected-commit`: `{commit[:80]}` is no commit", "bad-digest")
    picks = inputs.given.get("cherry-picks")
    return GitSource(
        repository=inputs.required("repository"),
        commit=commit,
        step=path,
        package=package,
        tag=tag,
        branch=branch,
        tip=tip,
        depth=_depth(inputs, branch, commit, tip),
        submodules=inputs.truth("recurse-submodules"),
        shallow_submodules=inputs.truth("shallow-submodules"),
        picks=() if picks is None else parse_cherry_picks(picks.text, picks.origin, inputs.faults),
        sparse_paths=tuple(inputs.text("sparse-paths").split()),
        destination=inputs.text("destination", "."),
        type_hint=inputs.text("type-hint"),
        origin=inputs.step.uses.origin,
    )


def _depth(inputs: _Inputs, branch: str, commit: str, tip: bool) -> int:
    """Unset = 1, or all where the commit has to be looked for in the history of a branch."""
    if inputs.text("depth", "unset") == "unset":
        return FULL_HISTORY if branch and commit and not tip else 1
    depth = inputs.number("depth", 1)
    if depth < 1 and depth != FULL_HISTORY:
        inputs.fault("depth", f"`depth`: {depth} is neither positive nor -1", "bad-value")
    return depth
