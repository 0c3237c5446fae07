"""What others expect of a repository: recipes that should be published, images that should have what is current (spec §5).

Pure: who reads recipes and image locks hands them in as values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from apkiln.formats.apk.version import sort_key
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState, Status


class Recipe(NamedTuple):
    """One version that somebody wrote a recipe for."""

    origin: str
    version: str
    arches: tuple[str, ...] = ()
    """Where it should be; empty = wherever the repository has an index."""
    since: int = 0
    """Unix milliseconds since when it should be there."""


class LockedImage(NamedTuple):
    """What one image has of this repository."""

    name: str
    packages: tuple[Key, ...]


class Expectations(NamedTuple):
    """All of it."""

    recipes: tuple[Recipe, ...] = ()
    images: tuple[LockedImage, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    """(file, why): what could not be read, and so is not watched over."""
    build_time: int = 3_600_000
    """Milliseconds that a new recipe may take to be published."""
    image_time: int = 86_400_000
    """Milliseconds that an image may take to have what is current (I9)."""


NOTHING = Expectations()


class Surprise(NamedTuple):
    """As `reconciling.Difference`."""

    kind: str
    subject: str
    detail: str = ""


def differences_of(expected: Expectations, state: RepositoryState, now: int) -> Iterator[Surprise]:
    """`unbuilt` recipes, `image-withdrawn` and `image-stale` images, `unreadable` files.  `now`: Unix milliseconds."""
    yield from (Surprise("unreadable", name, why) for name, why in expected.unreadable)
    for recipe in expected.recipes:
        missing = _missing(recipe, state)
        if missing and now - recipe.since > expected.build_time:
            yield Surprise("unbuilt", f"{recipe.origin}-{recipe.version}", f"not live for {', '.join(missing)}")
    for image in expected.images:
        for key in image.packages:
            yield from _of_image(image, key, state, now - expected.image_time)


def _missing(recipe: Recipe, state: RepositoryState) -> tuple[str, ...]:
    """Architectures on which nothing of a recipe was ever live, or what was withdrawn."""
    keys = state.builds.get((recipe.origin, recipe.version), ())
    present = {key.arch for key in keys if state.accepted[key].status is Status.LIVE}
    if NOARCH in present:
        return ()
    return tuple(arch for arch in recipe.arches or state.arches if arch not in present)


def _of_image(image: LockedImage, key: Key, state: RepositoryState, since: int) -> Iterator[Surprise]:
    accepted = state.accepted.get(key)
    if accepted is None:
        return  # of another repository
    if accepted.status is Status.WITHDRAWN:
        yield Surprise("image-withdrawn", image.name, f"it has {key.name_version}, withdrawn: {accepted.reason}")
        return
    listed = state.listed(key.arch, key.name)
    newest = listed[-1] if listed else key
    if sort_key(newest.version) > sort_key(key.version) and state.accepted[newest].changed < since:
        yield Surprise("image-stale", f"{image.name} {key.name}", f"it has {key.version}, {newest.version} is live")
