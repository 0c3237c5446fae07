"""What `source get` does with the main pipeline of a definition: checkouts, files, patches, in order (spec package.md §15.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive.path import resolve_target
from apkiln.package.definition.model import PackageDefinition, Step
from apkiln.package.evaluation.conditions import evaluate
from apkiln.package.evaluation.defaults import WORKSPACE
from apkiln.package.sources.plan import FetchSource, Source, SourcePlan
from apkiln.package.sources.planning import PIPELINES, plan_sources


class PatchAction(NamedTuple):
    """Patches of one `patch` or `git-am` step."""

    patches: tuple[str, ...]
    """Names relative to the workspace; those of `series` are added when it is read."""
    series: str
    strip_components: int
    fuzz: int
    origin: Origin


class SourceAction(NamedTuple):
    """A source that is put into the workspace."""

    source: Source


class PlacedAction(NamedTuple):
    """An action and the directory, relative to the workspace, where it happens; empty = the workspace itself."""

    action: SourceAction | PatchAction
    directory: str


Action: TypeAlias = SourceAction | PatchAction


def workspace_actions(definition: PackageDefinition) -> tuple[PlacedAction, ...]:
    """The actions of a resolved definition's main pipeline.

    Raises what `plan_sources` raises, and ConfigurationError `path-outside` for a directory, patch or destination outside of
    the workspace, `bad-value` for a number of a patch step.
    """
    faults = FaultCollector.empty()
    main = definition._replace(subpackages=(), test=None)
    plan = plan_sources(main)
    sources = _by_step(plan)
    found = [placed for step, path in _walk(main.pipeline, "pipeline") for placed in _actions(step, path, sources, faults)]
    faults.raise_if_any()
    return tuple(found)


def sources_of(actions: tuple[PlacedAction, ...]) -> SourcePlan:
    """The sources among the actions."""
    return SourcePlan(tuple(placed.action.source for placed in actions if isinstance(placed.action, SourceAction)))


def _by_step(plan: SourcePlan) -> dict[str, Source]:
    return {source.step: source for source in plan.sources}


def _walk(steps: tuple[Step, ...], path: str) -> Iterator[tuple[Step, str]]:
    for number, step in enumerate(steps):
        if evaluate(step.condition):
            place = f"{path}[{number}]"
            yield step, place
            if step.uses.text not in (*PIPELINES, "patch", "git-am"):
                yield from _walk(step.pipeline, f"{place}.pipeline")


def _actions(step: Step, path: str, sources: dict[str, Source], faults: FaultCollector) -> Iterator[PlacedAction]:
    action: Action | None = None
    if step.uses.text in PIPELINES:
        source = sources.get(path)
        action = SourceAction(source) if source is not None else None
        inside = "" if source is None else source.directory if isinstance(source, FetchSource) else source.destination
        if source is not None and _is_outside(inside):
            faults.add(_outside(inside, source.origin))
            return
    elif step.uses.text in ("patch", "git-am"):
        action = _patch(step, faults)
    if action is None:
        return
    directory = step.working_directory.text.removeprefix(WORKSPACE).strip("/")
    if _is_outside(directory) or (step.working_directory.text.startswith("/") and not _is_home(step.working_directory.text)):
        faults.add(_outside(step.working_directory.text, step.working_directory.origin))
        return
    yield PlacedAction(action, "" if directory == "." else directory)


def _patch(step: Step, faults: FaultCollector) -> PatchAction:
    given = {name: text.text.strip() for name, text in step.inputs_given}
    numbers = []
    for name, default in (("strip-components", "1"), ("fuzz", "2")):
        text = given.get(name) or default
        if not (text.isascii() and text.isdecimal()):
            message = f"`{name}`: `{text}` is no whole number"
            faults.add(ConfigurationError(message, reason="bad-value", origin=step.uses.origin))
            text = default
        numbers.append(int(text[:4]))
    named = tuple(given.get("patches", "").split()) if not given.get("series") else ()
    directory = _directory(step)
    found = []
    for name in (*named, given.get("series", "")):
        place = _placed(directory, name)
        if place is None:
            faults.add(_outside(name, step.uses.origin))
        found.append(place or "")
    return PatchAction(tuple(found[:-1]), found[-1], numbers[0], numbers[1], step.uses.origin)


def check_patches(steps: tuple[Step, ...]) -> None:
    """Raises ConfigurationError `path-outside` for each patch and series file of steps that run which lies outside of the
    workspace (spec package.md §18.3)."""
    faults = FaultCollector.empty()
    for step, _ in _walk(steps, ""):
        if step.uses.text in ("patch", "git-am"):
            _patch(step, faults)
    faults.raise_if_any()


def _directory(step: Step) -> str:
    """The step's working directory, absolute."""
    text = step.working_directory.text
    return text if text.startswith("/") else f"{WORKSPACE}/{text}"


def _placed(directory: str, name: str) -> str | None:
    """`name`, seen from `directory`, as a path relative to the workspace; None when it leads out.  A name that goes up
    nowhere stays as it is: patches lie beside the definition, whatever directory they are applied in."""
    if name.startswith("/"):
        directory, name = "", name.removeprefix("/")
    elif ".." not in name.split("/"):
        return None if "\0" in name else name
    path, inside = resolve_target("", f"{directory}/{name}"), f"{WORKSPACE.removeprefix('/')}/"
    return path.removeprefix(inside) if path is not None and path.startswith(inside) else None


def series_names(content: str, origin: Origin) -> tuple[str, ...]:
    """The patches of a series file; blank lines and comments are left out.  ConfigurationError `path-outside`."""
    found = tuple(name for line in content.splitlines() if (name := line.strip()) and not name.startswith("#"))
    for name in found:
        if _is_outside(name):
            raise _outside(name, origin)
    return found


def _is_outside(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or "\0" in path


def _is_home(path: str) -> bool:
    return path == WORKSPACE or path.startswith(f"{WORKSPACE}/")


def _outside(path: str, origin: Origin) -> ConfigurationError:
    return ConfigurationError(f"`{path}` is outside of the workspace", reason="path-outside", origin=origin)
