"""One definition checked for a newer version (spec package.md §16)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.named_tuple import NamedTuple
from apkiln.package.definition.model import Monitor, PackageDefinition, Step, Update
from apkiln.package.updates.asking import Upstreams, offers_of
from apkiln.package.updates.choosing import Choice, choose
from apkiln.package.updates.schedule import is_due


class Checked(NamedTuple):
    """What is known of one definition."""

    name: str
    current: str
    """Version without the epoch."""
    monitor: str
    """Kind of the monitor; empty when nothing was asked."""
    choice: Choice | None = None
    """None when it was passed over."""
    passed_over: str = ""
    """Why; empty when it was asked for."""
    manual: bool = False
    """A person has to look at the update."""


class CheckSettings(NamedTuple):
    """What the command line says."""

    now: int
    """Unix seconds."""
    ignore_schedule: bool = False


def check(definition: PackageDefinition, upstreams: Upstreams, last: int | None, settings: CheckSettings) -> Checked:
    """`definition` is evaluated.  `last`: Unix seconds of the last look.  Raises what `offers_of` and `choose` raise."""
    name, current = definition.package.name.text, definition.package.version.text
    update = definition.update
    monitor = update.monitors[0] if update is not None and update.monitors else None
    passed = _passed_over(update, monitor, last, settings)
    if passed or update is None or monitor is None:
        return Checked(name, current, monitor.kind if monitor else "", None, passed)
    offers = offers_of(monitor, first_repository(definition), upstreams)
    return Checked(name, current, monitor.kind, choose(update, monitor, current, offers), "", update.manual)


def _passed_over(update: Update | None, monitor: Monitor | None, last: int | None, settings: CheckSettings) -> str:
    if update is None or not update.enabled:
        reason = update.exclude_reason.text.strip() if update is not None else ""
        return f"not enabled: {reason}" if reason else "not enabled"
    if monitor is None:
        return "no monitor"
    if not settings.ignore_schedule and not is_due(update.schedule, last, settings.now):
        return f"not due: {update.schedule.period if update.schedule else ''}"
    return ""


def first_repository(definition: PackageDefinition) -> str:
    """The repository of the first `git-checkout` of the main pipeline; empty when there is none."""
    return next(_repositories(definition.pipeline), "")


def _repositories(steps: tuple[Step, ...]) -> Iterator[str]:
    for step in steps:
        if step.uses.text == "git-checkout":
            found = dict(step.inputs_given).get("repository")
            if found is not None and found.text:
                yield found.text
        yield from _repositories(step.pipeline)
