"""Repositories through the git program, with a bare mirror kept of those whose whole history is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.system.clock import Clock
from apkiln.system.files import Files
from apkiln.system.folder import DirectoryFolder
from apkiln.system.git import (
    DEPTH,
    PICKS,
    SHALLOW,
    SOURCE,
    Exported,
    GitWant,
    RemoteReference,
    Submodule,
    missing_reference,
    moved,
)
from apkiln.system.git_command import GitCommand, git_failed
from apkiln.system.process import Completed, Runner

TRIES = 3
FIRST_WAIT = 2.0
_HEAD = "refs/apkiln/head"


class ProgramGit:
    """See `GitRepositories`.  Mirrors lie below `directory`, which is an absolute path."""

    def __init__(
        self,
        runner: Runner,
        files: Files,
        directory: PurePath,
        environment: Mapping[str, str],
        clock: Clock,
        *,
        offline: bool = False,
    ) -> None:
        self._command = GitCommand(runner, environment)
        self._run, self._git = self._command.run, self._command.checked
        self._files = files
        self._directory = directory
        self._clock = clock
        self._offline = offline

    def references(self, location: str, patterns: Sequence[str] = ()) -> tuple[RemoteReference, ...]:
        wider = [one for pattern in patterns for one in (pattern, f"{pattern}^{{}}")]
        done = self._remote(location, ("ls-remote", "--", location, *wider), None)
        found: dict[str, str] = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            value, _, name = line.partition("\t")
            found[name] = value
        names = sorted(name for name in found if not name.endswith("^{}"))
        return tuple(RemoteReference(name, found[name], found.get(f"{name}^{{}}", found[name])) for name in names)

    def export(self, wants: Sequence[GitWant], target: PurePath, *, add_to: PurePath | None = None) -> Exported:
        key = hashlib.sha256(wants[0].location.encode()).hexdigest()[:32]
        whole, made = self._directory / f"{key}.git", self._directory / f"{target.name}.bundle"
        self._files.make_directory(self._directory)
        with self._files.lock(whole.with_suffix(".lock")):
            self._files.remove(made)
            self._unlock(whole)
            with self._files.produced(made) as content:
                repository = self._sources(wants, whole, content.with_name("cut.git"))
                commit = self._commit(repository, wants)
                self._bundle(repository, wants, commit, content, add_to)
                submodules = self._submodules(repository, commit)
            self._publish(made, target)
            return Exported(commit, submodules)

    def _unlock(self, mirror: PurePath) -> None:
        """Remove lock files that a git left which was killed: nobody else works here while we hold our own lock."""
        if self._files.status(mirror) is not None:
            names = DirectoryFolder(mirror).names()
            for name in names:
                if name.endswith(".lock"):
                    self._files.remove(mirror / name)

    def _sources(self, wants: Sequence[GitWant], whole: PurePath, cut: PurePath) -> PurePath:
        """A repository with all that is wanted: the mirror with whole history where it is needed or there already, else one
        with as much history as is wanted and no more, for this time only."""
        if self._files.status(whole / "HEAD") is None and all(want.depth for want in wants):
            self._initialise(cut)
            for want in wants:
                self._fetched(cut, want, want.depth)
            self._commit(cut, wants)
            if self._fetched_picks(cut, wants):
                return cut
        if self._files.status(whole / "HEAD") is None:
            self._initialise(whole)
        for want in wants:
            if not self._known(whole, want):
                self._fetched(whole, want, 0)
            for branch, pick in want.picks:
                self._obtain_pick(whole, want, branch, pick)
        return whole

    def _initialise(self, repository: PurePath) -> None:
        self._git(None, "init", "--quiet", "--bare", "--template=", "--", str(repository))
        self._git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")

    def _commit(self, repository: PurePath, wants: Sequence[GitWant]) -> str:
        commits = {self._checked(repository, want) for want in wants}
        assert len(commits) == 1, "wants of one bundle are of one commit"
        return commits.pop()

    def _publish(self, made: PurePath, target: PurePath) -> None:
        """Put a bundle under its name, in the place of an older one."""
        with self._files.open(made) as stream, self._files.create(target, replace=True) as out:
            while chunk := stream.read(MIB):
                out.write(chunk)
        self._files.remove(made)

    def _known(self, mirror: PurePath, want: GitWant) -> bool:
        """Whether nothing has to be asked."""
        if not want.commit or not self._has(mirror, want.commit):
            return False
        if want.tag:
            name = f"refs/tags/{want.tag}"
            return want.commit in (self._resolved(mirror, f"{name}^{{commit}}"), self._resolved(mirror, name))
        if want.branch and not want.tip and want.depth == 0:
            return self._is_ancestor(mirror, want.commit, f"refs/heads/{want.branch}")
        return want.exact

    def _fetched(self, repository: PurePath, want: GitWant, depth: int) -> None:
        """Ask for the ref that is wanted, with its history up to `depth`; 0 = all."""
        # Without a depth, tags of the history come along, for those who describe a commit by them.
        options = (f"--depth={depth}", "--no-tags") if depth else ()
        name = _name(want)
        try:
            if want.exact:
                self._fetched_exactly(repository, want, options)
            else:
                self._fetch(repository, want.location, options, [f"+{'HEAD' if name == _HEAD else name}:{name}"])
        except UnavailableError as error:
            if any("find remote ref" in line for line in error.details):
                kind = f"tag `{want.tag}`" if want.tag else f"branch `{want.branch}`" if want.branch else "HEAD"
                raise missing_reference(want, kind) from error
            raise

    def _fetched_exactly(self, repository: PurePath, want: GitWant, options: Sequence[str]) -> None:
        try:
            self._fetch(repository, want.location, (*options, "--no-tags"), [f"+{want.commit}:{_name(want)}"])
        except UnavailableError as error:
            if error.reason == "offline":
                raise
            # The server hands out only what has a name.
            self._fetch(repository, want.location, ("--tags",), ["+refs/heads/*:refs/heads/*"])
            if not self._has(repository, want.commit):
                raise self._not_found(want, "it is on no branch and has no tag") from None
            self._git(repository, "update-ref", _name(want), want.commit)

    def _fetched_picks(self, cut: PurePath, wants: Sequence[GitWant]) -> bool:
        """Bring all commits to apply, with their parents, in one go, so that none is cut off where another begins.  False when
        the server hands out only what has a name."""
        picks = [pick for want in wants for _, pick in want.picks]
        if not picks:
            return True
        if any(len(pick) not in (40, 64) for pick in picks):
            return False
        depth = max(2, *(want.depth for want in wants))
        specs = [
            f"+{'HEAD' if _name(want) == _HEAD else want.commit if want.exact else _name(want)}:{_name(want)}" for want in wants
        ]
        specs += [f"+{pick}:{PICKS}{pick}" for pick in picks]
        try:
            self._fetch(cut, wants[0].location, (f"--depth={depth}", "--no-tags"), specs)
        except UnavailableError as error:
            if error.reason == "offline":
                raise
            return False
        return True

    def _checked(self, repository: PurePath, want: GitWant) -> str:
        """The commit (spec package.md §6.1, rules 6 and 7)."""
        name = _name(want)
        found, value = self._resolved(repository, f"{name}^{{commit}}"), self._resolved(repository, name)
        if want.commit and not want.tag and not want.tip and want.depth == 0 and self._is_ancestor(repository, want.commit, name):
            return want.commit
        if not found:
            raise missing_reference(want, f"commit behind `{name}`")
        if want.commit in ("", found) or (want.tag and want.commit == value):
            return found
        if want.tag:
            raise moved(want, found)
        if want.tip:
            message = f"the newest commit of `{want.branch}` is {found}, expected {want.commit}"
            raise VerificationError(message, reason="not-branch-tip", origin=Origin(source=want.shown))
        if want.depth:
            raise self._not_found(want, f"the ref is at {found}", "give `depth: -1` to look further back")
        message = f"{want.commit} is not in the history of `{want.branch or 'HEAD'}` ({found})"
        raise VerificationError(message, reason="commit-diverged", origin=Origin(source=want.shown))

    def _not_found(self, want: GitWant, why: str, hint: str = "") -> VerificationError:
        message = f"commit {want.commit} of `{want.shown}` is not there: {why}"
        return VerificationError(message, reason="commit-not-found", origin=Origin(source=want.shown), hint=hint)

    def _obtain_pick(self, mirror: PurePath, want: GitWant, branch: str, pick: str) -> None:
        """Bring a commit to apply, with its parent, into the mirror."""
        if self._has(mirror, f"{pick}^"):
            return
        if len(pick) in (40, 64):
            try:
                self._fetch(mirror, want.location, ("--no-tags",), [f"+{pick}:{PICKS}{pick}"])
                return
            except UnavailableError as error:
                if error.reason == "offline":
                    raise
        for name in (f"refs/heads/{branch}", f"refs/{branch}") if branch else ("HEAD",):
            try:
                self._fetch(mirror, want.location, ("--no-tags",), [f"+{name}:refs/apkiln/branches/{name}"])
            except UnavailableError:
                continue
            if self._has(mirror, f"{pick}^"):
                return
        place = f"branch `{branch}`" if branch else "the history of the checkout"
        message = f"commit {pick}, to be applied, is not in {place} of `{want.shown}`"
        hint = "" if branch else "name its branch: `branch/commit: comment`"
        raise UnavailableError(message, reason="cherry-pick-missing", origin=Origin(source=want.shown), hint=hint)

    def _bundle(
        self, mirror: PurePath, wants: Sequence[GitWant], commit: str, content: PurePath, add_to: PurePath | None
    ) -> None:
        bare = content.with_name("bare.git")
        self._git(None, "init", "--quiet", "--bare", "--template=", "--", str(bare))
        if add_to is not None:
            self._take_over(bare, add_to)
        source = f"file://{mirror}"
        deepest = 0 if any(want.depth == 0 for want in wants) else max(want.depth for want in wants)
        picks = [self._resolved(mirror, pick) for want in wants for _, pick in want.picks]
        deepest = max(2, deepest) if picks and deepest else deepest
        deepest = self._depth_with(bare, deepest)
        depth = (f"--depth={deepest}",) if deepest else ("--unshallow",) if self._is_shallow(bare) else ()
        tags = [f"refs/tags/{want.tag}" for want in wants if want.tag]
        if not deepest:
            tags += self._lines(mirror, "for-each-ref", "--format=%(refname)", "--merged", commit, "refs/tags")
        older = self._lines(bare, "for-each-ref", "--format=%(objectname)", PICKS.rstrip("/"))
        picks += [pick for pick in older if self._has(mirror, f"{pick}^")]
        specs = [f"+{commit}:{_HEAD}", *(f"+{name}:{name}" for name in dict.fromkeys(tags))]
        specs += [f"+{pick}:{PICKS}{pick}" for pick in dict.fromkeys(picks)]
        self._local_fetch(bare, source, depth, specs)
        for want in wants:
            if not want.tag:
                self._git(bare, "update-ref", f"refs/heads/{want.branch}" if want.branch else SOURCE, commit)
        self._git(bare, "update-ref", "-d", _HEAD)
        self._describe(bare, commit, deepest)
        self._git(bare, "bundle", "create", "--quiet", str(content), "--all")

    def _take_over(self, bare: PurePath, bundle: PurePath) -> None:
        """Everything an older bundle has; one that is damaged counts for nothing."""
        heads = self._run(bare, ("bundle", "list-heads", str(bundle)))
        names = [line.partition(" ")[2] for line in heads.stdout.decode("utf-8", "replace").splitlines()]
        self._write_shallow(bare, [name.removeprefix(SHALLOW) for name in names if name.startswith(SHALLOW)])
        if self._run(bare, ("fetch", "--quiet", str(bundle), "+refs/*:refs/*")).exit_code:
            self._write_shallow(bare, [])

    def _write_shallow(self, bare: PurePath, commits: Sequence[str]) -> None:
        self._files.remove(bare / "shallow")
        if commits:
            with self._files.create(bare / "shallow") as stream:
                stream.write("".join(f"{one}\n" for one in commits).encode())

    def _depth_with(self, bare: PurePath, deepest: int) -> int:
        """The depth that also keeps what an older bundle has; its marks are removed."""
        for name in self._lines(bare, "for-each-ref", "--format=%(refname)", "refs/apkiln/depth", "refs/apkiln/shallow"):
            if name.startswith(DEPTH):
                old = int(name.removeprefix(DEPTH))
                deepest = 0 if old == 0 else max(deepest, old) if deepest else 0
            self._git(bare, "update-ref", "-d", name)
        return deepest

    def _describe(self, bare: PurePath, commit: str, deepest: int) -> None:
        """The refs that tell a receiver where history is cut, and how deep it is."""
        self._git(bare, "update-ref", f"{DEPTH}{deepest}", commit)
        if self._is_shallow(bare):
            for one in self._files.read(bare / "shallow", MIB).decode().split():
                self._git(bare, "update-ref", SHALLOW + one, one)

    def _is_shallow(self, bare: PurePath) -> bool:
        status = self._files.status(bare / "shallow")
        return status is not None and status.size > 0

    def _submodules(self, mirror: PurePath, commit: str) -> tuple[Submodule, ...]:
        listed = self._run(mirror, ("config", "--blob", f"{commit}:.gitmodules", "--null", "--list"))
        if listed.exit_code:
            return ()
        values: dict[str, str] = {}
        for item in listed.stdout.decode("utf-8", "replace").split("\0"):
            key, _, value = item.partition("\n")
            values[key] = value
        urls = {
            value: values.get(key.removesuffix(".path") + ".url", "")
            for key, value in values.items()
            if key.startswith("submodule.") and key.endswith(".path")
        }
        found = []
        for item in self._git(mirror, "ls-tree", "-r", "-z", commit).stdout.decode("utf-8", "replace").split("\0"):
            about, _, path = item.partition("\t")
            mode, _, rest = about.partition(" ")
            if mode == "160000" and urls.get(path):
                found.append(Submodule(path, urls[path], rest.rpartition(" ")[2]))
        return tuple(sorted(found))

    def _has(self, mirror: PurePath, commit: str) -> bool:
        return bool(self._resolved(mirror, f"{commit}^{{commit}}"))

    def _resolved(self, mirror: PurePath, name: str) -> str:
        done = self._run(mirror, ("rev-parse", "--verify", "--quiet", "--end-of-options", name))
        return done.stdout.decode().strip() if done.exit_code == 0 else ""

    def _is_ancestor(self, mirror: PurePath, commit: str, of: str) -> bool:
        return self._run(mirror, ("merge-base", "--is-ancestor", commit, of)).exit_code == 0

    def _lines(self, mirror: PurePath, *arguments: str) -> list[str]:
        return self._git(mirror, *arguments).stdout.decode("utf-8", "surrogateescape").split()

    def _fetch(self, mirror: PurePath, location: str, options: Sequence[str], specs: Sequence[str]) -> None:
        words = ("fetch", "--quiet", "--no-write-fetch-head", "--update-shallow", *options, "--end-of-options", location, *specs)
        self._remote(location, words, mirror)

    def _local_fetch(self, bare: PurePath, source: str, options: Sequence[str], specs: Sequence[str]) -> None:
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *options, "--stdin", source)
        done = self._run(bare, words, "".join(f"{spec}\n" for spec in specs).encode())
        if done.exit_code:
            raise git_failed(source, done)

    def _remote(self, location: str, words: Sequence[str], mirror: PurePath | None) -> Completed:
        """Run what talks to a server: again after a failure that may pass."""
        if self._offline and "://" in location and not location.startswith("file://"):
            shown = redact_url(location)
            message = f"`{shown}` is not in the cache and the network is off"
            raise UnavailableError(message, reason="offline", origin=Origin(source=shown), hint="run once without `--offline`")
        wait = FIRST_WAIT
        for tries in range(TRIES):
            done = self._run(mirror, words)
            if done.exit_code == 0:
                return done
            fault = git_failed(location, done)
            if not fault.retriable or tries == TRIES - 1:
                break
            self._clock.sleep(wait)
            wait *= 2
        raise fault


def _name(want: GitWant) -> str:
    """Name of the ref here that stands for what is wanted."""
    if want.exact:
        return f"refs/apkiln/commits/{want.commit}"
    return f"refs/tags/{want.tag}" if want.tag else f"refs/heads/{want.branch}" if want.branch else _HEAD
