"""`apkiln package update check`: newer versions of what definitions build."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.source_arguments import add_source_arguments, source_access

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.errors import ApkilnError
    from apkiln.package.updates.asking import Upstreams
    from apkiln.package.updates.checking import Checked, CheckSettings

NAME = "package update check"
HELP = """Ask upstream, by the `update` section of each definition, which versions there are, and tell the newest that fits; where
`require-sequential` is set, the next.  With `--apply` the definition is changed as `apkiln package bump` does, with the commit
of the tag.

Answers can be recorded and used again without a network.  Schedules count against `--state FILE`, which remembers when each
package was looked at; without it every package is looked at."""
EPILOG = """examples:
  apkiln package update check curl.yaml
  apkiln package update check . --state updates.json --json
  apkiln package update check zlib.yaml --apply
  apkiln package update check . --record answers; apkiln package update check . --replay answers
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", nargs="+", metavar="FILE|DIR", help="definitions, or directories of such")
    parser.add_argument("--apply", action="store_true", help="change the definitions")
    parser.add_argument("--state", default="", metavar="FILE", help="when each package was looked at; made when absent")
    parser.add_argument("--ignore-schedule", action="store_true", help="look at all, due or not")
    parser.add_argument("--all", action="store_true", help="also tell of packages that are up to date or passed over")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--replay", default="", metavar="DIR", help="answers that were recorded; nothing is asked")
    group.add_argument("--record", default="", metavar="DIR", help="write every answer there, and use those that are there")
    add_source_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.errors import ApkilnError, FaultGroup
    from apkiln.package.updates.checking import CheckSettings
    from apkiln.package.updates.schedule import read_state, write_state
    from apkiln.system.clock import SystemClock
    from apkiln.system.files import DiskFiles
    from apkiln.system.parallel import map_in_threads

    files, here = DiskFiles(), Path(context.settings.working_directory)
    state_path = here / arguments.state if arguments.state else None
    known = state_path is not None and files.status(state_path) is not None
    state = read_state(files.read(state_path, 64 << 20)) if known and state_path is not None else {}
    settings = CheckSettings(int(SystemClock().now()), arguments.ignore_schedule or state_path is None)
    upstreams = _upstreams(arguments, context)
    paths = _paths(arguments.configs, here)

    def one(path: str) -> Checked | ApkilnError:
        try:
            return _check(path, upstreams, state, settings, context)
        except ApkilnError as error:
            return error

    results = map_in_threads(one, paths, max(4, context.settings.jobs))
    found = [(path, result) for path, result in zip(paths, results, strict=True) if not isinstance(result, ApkilnError)]
    faults = [result for result in results if isinstance(result, ApkilnError)]
    if state_path is not None:
        state |= {checked.name: settings.now for _, checked in found if not checked.passed_over}
        with files.create(state_path, replace=True) as stream:
            stream.write(write_state(state))
    _show(found, arguments, context)
    if arguments.apply:
        faults += _apply(found, arguments, context)
    if faults:
        raise FaultGroup(faults)
    return 0


def _paths(named: list[str], here: Path) -> list[str]:
    from apkiln.system.files import DiskFiles

    files, found = DiskFiles(), list[str]()
    for name in named:
        status = files.status(here / name)
        if status is not None and status.is_directory:
            inside = [item for item in files.list(here / name) if item.endswith((".yaml", ".yml"))]
            found += [item if name == "." else f"{name.rstrip('/')}/{item}" for item in inside if not item.startswith(".")]
        else:
            found.append(name)
    return found


def _check(path: str, upstreams: Upstreams, state: dict[str, int], settings: CheckSettings, context: Context) -> Checked:
    from apkiln.cli.package_arguments import load_path
    from apkiln.core.errors import ApkilnError
    from apkiln.package.evaluation.evaluating import EvaluationSettings
    from apkiln.package.updates.checking import check

    definition = load_path(path, EvaluationSettings(), context).evaluated.definition
    try:
        return check(definition, upstreams, state.get(definition.package.name.text), settings)
    except ApkilnError as error:
        error.details = (*error.details, f"asked for {path}")
        raise


def _upstreams(arguments: argparse.Namespace, context: Context) -> Upstreams:
    from pathlib import Path

    from apkiln.package.updates.asking import NetworkUpstreams, RecordedUpstreams
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.files import DiskFiles

    files, here = DiskFiles(durable=False), Path(context.settings.working_directory)
    if arguments.replay:
        return RecordedUpstreams(files, here / arguments.replay)
    access = source_access(arguments, context)
    store = DirectoryStore(Path(context.settings.cache_directory))
    network = NetworkUpstreams(access.transfer, access.git, store, lambda image: _tags(image, context))
    return RecordedUpstreams(files, here / arguments.record, network) if arguments.record else network


def _tags(image: str, context: Context) -> tuple[str, ...]:
    from apkiln.core.errors import UnavailableError
    from apkiln.formats.oci.reference import parse_reference
    from apkiln.system.files import DiskFiles
    from apkiln.system.process import SystemRunner
    from apkiln.system.registry_names import repository_of
    from apkiln.system.registry_network import open_registry

    if context.settings.offline:
        raise UnavailableError(f"`{image}` is in a registry and the network is off", reason="offline")
    registry = open_registry(context.settings.environment, DiskFiles(), SystemRunner())
    return registry.tags(repository_of(parse_reference(image)))


def _show(found: list[tuple[str, Checked]], arguments: argparse.Namespace, context: Context) -> None:
    shown = [(path, one) for path, one in found if arguments.all or (one.choice is not None and one.choice.chosen)]
    if context.settings.json:
        context.output.json({"updates": [_row(path, one) for path, one in shown]})
        return
    for path, one in shown:
        if one.choice is None:
            context.output.print(f"{one.name} {one.current}: {one.passed_over}")
        elif one.choice.chosen is None:
            context.output.print(f"{one.name} {one.current}: up to date")
        else:
            chosen = one.choice.chosen
            extra = " (to be looked at by a person)" if one.manual else ""
            context.output.print(f"{one.name} {one.current} -> {chosen.version} (tag {chosen.offer.tag}){extra}")
        if one.choice is not None and one.choice.unreadable and context.settings.verbosity > 0:
            context.reporter.note(f"{path}: no versions: " + ", ".join(one.choice.unreadable[:10]))


def _row(path: str, one: Checked) -> dict[str, object]:
    row: dict[str, object] = {"file": path, "name": one.name, "current": one.current, "monitor": one.monitor}
    if one.choice is None:
        return row | {"passedOver": one.passed_over}
    chosen = one.choice.chosen
    row |= {"newer": [version.version for version in one.choice.newer], "manual": one.manual}
    return row | ({"version": chosen.version, "tag": chosen.offer.tag, "commit": chosen.offer.commit} if chosen else {})


def _apply(found: list[tuple[str, Checked]], arguments: argparse.Namespace, context: Context) -> list[ApkilnError]:
    """Set the chosen versions; what cannot be set is told at the end.  Updates for a person to look at are left."""
    from pathlib import Path

    from apkiln.cli.package_arguments import read_bytes
    from apkiln.core.errors import ApkilnError
    from apkiln.package.editing.bumping import bumped, plan_bump
    from apkiln.package.editing.looking_up import file_digests, tag_commits
    from apkiln.system.files import DiskFiles

    access, files = source_access(arguments, context), DiskFiles()
    faults: list[ApkilnError] = []
    for path, one in found:
        if one.choice is None or one.choice.chosen is None or one.manual:
            continue
        try:
            plan = plan_bump(read_bytes(path, context), path, one.choice.chosen.version)
            commits = tag_commits(plan, access.git, access.places)
            text = bumped(plan, file_digests(plan, access.transfer, access.places, jobs=access.jobs), commits)
        except ApkilnError as error:
            faults.append(error)
            continue
        place = Path(context.settings.working_directory) / path
        status = files.status(place)
        with files.create(place, status.mode if status is not None else 0o644, replace=True) as stream:
            stream.write(text)
        context.reporter.note(f"{path}: version {plan.version}")
    return faults
