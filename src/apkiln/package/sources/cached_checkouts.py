"""Commits of `git-checkout` steps in the source cache, as bundles; submodules as bundles of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.core.limits import MIB
from apkiln.core.secret import redact_url
from apkiln.formats.git_bundle import MAXIMUM_HEADER, read_header
from apkiln.package.sources.access import SourceAccess
from apkiln.package.sources.plan import FULL_HISTORY, GitSource, Material
from apkiln.system.files import Files
from apkiln.system.git import GitWant, Submodule, satisfies

MAXIMUM_SUBMODULES = 1000
"""Repositories inside one checkout, at any depth."""


def cached_checkout(group: Sequence[GitSource], access: SourceAccess) -> Material:
    """One bundle for all steps that want the commit, and those of its submodules."""
    first = group[0]
    wants = tuple(_want(source) for source in group)
    submodules = any(source.submodules for source in group)
    commit, location = _bundle(first.repository, first.cache_name, wants, access, submodules)
    if submodules:
        depth = 0 if any(source.submodules and not source.shallow_submodules for source in group) else 1
        _fetch_submodules(first.repository, first.cache_name, depth, access)
    place = access.cache / first.cache_name
    status = access.files.status(place)
    assert status is not None
    algorithm = "sha1" if len(commit) == 40 else "sha256"
    return Material(first, first.cache_name, Digest(algorithm, bytes.fromhex(commit)), status.size, location)


def _want(source: GitSource) -> GitWant:
    return GitWant(
        location=source.repository,
        commit=source.commit,
        tag=source.tag,
        branch=source.branch,
        tip=source.tip,
        depth=0 if source.depth == FULL_HISTORY else source.depth,
        picks=tuple((pick.branch, pick.commit) for pick in source.picks),
    )


def _bundle(repository: str, name: str, wants: Sequence[GitWant], access: SourceAccess, submodules: bool) -> tuple[str, str]:
    """(commit, where from) of a bundle, which is in the cache then."""
    place = access.cache / name
    known = _known_bundle(place, wants, access.files) if wants[0].commit else ""
    if known and not (submodules and access.files.status(_listing(place)) is None):
        return known, "cache"
    older = place if access.files.status(place) is not None and wants[0].commit else None
    faults: list[ApkilnError] = []
    for location in access.places.places(repository):
        try:
            exported = access.git.export([want._replace(location=location) for want in wants], place, add_to=older)
        except (UnavailableError, VerificationError) as error:
            faults.append(error)
            continue
        rows = [list(item) for item in exported.submodules]
        with access.files.create(_listing(place), replace=True) as stream:
            stream.write(canonical_json.encode(rows))
        return exported.commit, redact_url(location)
    if not faults:
        raise UnavailableError(f"no place is known for `{redact_url(repository)}`", reason="source-unavailable")
    raise next((fault for fault in faults if isinstance(fault, VerificationError)), faults[-1])


def _known_bundle(place: PurePath, wants: Sequence[GitWant], files: Files) -> str:
    """The commit of a bundle that has all that is wanted; empty when there is none."""
    if files.status(place) is None:
        return ""
    with files.open(place) as stream:
        try:
            header = read_header(stream.read(MAXIMUM_HEADER))
        except ApkilnError:
            return ""
    if not all(satisfies(header, want) for want in wants):
        return ""
    return next((commit for name, commit in header.references if name.startswith("refs/apkiln/depth/")), "")


def _listing(place: PurePath) -> PurePath:
    """The file that names the submodules of a bundle."""
    return place.with_name(f"{place.name}.submodules")


def _fetch_submodules(repository: str, name: str, depth: int, access: SourceAccess) -> None:
    """The bundles of all submodules, at any depth."""
    import json

    open_ones = [(repository, name)]
    seen = {name}
    while open_ones:
        around, bundle = open_ones.pop()
        listed = json.loads(access.files.read(_listing(access.cache / bundle), 16 * MIB))
        for submodule in (Submodule(*row) for row in listed):
            url, inner = joined(around, submodule.url), f"git:{submodule.commit}"
            if inner in seen:
                continue
            seen.add(inner)
            if len(seen) > MAXIMUM_SUBMODULES:
                message = f"`{redact_url(repository)}` has more than {MAXIMUM_SUBMODULES} submodules"
                raise UnavailableError(message, reason="too-many-submodules")
            want = GitWant(url, submodule.commit, exact=True, depth=depth)
            _bundle(url, inner, (want,), access, True)
            open_ones.append((url, inner))


def joined(around: str, url: str) -> str:
    """The URL of a submodule; `./` and `../` count from the repository around."""
    if not url.startswith(("./", "../")):
        return url
    base = around.rstrip("/")
    for part in url.split("/"):
        if part == "..":
            cut = max(base.rfind("/"), base.rfind(":") if "://" not in base else -1)
            base = base[:cut]
        elif part not in (".", ""):
            base += f"/{part}"
    return base
