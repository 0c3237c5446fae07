"""The sources that a definition declares, as values (spec package.md §6.1, §9.4)."""

from __future__ import annotations

from typing import TypeAlias

from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.package.sources.cherry_picks import CherryPick

FULL_HISTORY = -1
"""The depth that stands for all commits."""


class FetchSource(NamedTuple):
    """One file that a `fetch` step takes."""

    uri: str
    digests: tuple[Digest, ...]
    """What the file must hash to, sha256 before sha512; empty = `expected-none`, the file is not pinned."""
    step: str
    """Where the step stands: `pipeline[0]`, `subpackages[1].pipeline[0].pipeline[2]`, `test.pipeline[0]`."""
    package: str
    """Name of the package whose steps it is among."""
    extract: bool = True
    strip_components: int = 1
    directory: str = "."
    purl_name: str = ""
    purl_version: str = ""
    origin: Origin = Origin()

    @property
    def file_name(self) -> str:
        """The name the step gives the file: the last part of the URI's path."""
        return file_name(self.uri)

    @property
    def cache_name(self) -> str:
        """Name of the file in the source cache: that of its first digest, as melange has it."""
        return str(self.digests[0]) if self.digests else unpinned_name(self.uri)


class GitSource(NamedTuple):
    """One commit that a `git-checkout` step takes."""

    repository: str
    commit: str
    """`expected-commit`: a commit, or the object of an annotated tag; empty = not pinned."""
    step: str
    package: str
    tag: str = ""
    branch: str = ""
    tip: bool = False
    """The commit must be the newest one of the branch."""
    depth: int = 1
    """Commits of history, or `FULL_HISTORY`."""
    submodules: bool = False
    shallow_submodules: bool = False
    """Submodules without their history."""
    picks: tuple[CherryPick, ...] = ()
    sparse_paths: tuple[str, ...] = ()
    destination: str = "."
    type_hint: str = ""
    origin: Origin = Origin()

    @property
    def cache_name(self) -> str:
        """Name of the bundle in the source cache."""
        return f"git:{self.commit}" if self.commit else unpinned_name(f"{self.repository}\n{self.tag or self.branch}")


Source: TypeAlias = FetchSource | GitSource


class SourcePlan(NamedTuple):
    """All sources in the order of their steps; one that occurs twice stands twice."""

    sources: tuple[Source, ...]
    """Those that are fetched before anything runs."""
    in_guest: tuple[Source, ...] = ()
    """Paths and `file:` URLs: the step takes them from the build environment."""

    @property
    def fetches(self) -> tuple[FetchSource, ...]:
        return tuple(item for item in self.sources if isinstance(item, FetchSource))

    @property
    def checkouts(self) -> tuple[GitSource, ...]:
        return tuple(item for item in self.sources if isinstance(item, GitSource))

    @property
    def unpinned(self) -> tuple[Source, ...]:
        """Those of which anything may come out."""
        return tuple(item for item in self.sources if not (item.digests if isinstance(item, FetchSource) else item.commit))


class Material(NamedTuple):
    """One source as it lies in the cache: what a bill of materials and a provenance statement say."""

    source: Source
    name: str
    """In the cache directory."""
    digest: Digest
    """SHA-256 of the file; of a checkout the commit, as a sha1 digest (sha256 for repositories of that kind)."""
    size: int
    """Bytes of the file; of a checkout those of its bundle."""
    location: str
    """Where it came from this time, without credentials: the URI, a mirror, `cache`."""


class FetchedSources(NamedTuple):
    """A filled cache: `directory` is what steps see, read-only, as `/var/cache/melange`."""

    directory: str
    materials: tuple[Material, ...]
    """In the order of the plan, one for each source."""


def file_name(uri: str) -> str:
    """The last part of the path of a URI, without query and fragment; `source` where that is no name."""
    path = uri.partition("#")[0].partition("?")[0].partition("://")[2] or uri
    name = path.rsplit("/", 1)[-1] if "/" in path else ""
    return name if name not in ("", ".", "..") and "\0" not in name else "source"


def unpinned_name(text: str) -> str:
    """Name in the cache of what has no digest: `unpinned:` and the SHA-256 of what names it."""
    import hashlib

    return "unpinned:" + hashlib.sha256(text.encode()).hexdigest()
