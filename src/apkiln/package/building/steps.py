"""The scripts of a pipeline in the order they run, each with all that its process gets (spec package.md §4.9, §4.11, §8.2).

Pure.  Conditions were made constant by compiling, so what runs is known before anything does.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.package.definition.model import Environment, Step
from apkiln.package.evaluation.conditions import evaluate
from apkiln.package.evaluation.defaults import WORKSPACE

DOWNLOADING = frozenset(
    (
        *("cargo/build", "go/build", "go/build/v2", "go/bump", "go/install", "maven/configure-mirror", "maven/pombump"),
        *("npm/install", "pecl/install", "python/build", "python/build-wheel", "R/build", "ruby/build", "ruby/install"),
    )
)
"""Pipelines whose tools fetch what they are told to build upon, unless the sources bring it."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin"


@value
class StepRun:
    """One process."""

    identity: str
    """How logs call it."""
    number: str
    """Its place: `1`, `1.2`; after the name of the package and a space for steps of a subpackage."""
    fragment: str
    """The script as written."""
    directory: str
    """Absolute."""
    environment: tuple[tuple[str, str], ...]
    """Of the step and those around it."""
    network: bool
    downloading: bool
    """It is of a pipeline whose tools like to download."""
    origin: Origin


def step_runs(steps: Iterable[Step], above: str = "") -> tuple[StepRun, ...]:
    """Every script that runs; steps whose `if` is false, and steps without a script, start no process.

    `above`: begins the number of each.

    Raises ConfigurationError `required-steps` when another number of the steps inside one runs than it asserts.
    """
    return tuple(_runs(steps, above, _Outer()))


class _Outer(NamedTuple):
    """What the steps around say."""

    network: bool = False
    downloading: bool = False


def _runs(steps: Iterable[Step], above: str, outer: _Outer) -> Iterator[StepRun]:
    for number, step in enumerate(steps, 1):
        if not evaluate(step.condition):
            continue
        place = f"{above}{number}"
        here = _Outer(outer.network or step.network, outer.downloading or step.uses.text in DOWNLOADING)
        if step.runs.text.strip():
            environment = tuple((name, text.text) for name, text in step.environment)
            origin = step.runs.origin if step.runs.origin.source else step.origin
            yield StepRun(step.identity, place, step.runs.text, _absolute(step), environment, *here, origin)
        if step.required_steps is not None:
            _check_count(step)
        yield from _runs(step.pipeline, f"{place}.", here)


def _check_count(step: Step) -> None:
    count = sum(1 for inner in step.pipeline if evaluate(inner.condition))
    if count != step.required_steps:
        message = f"`{step.identity}` asserts that {step.required_steps} of its steps run; {count} would"
        raise ConfigurationError(message, reason="required-steps", origin=step.origin)


def _absolute(step: Step) -> str:
    directory = step.working_directory.text or WORKSPACE
    return directory if directory.startswith("/") else f"{WORKSPACE}/{directory}"


def script_of(run: StepRun, *, debug: bool = False) -> str:
    """What the shell is given.  The last line makes a fragment whose last list is merely false succeed (§4.11)."""
    directory = shlex.quote(run.directory)
    trace = "set -x\n" if debug else ""
    return f"set -e -o pipefail\n[ -d {directory} ] || mkdir -p {directory}\ncd {directory}\n{trace}{run.fragment}\nexit 0\n"


def environment_of(run: StepRun, base: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Variables of one process, sorted: `base`, then the path, then those of the step."""
    return tuple(sorted({**base, "PATH": PATH, **dict(run.environment)}.items()))


def build_environment(environment: Environment, source_date: int) -> dict[str, str]:
    """Variables of all steps of a build; `SOURCE_DATE_EPOCH` yields to the definition."""
    return {"SOURCE_DATE_EPOCH": str(source_date)} | {name: text.text for name, text in environment.environment}
