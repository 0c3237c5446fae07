"""Places that commands are given: a path, or `registry:HOST/NAME[:TAG][@DIGEST]` for an image in a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.place import Place


def open_named_place(text: str, context: Context, plain_http: frozenset[str] = frozenset()) -> Place:
    """The place; one in a registry is looked up now.

    Raises what `image.place.open_place` and `image.registry_place.RegistryPlace` raise, UnavailableError `offline`.
    """
    from apkiln.image.place import open_place
    from apkiln.image.registry_place import RegistryPlace, registry_reference
    from apkiln.system.files import DiskFiles

    settings = context.settings
    reference = registry_reference(text)
    if reference is None:
        return open_place(DiskFiles(), Path(settings.working_directory, text), settings.limits)
    from apkiln.core.errors import UnavailableError
    from apkiln.core.origin import Origin
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.process import SystemRunner
    from apkiln.system.registry_network import open_registry

    if settings.offline:
        message = f"`{reference}` is in a registry and the network is off"
        raise UnavailableError(message, reason="offline", origin=Origin(str(reference)), hint="run without `--offline`")
    registry = open_registry(settings.environment, DiskFiles(), SystemRunner(), plain_http=plain_http, jobs=settings.jobs)
    return RegistryPlace(registry, DirectoryStore(Path(settings.cache_directory)), reference)
