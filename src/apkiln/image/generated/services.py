"""The service tree of s6: `/sv/<name>/run` (spec image.md §2.1 `entrypoint.services`)."""

from __future__ import annotations

from apkiln.core.errors import ConfigurationError
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import Entrypoint
from apkiln.image.generated.draft import Draft

RULE = "service-tree"
_DIRECTORY_MODE = 0o777


def services(draft: Draft, entrypoint: Entrypoint) -> None:
    """Rule `service-tree`: one script a service, written even without `type: service-bundle`, as the peer does.

    Raises ConfigurationError (`service-name`) for a name that is not one path component.
    """
    for name, command in entrypoint.services:
        if "/" in name or name in ("", ".", ".."):
            origin = entrypoint.command.origin
            raise ConfigurationError(f"{name!r} cannot be a service's name", reason="service-name", origin=origin)
        for path in ("sv", f"sv/{name}"):
            if not draft.exists(path):
                draft.put(RULE, Entry(path, EntryType.DIRECTORY, _DIRECTORY_MODE))
        draft.put(RULE, Entry(f"sv/{name}/run", EntryType.FILE, 0o755), f"#!/bin/execlineb\n{command}\n".encode())
