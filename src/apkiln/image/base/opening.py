"""From the line of a definition to a base image ready to be built upon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, ConfigurationError
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.installed import parse_installed
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.base.packages import DATABASES, BaseContents, BaseDatabase, base_contents
from apkiln.image.base.stored_base import StoredBase, read_base
from apkiln.image.configuration.model import BaseImage
from apkiln.image.place import Place
from apkiln.rootfs.segments import read_content

if TYPE_CHECKING:
    from apkiln.acquire.access import Access

WORLD = "etc/apk/world"
REPOSITORIES = "etc/apk/repositories"


@value
class Base:
    """A base image for one architecture."""

    stored: StoredBase
    contents: BaseContents
    records: tuple[IndexRecord, ...]
    """Of its packages, in the order of its database."""
    world: tuple[str, ...]
    """What it asked for itself."""
    repositories: tuple[str, ...]
    """Lines of its `/etc/apk/repositories`."""


def load_base(settings: BaseImage, place: Place, arch: Arch, access: Access, *, name: str = "") -> Base:
    """The base image at `place` for `arch`.  `name`: its reference in a registry, if it has one.

    Raises what `read_base` raises, ConfigurationError (`base-without-database`), UnavailableError (`missing-file`, for
    `apkindex`), and the FormatErrors of its database, scripts and triggers.
    """
    stored = read_base(place, arch, access.store, access.limits, name=name, origin=settings.origin)
    try:
        return _complete(settings, stored, arch, access)
    except ApkilnError as fault:
        raise fault.located(Origin(settings.image)) from None


def _complete(settings: BaseImage, stored: StoredBase, arch: Arch, access: Access) -> Base:
    database = _Database(settings, stored, arch, access).read()
    records = tuple(package.record for package in database.packages)
    contents = base_contents(stored.tree.files, database)
    reader = _Reader(stored, access)
    world = reader.read(WORLD)
    # A base that does not say what it was asked for asked for everything.
    names = world.decode().split() if world is not None else [record.name for record in records]
    lines = (reader.read(REPOSITORIES) or b"").decode("utf-8", "replace").splitlines()
    kept = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    return Base(stored, contents, records, tuple(names), kept)


class _Reader:
    """Files of the base by path; links on the way are not followed."""

    def __init__(self, stored: StoredBase, access: Access) -> None:
        self._stored = stored
        self._store = access.store
        self._paths = frozenset(stored.tree.files.paths)

    def read(self, path: str) -> bytes | None:
        return read_content(self._store, self._stored.tree, path) if path in self._paths else None


class _Database:
    """The apk database, from the base itself or from the directory that the definition names."""

    def __init__(self, settings: BaseImage, stored: StoredBase, arch: Arch, access: Access) -> None:
        self._settings = settings
        self._arch = arch
        self._access = access
        self._reader = _Reader(stored, access)

    def read(self) -> BaseDatabase:
        from apkiln.formats.apk.triggers import parse_triggers

        directory, installed = self._found()
        packages = parse_installed(installed)
        triggers = self._reader.read(f"{directory}/triggers") or b""
        return BaseDatabase(packages, self._scripts(directory), {item.identity: item.globs for item in parse_triggers(triggers)})

    def _found(self) -> tuple[str, bytes]:
        """The directory of the database in the base, and the rows of installed packages."""
        directory, content = DATABASES[0], None
        for place in DATABASES:
            found = self._reader.read(f"{place}/installed")
            if found is not None and content is None:
                directory, content = place, found
        if self._settings.apkindex:
            path = PurePath(self._access.directory, self._settings.apkindex, self._arch.apk, "APKINDEX")
            content = self._access.files.read(path, self._access.limits.index_decompressed)
        if content is None:
            hint = "name a directory with the rows of its packages as `apkindex`, or another image"
            message = "the base image has no apk database"
            raise ConfigurationError(message, reason="base-without-database", origin=self._settings.origin, hint=hint)
        return directory, content

    def _scripts(self, directory: str) -> Mapping[bytes, tuple[tuple[str, bytes], ...]]:
        from apkiln.formats.apk.scripts import read_scripts

        content = self._reader.read(f"{directory}/scripts.tar") or self._reader.read(f"{directory}/scripts.tar.gz")
        found: dict[bytes, list[tuple[str, bytes]]] = {}
        for script in read_scripts(content, limits=self._access.limits) if content else ():
            found.setdefault(script.identity, []).append((script.kind, script.text))
        return {identity: tuple(scripts) for identity, scripts in found.items()}
