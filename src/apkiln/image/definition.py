"""Reading definitions from where the user keeps them (the one place where configuration meets files)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import PurePath

from apkiln.core.errors import EnvironmentFault, FaultCollector, UnavailableError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.secret import redact_url
from apkiln.formats.yamlnode import stored
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.node import Document
from apkiln.image.configuration.loading import LoadedConfiguration, ReadFile, load_configuration
from apkiln.image.configuration.overlay import NO_OVERLAY, Overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.system.files import FileReader
    from apkiln.system.store import Store

_TABLE = "yaml-documents"
_USER_PART = pattern(rb"://[^/\s]*@")
"""Of a URL: a user name, and perhaps a password, which no cache gets to see."""


def read_definition(
    files: FileReader,
    directory: PurePath,
    path: str,
    limits: Limits,
    *,
    include_paths: Sequence[str] = (),
    overlay: Overlay = NO_OVERLAY,
    strict: bool = False,
    fetch: Callable[[str], bytes] | None = None,
    store: Store | None = None,
) -> LoadedConfiguration:
    """The definition at `path`, relative to `directory`; errors as of `load_configuration`.

    `store`: keeps the nodes of documents without faults under the digest of their bytes (table `yaml-documents`).
    """
    return load_configuration(
        path,
        definition_reader(files, directory, limits),
        include_paths=include_paths,
        overlay=overlay,
        strict=strict,
        limits=limits,
        compose=compose if store is None else partial(_remembered, store),
    )


def definition_reader(
    files: FileReader, directory: PurePath, limits: Limits, fetch: Callable[[str], bytes] | None = None
) -> ReadFile:
    """A function from path to bytes, relative to `directory`; None where nothing is.

    URLs, which includes must pin, are read with `fetch`; without it UnavailableError `remote-include`.
    """

    def read(path: str) -> bytes | None:
        if "://" in path:
            if fetch is not None:
                return fetch(path)
            hint = "include a local copy"
            raise UnavailableError(
                "this command reads no remote includes", reason="remote-include", origin=Origin(redact_url(path)), hint=hint
            )
        place = directory / path
        status = files.status(place)
        return None if status is None or status.is_directory else files.read(place, limits.document)

    return read


def _remembered(store: Store, data: bytes, source: str, faults: FaultCollector, limits: Limits) -> Document:
    """As `compose`.  A cache that cannot be used is no reason to refuse a definition; one with credentials is not kept."""
    key = f"{sha256(data).hexdigest()}.{stored.VERSION}"
    with suppress(EnvironmentFault):
        row = store.get(_TABLE, key) if len(data) <= limits.document else None
        if row is not None:
            return Document(source, data.decode("utf-8-sig"), stored.decode(row))
    before = len(faults.faults)
    document = compose(data, source, faults, limits)
    nodes = stored.encode(document.root) if len(faults.faults) == before else None
    if nodes is not None and not _USER_PART.search(nodes):
        with suppress(EnvironmentFault):
            store.put(_TABLE, key, nodes)
    return document
