"""A definition with everything it includes: read, merged, overlaid, checked (spec image.md §2.2).

Pure: files are read through a function handed in, so that a test gives a dictionary's `get`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector, FaultGroup, UnavailableError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.excerpt import excerpt
from apkiln.formats.yamlnode.node import Document
from apkiln.image.configuration.merge import Remarks, merged
from apkiln.image.configuration.model import ImageConfiguration, Include
from apkiln.image.configuration.note import Note
from apkiln.image.configuration.overlay import NO_OVERLAY, Overlay, overlaid
from apkiln.image.configuration.reading import read_configuration
from apkiln.image.configuration.validation import validate

ReadFile = Callable[[str], "bytes | None"]
"""The bytes of a path (or of a URL that an include pins); None when there is no such file."""
Compose = Callable[[bytes, str, FaultCollector, Limits], Document]
"""`formats.yamlnode.compose.compose`, or something that remembers its results."""

MAXIMUM_INCLUDES = 32
"""Depth of includes; a chain this long is taken for a cycle."""


class LoadedConfiguration(NamedTuple):
    """A valid definition and where it came from."""

    configuration: ImageConfiguration
    checksum: str
    """`sha256-<base64>` over the bytes of the file and its includes in load order: the lock's `config.checksum`."""
    files: tuple[str, ...]
    """The files in load order, as they were found."""
    notes: tuple[Note, ...]
    """Things that are legal and probably not meant."""
    digests: tuple[str, ...] = ()
    """Hex SHA-256 of each of `files`."""


def load_configuration(
    path: str,
    read_file: ReadFile,
    *,
    include_paths: Sequence[str] = (),
    overlay: Overlay = NO_OVERLAY,
    strict: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    compose: Compose = compose,
) -> LoadedConfiguration:
    """Read the definition at `path`.

    An included path is looked for in the including file's directory, as given, then below each of `include_paths`.
    Raises UnavailableError (`file-not-found`), VerificationError (`digest-mismatch`) and ConfigurationError or a FaultGroup
    with all faults of all files, each with file, line, column and the line itself.
    """
    loader = _Loader(read_file, tuple(include_paths), strict, limits, compose)
    try:
        configuration = overlaid(loader.load(path, Origin(), ""), overlay)
    except ConfigurationError as error:
        loader.faults.add(error)
        raise _grouped(loader) from None
    validate(configuration, loader.faults, Origin(path, 1, 1), strict=strict)
    if loader.faults.faults:
        raise _grouped(loader)
    checksum = "sha256-" + b64encode(sha256(b"".join(loader.contents)).digest()).decode()
    digests = tuple(sha256(content).hexdigest() for content in loader.contents)
    return LoadedConfiguration(configuration, checksum, tuple(loader.files), tuple(loader.notes), digests)


def _grouped(loader: _Loader) -> ApkilnError:
    """All faults as one error, those without an excerpt completed."""
    for fault in loader.faults.faults:
        text = loader.texts.get(fault.origin.source)
        if text is not None and not fault.details and fault.origin.column:
            fault.details = excerpt(text, fault.origin.line, fault.origin.column)
    faults = loader.faults.faults
    return faults[0] if len(faults) == 1 else FaultGroup(faults)


class _Loader:
    def __init__(
        self, read_file: ReadFile, include_paths: tuple[str, ...], strict: bool, limits: Limits, compose: Compose
    ) -> None:
        self.read_file = read_file
        self.include_paths = include_paths
        self.strict = strict
        self.limits = limits
        self.compose = compose
        self.faults = FaultCollector.empty()
        self.notes: list[Note] = []
        self.contents: list[bytes] = []
        self.files: list[str] = []
        self.texts: dict[str, str] = {}
        """Text by source name, for excerpts."""
        self.open: list[str] = []
        """The chain of files being read."""

    def load(self, path: str, asked: Origin, pin: str) -> ImageConfiguration:
        data = self._found(path, asked) if not self.open else self._included(path, asked)
        path = self.files[-1]
        if pin and sha256(data).hexdigest() != pin.lower():
            message = f"`{redact_url(path)}` has not the SHA-256 that the include names"
            raise VerificationError(message, reason="digest-mismatch", origin=asked)
        if path in self.open or len(self.open) >= MAXIMUM_INCLUDES:
            chain = " → ".join([*self.open[-3:], path])
            raise ConfigurationError(f"includes form a cycle: {chain}", reason="include-cycle", origin=asked)
        self.contents.append(data)
        source = redact_url(path)
        document = self.compose(data, source, self.faults, self.limits)
        self.texts[source] = document.text
        child = read_configuration(document, self.faults, self.notes, strict=self.strict)
        self.open.append(path)
        result = self._with_includes(child)
        self.open.pop()
        return result

    def _with_includes(self, child: ImageConfiguration) -> ImageConfiguration:
        remarks = Remarks(self.faults, self.notes)
        base: ImageConfiguration | None = None
        for include in child.include:
            if self._is_pinned(include):
                one = self.load(include.location, include.origin, include.sha256)
                base = one if base is None else merged(base, replace_include(one, ()), remarks)
        return child if base is None else merged(base, child, remarks)

    def _is_pinned(self, include: Include) -> bool:
        remote = "://" in include.location
        if remote and not include.sha256:
            message = f"`{redact_url(include.location)}` is remote and needs `sha256`"
            self.faults.add(ConfigurationError(message, reason="include-needs-digest", origin=include.origin))
        return not remote or bool(include.sha256)

    def _found(self, path: str, asked: Origin) -> bytes:
        data = self.read_file(path)
        if data is None:
            raise UnavailableError(f"there is no file `{path}`", reason="file-not-found", origin=asked)
        self.files.append(path)
        return data

    def _included(self, path: str, asked: Origin) -> bytes:
        tried = [path] if "://" in path or path.startswith("/") else self._places(path)
        for place in dict.fromkeys(tried):
            data = self.read_file(place)
            if data is not None:
                self.files.append(place)
                return data
        raise UnavailableError(
            f"the included file `{redact_url(path)}` does not exist",
            reason="file-not-found",
            origin=asked,
            hint="looked for " + ", ".join(f"`{redact_url(place)}`" for place in dict.fromkeys(tried)),
        )

    def _places(self, path: str) -> list[str]:
        beside, slash, _ = self.open[-1].rpartition("/")
        below = [folder.rstrip("/") + "/" + path for folder in self.include_paths]
        return [_plain_path(place) for place in (beside + slash + path, path, *below)]


def replace_include(configuration: ImageConfiguration, include: tuple[Include, ...]) -> ImageConfiguration:
    """The definition with other includes."""
    return configuration._replace(include=include)


def _plain_path(path: str) -> str:
    """Without `.` components, so that one file has one name."""
    parts = [part for part in path.split("/") if part not in (".", "")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)
