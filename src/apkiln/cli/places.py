"""Places that commands are given: a path, or `registry:HOST/NAME[:TAG][@DIGEST]` for an image in a registry."""

from __future__ import annotations

from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.place import Place


def open_named_place(text: str, context: Context, plain_http: frozenset[str] = frozenset()) -> Place:
    """The place; one in a registry is looked up now, or with `--offline` in the cache.

    Raises what `image.place.open_place` and `image.registry_place.RegistryPlace` raise, UnavailableError `offline`.
    """
    from apkiln.image.place import open_place
    from apkiln.image.registry_place import RegistryPlace, registry_reference
    from apkiln.system.files import DiskFiles

    settings = context.settings
    reference = registry_reference(text)
    if reference is None:
        return open_place(DiskFiles(), Path(settings.working_directory, text), settings.limits)
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.process import SystemRunner
    from apkiln.system.registry_network import open_registry

    store = DirectoryStore(Path(settings.cache_directory))
    if settings.offline:
        return RegistryPlace(None, store, reference)
    registry = open_registry(settings.environment, DiskFiles(), SystemRunner(), plain_http=plain_http, jobs=settings.jobs)
    return RegistryPlace(registry, store, reference)
