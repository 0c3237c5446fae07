"""`apkiln package bump`: a new version in a definition, everything else as it was."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.source_arguments import add_source_arguments, source_access

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.core.origin import Origin
    from apkiln.package.editing.bumping import BumpPlan

NAME = "package bump"
HELP = """Set the version of a definition, and the epoch to 0, or one higher when the version stays.  Digests of `fetch` steps are
made anew from the files of the new version, `expected-commit` is set to the commit that is named or that the tag is at.
Nothing else in the file changes, not even white space."""
EPILOG = """examples:
  apkiln package bump zlib.yaml 1.3.2
  apkiln package bump curl.yaml 8.12.0 --resolve-commit
  apkiln melange bump curl.yaml 8.12.0 --expected-commit 34cf9d54a46598c44938aa7598820484d7af7133
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="FILE", help="package definition, a melange YAML file")
    parser.add_argument("new_version", metavar="VERSION", help="the new version")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--expected-commit", default="", metavar="COMMIT", help="commit of the new version")
    group.add_argument("--resolve-commit", action="store_true", help="ask the repository which commit the tag is at")
    parser.add_argument("--all-sources", action="store_true", help="also the sources of subpackages")
    parser.add_argument("--dry-run", action="store_true", help="print the new text and leave the file")
    add_source_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.package_arguments import read_bytes, tell
    from apkiln.package.editing.bumping import bumped, plan_bump
    from apkiln.package.editing.looking_up import file_digests
    from apkiln.system.files import DiskFiles

    path = Path(context.settings.working_directory) / arguments.config
    content = read_bytes(arguments.config, context)
    plan = plan_bump(content, arguments.config, arguments.new_version, all_sources=arguments.all_sources)
    tell(plan.notes, context)
    access = source_access(arguments, context)
    commits = _commits(plan, arguments, context)
    digests = file_digests(plan, access.transfer, access.places, limit=access.maximum_file, jobs=access.jobs)
    text = bumped(plan, digests, commits)
    if arguments.dry_run:
        context.output.bytes(text)
        return 0
    files = DiskFiles()
    status = files.status(path)
    with files.create(path, status.mode if status is not None else 0o644, replace=True) as stream:
        stream.write(text)
    if context.settings.json:
        found = {"file": arguments.config, "version": plan.version, "epoch": plan.epoch, "changed": text != content}
        context.output.json(found | {"digests": digests, "commits": sorted(set(commits.values()))})
    else:
        context.reporter.note(f"{arguments.config}: version {plan.version}, epoch {plan.epoch}")
    return 0


def _commits(plan: BumpPlan, arguments: argparse.Namespace, context: Context) -> dict[Origin, str]:
    from apkiln.package.editing.bumping import commit_remark
    from apkiln.package.editing.looking_up import same_commit, tag_commits

    if arguments.expected_commit and not plan.checkouts:
        context.reporter.note("no `git-checkout` step with `expected-commit` goes with the version")
        return {}
    if arguments.expected_commit:
        if remark := commit_remark(arguments.expected_commit):
            context.reporter.note(remark)
        return same_commit(plan, arguments.expected_commit)
    if arguments.resolve_commit:
        access = source_access(arguments, context)
        return tag_commits(plan, access.git, access.places)
    for checkout in plan.checkouts:
        context.reporter.note(
            f"{checkout.origin}: `expected-commit` is still that of the old version; `--resolve-commit` sets it"
        )
    return {}
