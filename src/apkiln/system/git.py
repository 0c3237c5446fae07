"""Commits of git repositories elsewhere: looked up, fetched, checked and written as bundles; and the twin in memory.

A bundle made here holds everything under `refs/`, with some refs of our own that a receiver can read without a side file:
`refs/apkiln/shallow/COMMIT` for each commit whose parents are left out (to be written into `shallow` before fetching),
`refs/apkiln/depth/N` for the commits of history (0 = all), `refs/apkiln/picks/COMMIT` for commits that are applied on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.formats.git_bundle import BundleHeader, write_header
from apkiln.system.files import FileWriter

SHALLOW, DEPTH, PICKS, SOURCE = "refs/apkiln/shallow/", "refs/apkiln/depth/", "refs/apkiln/picks/", "refs/heads/apkiln-source"


class RemoteReference(NamedTuple):
    """A ref as a server lists it."""

    name: str
    """Whole name, such as `refs/tags/v1.0`; `HEAD`."""
    object: str
    """What it points to: a commit, or the object of an annotated tag."""
    commit: str
    """The commit behind it."""


class GitWant(NamedTuple):
    """One commit that is wanted from one place."""

    location: str
    """URL, or path, that is asked."""
    commit: str = ""
    """What must come out: a commit, or the object of the annotated `tag`; empty = whatever is there."""
    tag: str = ""
    branch: str = ""
    """Neither tag nor branch: the server's `HEAD`, or, when `exact`, `commit` wherever it is."""
    tip: bool = False
    """The commit must be the newest of the branch."""
    exact: bool = False
    depth: int = 1
    """Commits of history; 0 = all."""
    picks: tuple[tuple[str, str], ...] = ()
    """(branch or other ref, or empty; commit) applied on top."""

    @property
    def shown(self) -> str:
        return redact_url(self.location)


class Submodule(NamedTuple):
    """A repository inside a commit."""

    path: str
    url: str
    """As `.gitmodules` has it; may be relative to the repository around."""
    commit: str


class Exported(NamedTuple):
    """What a bundle was made of."""

    commit: str
    """The commit behind what was wanted."""
    submodules: tuple[Submodule, ...]
    """Sorted by path; those without a URL are left out."""


class GitRepositories(Protocol):
    """Repositories elsewhere."""

    def references(self, location: str, patterns: Sequence[str] = ()) -> tuple[RemoteReference, ...]:
        """The refs of a repository, sorted by name; only those that match one of the patterns (`refs/tags/*`), when given.

        Raises UnavailableError `git-failed`, `offline`, EnvironmentFault `missing-program`.
        """

    def export(self, wants: Sequence[GitWant], target: PurePath, *, add_to: PurePath | None = None) -> Exported:
        """Write one bundle with everything that `wants` name: the same commit from the same place, in different depths and
        under different names.  `add_to`: an older bundle of the commit whose content is kept; may be `target` itself, which is
        replaced.  Paths are absolute.

        Raises, beside the above, VerificationError: `tag-moved`, `not-branch-tip`,
        `commit-diverged`, `commit-not-found`, and UnavailableError `ref-missing`, `cherry-pick-missing`.
        """


def satisfies(header: BundleHeader, want: GitWant) -> bool:
    """Whether a bundle with this header has all that is wanted."""
    references = dict(header.references)
    depths = [int(name.removeprefix(DEPTH)) for name in references if name.startswith(DEPTH)]
    enough = any(depth == 0 or (want.depth and depth >= want.depth) for depth in depths)
    named = not want.tag or f"refs/tags/{want.tag}" in references
    named = named and (not want.branch or f"refs/heads/{want.branch}" in references)
    named = named and (bool(want.tag or want.branch) or SOURCE in references)
    picks = [name.removeprefix(PICKS) for name in references if name.startswith(PICKS)]
    return enough and named and all(any(one.startswith(commit) for one in picks) for _, commit in want.picks)


def moved(want: GitWant, found: str) -> VerificationError:
    """A tag that is elsewhere."""
    return VerificationError(
        f"tag `{want.tag}` of `{want.shown}` is at commit {found}, expected {want.commit}",
        reason="tag-moved",
        origin=Origin(source=want.shown),
        hint="upstream moved the tag, or `expected-commit` is of another version",
    )


def missing_reference(want: GitWant, name: str) -> UnavailableError:
    """A ref the server does not have."""
    return UnavailableError(f"`{want.shown}` has no {name}", reason="ref-missing", origin=Origin(source=want.shown))


@dataclass(slots=True)
class MemoryRepository:
    """A repository that exists in memory: refs to (object, commit), and submodules of commits."""

    references: Mapping[str, tuple[str, str]]
    submodules: Mapping[str, tuple[Submodule, ...]]


class MemoryGit:
    """The twin.  Bundles are headers without a pack.  `exports` counts them."""

    def __init__(self, repositories: Mapping[str, MemoryRepository], files: FileWriter) -> None:
        self._repositories = dict(repositories)
        self._files = files
        self.exports = 0

    def references(self, location: str, patterns: Sequence[str] = ()) -> tuple[RemoteReference, ...]:
        from fnmatch import fnmatchcase

        found = self._repository(location).references
        names = sorted(name for name in found if not patterns or any(fnmatchcase(name, one) for one in patterns))
        return tuple(RemoteReference(name, *found[name]) for name in names)

    def export(self, wants: Sequence[GitWant], target: PurePath, *, add_to: PurePath | None = None) -> Exported:
        self.exports += 1
        commits = [self._commit(want) for want in wants]
        with self._files.create(target, replace=True) as stream:
            stream.write(write_header(BundleHeader(tuple(bundle_references(wants, commits[0], ())))))
        return Exported(commits[0], self._repository(wants[0].location).submodules.get(commits[0], ()))

    def _repository(self, location: str) -> MemoryRepository:
        if location not in self._repositories:
            shown = redact_url(location)
            raise UnavailableError(f"`{shown}` cannot be reached", reason="git-failed", origin=Origin(source=shown))
        return self._repositories[location]

    def _commit(self, want: GitWant) -> str:
        name = f"refs/tags/{want.tag}" if want.tag else f"refs/heads/{want.branch}" if want.branch else "HEAD"
        if want.exact:
            return want.commit
        found = self._repository(want.location).references.get(name)
        if found is None:
            raise missing_reference(want, name)
        if want.commit and want.commit not in found:
            raise moved(want, found[1])
        return found[1]


def bundle_references(wants: Iterable[GitWant], commit: str, shallow: Iterable[str]) -> Iterable[tuple[str, str]]:
    """(name, commit) of the refs that a bundle of these wants has beside its tags and picks."""
    deepest = 1
    for want in wants:
        deepest = 0 if deepest == 0 or want.depth == 0 else max(deepest, want.depth)
        if want.tag:
            yield f"refs/tags/{want.tag}", commit
        elif want.branch:
            yield f"refs/heads/{want.branch}", commit
        else:
            yield SOURCE, commit
        yield from ((PICKS + pick, pick) for _, pick in want.picks)
    yield f"{DEPTH}{deepest}", commit
    yield from ((SHALLOW + one, one) for one in shallow)
