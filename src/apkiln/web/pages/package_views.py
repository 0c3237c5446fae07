"""Pages about packages: lists and search, one name, one file with its dependencies both ways, its contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apkiln.core.errors import ApkilnError
from apkiln.repository.browsing.files import Files, files_of
from apkiln.repository.browsing.history import history
from apkiln.repository.browsing.inventory import newest, newest_first
from apkiln.repository.browsing.relations import Dependent, Need, dependents, needs, suggested
from apkiln.repository.browsing.standing import standing
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import Accepted, RepositoryState
from apkiln.web.pages.questions import Excerpt, excerpt
from apkiln.web.pages.visit import Page, Visit, missing

NAMES = 50
"""Rows of a list of packages."""
VERSIONS = 100
DEPENDENTS = 100
FILES = 500


class NameRow(NamedTuple):
    """One name in a list."""

    name: str
    version: str
    """The newest listed one, or the newest of all."""
    description: str
    arches: tuple[str, ...]
    """Whose index lists it; empty for what no index lists any more."""


class VersionRow(NamedTuple):
    """One package file of a name."""

    key: Key
    standing: str
    size: int
    changed: int
    transaction: int
    reason: str
    generations: str
    """Whose index lists it."""


def packages(visit: Visit) -> Page:
    """All current names, or those that a search finds (also names that no index lists any more)."""
    asked, arch = visit.question.text("q"), visit.question.text("arch")
    with visit.shelf.reading() as state:
        arches = tuple(sorted(visit.inventory.names_of))
        if arch and arch not in arches:
            return missing(f"no index for {arch}")
        if asked:
            found = visit.at(("search", asked), lambda: visit.inventory.search.find(asked))
            chosen = [name for name in found if name in visit.inventory.names_of[arch]] if arch else found
            part = excerpt(visit.question, len(chosen), NAMES)
            names: Sequence[str] = part.of(chosen)
        else:
            listed = visit.inventory.names_of[arch] if arch else visit.inventory.names
            part = excerpt(visit.question, len(listed), NAMES)
            names = listed.part(part.start, part.size)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        rows = [_name_row(visit, state, name) for name in names]
    return Page("packages.html", {"rows": rows, "part": part, "asked": asked, "arch": arch, "arches": arches})


def _name_row(visit: Visit, state: RepositoryState, name: str) -> NameRow:
    keys = visit.inventory.keys[name]
    package = newest(state, keys).package
    homes = {key.arch for key in keys if state.listed(key.arch, name)}
    return NameRow(name, package.version, package.description, tuple(sorted(homes)))


def package(visit: Visit, name: str) -> Page:
    """Everything that was ever accepted under a name."""
    with visit.shelf.reading() as state:
        keys = visit.inventory.keys.get(name)
        if keys is None:
            return missing(f"no package {name}")
        part = excerpt(visit.question, len(keys), VERSIONS)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        rows = [version_row(state, key) for key in part.of(keys)]
        current = tuple(key for arch in sorted({key.arch for key in keys}) for key in state.listed(arch, name)[-1:])
        values = {
            "package": newest(state, keys).package,
            "current": current,
            "rows": rows,
            "part": part,
            "pending": [place for place in sorted(state.pending) if place[0] == newest(state, keys).package.origin],
        }
    return Page("package.html", values)


def version_row(state: RepositoryState, key: Key) -> VersionRow:
    """What lists say of a package file."""
    accepted = state.accepted[key]
    return VersionRow(
        key,
        standing(state, key),
        accepted.package.size,
        accepted.changed,
        accepted.transaction,
        accepted.reason,
        spans_text(accepted),
    )


def spans_text(accepted: Accepted) -> str:
    """The generations that list a package: `2–4, 6–`."""
    return ", ".join(_span(first, end) for first, end in accepted.listed)


def _span(first: int, end: int) -> str:
    if not end:
        return f"{first}–"
    return f"{first}" if end == first + 1 else f"{first}–{end - 1}"


def version(visit: Visit, name: str, number: str, arch: str) -> Page:
    """One package file: what it says of itself, what it needs, what needs it."""
    key = Key(arch, name, number)
    with visit.shelf.reading() as state:
        accepted = state.accepted.get(key)
        if accepted is None:
            return missing(f"no package {key.name_version} for {arch}")
        home = _home(visit, arch)
        listing = visit.listing(home)
        found: tuple[Need, ...] = visit.at(("needs", key, home), lambda: needs(listing, accepted.package))
        askers: tuple[Dependent, ...] = visit.at(("dependents", key, home), lambda: dependents(listing, accepted.package))
        part = excerpt(visit.question, len(askers), DEPENDENTS)
        if not part.is_there:
            return missing(f"no page {visit.question.text('page')} of this list")
        siblings = newest_first(item for item in state.builds.get(accepted.package.build, ()) if item != key)
        values = {
            "package": accepted.package,
            "row": version_row(state, key),
            "home": home,
            "homes": _homes(visit) if arch == NOARCH else (),
            "needs": found,
            "suggested": suggested(listing, accepted.package),
            "dependents": part.of(askers),
            "part": part,
            "siblings": siblings,
            "events": history(state, key),
            "images": [image.name for image in visit.shelf.images if key in image.packages],
            "is_served": standing(state, key) not in ("withdrawn", "collected"),
        }
    return Page("version.html", values)


def _homes(visit: Visit) -> tuple[str, ...]:
    return tuple(sorted(visit.inventory.names_of))


def _home(visit: Visit, arch: str) -> str:
    """Whose index is looked at: that of the package, for `noarch` the one that was asked for, or the first."""
    if arch != NOARCH:
        return arch
    homes = _homes(visit)
    asked = visit.question.text("among")
    return asked if asked in homes else next(iter(homes), arch)


def files(visit: Visit, name: str, number: str, arch: str) -> Page:
    """Every path of a package file, read from the file that is served."""
    key = Key(arch, name, number)
    with visit.shelf.reading() as state:
        accepted = state.accepted.get(key)
        if accepted is None:
            return missing(f"no package {key.name_version} for {arch}")
        is_served = standing(state, key) not in ("withdrawn", "collected")
    service = visit.shelf.service
    contents, obstacle, status = Files((), (), ()), "", 200
    if is_served:
        try:
            package = accepted.package
            blobs, limits = service.equipment.blobs, service.equipment.limits
            contents = visit.shelf.files.get(package.digest, lambda: files_of(package, blobs, limits))
        except ApkilnError as error:
            obstacle, status = error.message, 200 if error.reason == "too-large-to-list" else 503
    part: Excerpt = excerpt(visit.question, len(contents.rows), FILES)
    if not part.is_there:
        return missing(f"no page {visit.question.text('page')} of this list")
    values = {
        "key": key,
        "standing": "" if is_served else "withdrawn or collected",
        "contents": contents,
        "rows": part.of(contents.rows),
        "part": part,
        "obstacle": obstacle,
    }
    return Page("files.html", values, status)
