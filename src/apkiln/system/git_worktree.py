"""Working trees from bundles, on this machine: checked out, patched, and turned into patches again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Protocol

from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.system.files import Files
from apkiln.system.git import PICKS, SHALLOW, GitWant
from apkiln.system.git_command import GitCommand, git_failed
from apkiln.system.process import Runner

BASE = "refs/apkiln/base"
"""The commit that patches come on top of."""
EARLIEST = 315532800
"""Seconds of 1980: no commit made here is older."""
_IDENTITY = ("-c", "user.name=apkiln", "-c", "user.email=apkiln@localhost")
_MAXIMUM_DEPTH = 16


class CheckoutWant(NamedTuple):
    """One working tree."""

    bundle: PurePath
    want: GitWant
    """What the bundle was made of; `location` becomes the remote `origin`."""
    submodules: bool = False
    """Check out submodules too, from bundles beside this one."""
    sparse_paths: tuple[str, ...] = ()


class WorkTrees(Protocol):
    """Working trees of git on this machine."""

    def check_out(self, checkout: CheckoutWant, directory: PurePath, date: int) -> str:
        """Fill an empty directory; the commit, with all picks applied.  `date`: Unix seconds of commits that are made.

        Raises UnavailableError `git-failed`, `cherry-pick-failed`, VerificationError `commit-not-found`.
        """

    def record(self, directory: PurePath, message: str, date: int) -> None:
        """Make a commit of every change; none without changes."""

    def patches(self, directory: PurePath, base: str, output: PurePath) -> tuple[str, ...]:
        """Write a patch file for every commit since `base`, or since the checkout where `base` is empty; their names in order."""


class ProgramWorkTrees:
    """See `WorkTrees`; through the git program."""

    def __init__(self, runner: Runner, files: Files, environment: Mapping[str, str]) -> None:
        self._files = files
        self._command = GitCommand(runner, environment)

    def check_out(self, checkout: CheckoutWant, directory: PurePath, date: int) -> str:
        commit = self._fill(checkout, directory)
        if checkout.submodules:
            self._fill_submodules(checkout.bundle.parent, directory, 0)
        for branch, pick in checkout.want.picks:
            self._apply(directory, branch, pick, date)
        self._git(directory, "update-ref", BASE, "HEAD")
        head = self._git(directory, "rev-parse", "HEAD").strip()
        return head if checkout.want.picks else commit

    def record(self, directory: PurePath, message: str, date: int) -> None:
        self._git(directory, "add", "--all")
        if self._command.run(None, ("diff", "--cached", "--quiet"), work_tree=directory).exit_code:
            words = (*_IDENTITY, "commit", "--quiet", "--no-verify", "--message", message)
            self._command.checked(None, *words, work_tree=directory, more=_dates(date))

    def patches(self, directory: PurePath, base: str, output: PurePath) -> tuple[str, ...]:
        start = base or BASE
        if self._command.run(None, ("rev-parse", "--verify", "--quiet", f"{start}^{{commit}}"), work_tree=directory).exit_code:
            message = f"`{directory}` has no commit `{start}`"
            hint = "it must come from `apkiln package source get`"
            raise UnavailableError(message, reason="no-base-commit", origin=Origin(str(directory)), hint=hint)
        words = (
            "format-patch",
            "--quiet",
            "--no-signature",
            "--zero-commit",
            "--output-directory",
            str(output),
            f"{start}..HEAD",
        )
        self._git(directory, *words)
        there = self._files.status(output) is not None
        return tuple(name for name in self._files.list(output) if name.endswith(".patch")) if there else ()

    def _fill(self, checkout: CheckoutWant, directory: PurePath) -> str:
        want = checkout.want
        self._command.checked(
            None, "init", "--quiet", "--template=", "--initial-branch", want.branch or "main", "--", str(directory)
        )
        heads = self._heads(directory, checkout.bundle)
        shallow = [name.removeprefix(SHALLOW) for name in heads if name.startswith(SHALLOW)]
        if shallow:
            with self._files.create(directory / ".git" / "shallow", replace=True) as stream:
                stream.write("".join(f"{one}\n" for one in shallow).encode())
        specs = ["+refs/tags/*:refs/tags/*", "+refs/heads/*:refs/remotes/origin/*", f"+{PICKS}*:{PICKS}*"]
        self._git(directory, "fetch", "--quiet", "--no-tags", "--update-shallow", str(checkout.bundle), *specs)
        self._git(directory, "remote", "add", "origin", want.location)
        if checkout.sparse_paths:
            self._git(directory, "sparse-checkout", "set", "--cone", "--", *checkout.sparse_paths)
        return self._switch(directory, want, heads)

    def _heads(self, directory: PurePath, bundle: PurePath) -> dict[str, str]:
        """Name → object."""
        rows = (line.partition(" ") for line in self._git(directory, "bundle", "list-heads", str(bundle)).splitlines())
        return {name: value for value, _, name in rows}

    def _switch(self, directory: PurePath, want: GitWant, heads: Mapping[str, str]) -> str:
        commit = next((value for name, value in heads.items() if name.startswith("refs/apkiln/depth/")), "")
        target = f"refs/tags/{want.tag}" if want.tag else commit
        if want.branch:
            self._git(directory, "checkout", "--quiet", "-B", want.branch, target)
        else:
            self._git(directory, "checkout", "--quiet", "--detach", target)
        found = self._git(directory, "rev-parse", "HEAD").strip()
        value = self._git(directory, "rev-parse", target).strip()
        if want.commit not in ("", found, value):
            message = f"the bundle holds commit {found}, expected {want.commit}"
            raise VerificationError(message, reason="commit-not-found", origin=Origin(str(directory), digest=want.commit))
        return found

    def _fill_submodules(self, bundles: PurePath, directory: PurePath, depth: int) -> None:
        """Submodules as repositories of their own inside, at any depth."""
        listed = self._git(directory, "-c", "core.quotePath=false", "ls-tree", "-r", "-z", "HEAD")
        for item in listed.split("\0"):
            about, _, path = item.partition("\t")
            if not about.startswith("160000 ") or depth >= _MAXIMUM_DEPTH:
                continue
            commit = about.rpartition(" ")[2]
            bundle = bundles / f"git:{commit}"
            inside = not path.startswith("/") and ".." not in path.split("/")
            if inside and self._files.status(bundle) is not None:
                self._fill(CheckoutWant(bundle, GitWant(f"bundle:{commit}", commit, exact=True)), directory / path)
                self._fill_submodules(bundles, directory / path, depth + 1)

    def _apply(self, directory: PurePath, branch: str, pick: str, date: int) -> None:
        words = (*_IDENTITY, "cherry-pick", "-x", pick)
        done = self._command.run(None, words, work_tree=directory, more=_dates(date))
        if done.exit_code:
            fault: ApkilnError = git_failed(str(directory), done)
            message = f"commit `{f'{branch}/' * bool(branch)}{pick}` cannot be applied"
            raise UnavailableError(message, reason="cherry-pick-failed", origin=fault.origin, details=fault.details)

    def _git(self, directory: PurePath, *words: str) -> str:
        return self._command.checked(None, *words, work_tree=directory).stdout.decode("utf-8", "surrogateescape")


def _dates(date: int) -> dict[str, str]:
    """Committer and, for new commits, author: the same on every run."""
    when = f"@{max(date, EARLIEST)} +0000"
    return {"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
