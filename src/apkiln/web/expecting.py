"""Expectations read from disk: recipes in a directory, locks of images (spec repository.md §5).

What was read is kept by content, so that looking every minute costs reading and no parsing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.repository.expectations import Expectations, LockedImage, Recipe
from apkiln.repository.ledger.packages import Key
from apkiln.system.files import FileReader


class ExpectConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[expect]`: for all repositories whose recipes and images these are."""

    recipes: str = ""
    """A directory with package definitions, `*.yaml`."""
    locks: tuple[str, ...] = ()
    """Locks of images."""
    build_minutes: int = 60
    image_hours: int = 24


class Expecting:
    """Reads again what changed."""

    def __init__(
        self, configuration: ExpectConfiguration, home: Path, files: FileReader, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._configuration = configuration
        self._home = home
        self._files = files
        self._limits = limits
        self._recipes: dict[str, Recipe] = {}
        self._images: dict[tuple[str, str], LockedImage] = {}

    def read(self, address: str, now: int) -> Expectations:
        """Of the repository at `address`, whose packages locks name by it.  `now`: Unix milliseconds."""
        given, unreadable = self._configuration, list[tuple[str, str]]()
        recipes = tuple(self._read_recipes(now, unreadable)) if given.recipes else ()
        images = tuple(self._read_images(address, unreadable))
        return Expectations(recipes, images, tuple(unreadable), given.build_minutes * 60_000, given.image_hours * 3_600_000)

    def _read_recipes(self, now: int, unreadable: list[tuple[str, str]]) -> Iterable[Recipe]:
        directory = self._home / self._configuration.recipes
        for name in self._files.list(directory):
            if not name.endswith((".yaml", ".yml")) or name.startswith("."):
                continue
            try:
                content = self._files.read(directory / name, self._limits.document)
                digest = hashlib.sha256(content).hexdigest()
                if digest not in self._recipes:
                    self._recipes[digest] = self._recipe(content, name, now)
                yield self._recipes[digest]
            except ApkilnError as error:
                unreadable.append((name, str(error)))

    def _recipe(self, content: bytes, name: str, now: int) -> Recipe:
        from apkiln.package.compilation.resolving import load

        package = load(content, name, limits=self._limits).evaluated.definition.package
        arches = tuple(item.text for item in package.target_architecture if item.text not in ("all", ""))
        return Recipe(package.name.text, package.full_version, arches, now)

    def _read_images(self, address: str, unreadable: list[tuple[str, str]]) -> Iterable[LockedImage]:
        from apkiln.image.lock.reading import parse_lock

        for name in self._configuration.locks:
            try:
                content = self._files.read(self._home / name, self._limits.document)
                place = (address, hashlib.sha256(content).hexdigest())
                if place not in self._images:
                    lock = parse_lock(content, name, self._limits)
                    ours = [item for item in lock.packages if item.url.startswith((f"{address}/", f"{address}@"))]
                    keys = tuple(Key(item.record_architecture, item.name, item.version) for item in ours)
                    self._images[place] = LockedImage(name, keys)
                yield self._images[place]
            except ApkilnError as error:
                unreadable.append((name, str(error)))
