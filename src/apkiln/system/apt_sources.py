"""The archives this machine is configured to use: apt's source lists, as far as they are a distribution's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from apkiln.core.errors import FormatError
from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.deb.sources import Source, parse_deb822, parse_one_line
from apkiln.system.files import FileReader

MAXIMUM_LIST = 4 * MIB
DISTRIBUTION_KEYRINGS = ("debian-archive", "ubuntu-archive")
"""How the file names of the distributions' own keyrings begin."""
DEFAULT_KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)
"""Keyrings for sources that name none, in order of preference."""


class MachineSources(NamedTuple):
    """What the source lists give."""

    sources: tuple[Source, ...]
    """Each with a keyring that exists."""
    skipped: tuple[str, ...]
    """One sentence per source or file that is left out."""


def machine_sources(files: FileReader, directory: PurePath) -> MachineSources:
    """Sources of the machine's lists in `directory` (`/etc/apt`): `sources.list`, then `sources.list.d/*` by name.

    Only archives of the distribution itself count: those whose keyring is a distribution's archive keyring.  A third party's
    source, a keyring that is missing and a list that cannot be parsed are skipped with a sentence, never an error.
    """
    found: list[Source] = []
    skipped: list[str] = []
    for path in _list_files(files, directory):
        try:
            found += read_list(files, path)
        except FormatError as fault:
            skipped.append(f"`{path}` is left out: {fault.message}")
    kept = [_with_keyring(files, source) for source in dict.fromkeys(found)]
    for source, usable in zip(dict.fromkeys(found), kept, strict=True):
        if usable is None:
            skipped.append(f"{source.origin}: suite `{source.suite}` is not the distribution's own, or its keyring is missing")
    return MachineSources(tuple(source for source in kept if source is not None), tuple(skipped))


def read_list(files: FileReader, path: PurePath) -> tuple[Source, ...]:
    """One source list; `*.sources` is deb822 style, anything else one-line style.  Raises FormatError (`source-list-syntax`)."""
    data = files.read(path, MAXIMUM_LIST)
    origin = Origin(source=str(path))
    return parse_deb822(data, origin) if path.suffix == ".sources" else parse_one_line(data, origin)


def _list_files(files: FileReader, directory: PurePath) -> list[PurePath]:
    paths: list[PurePath] = []
    if _is_file(files, directory / "sources.list"):
        paths.append(directory / "sources.list")
    parts = directory / "sources.list.d"
    status = files.status(parts)
    if status is not None and status.is_directory:
        paths += [parts / name for name in files.list(parts) if name.endswith((".list", ".sources"))]
    return paths


def _with_keyring(files: FileReader, source: Source) -> Source | None:
    """The source with a usable distribution keyring, None when it is somebody else's."""
    candidates = (source.signed_by,) if source.signed_by else DEFAULT_KEYRINGS
    for candidate in candidates:
        path = PurePath(candidate)
        if path.is_absolute() and path.name.startswith(DISTRIBUTION_KEYRINGS) and _is_file(files, path):
            return replace(source, signed_by=candidate)
    return None


def _is_file(files: FileReader, path: PurePath) -> bool:
    status = files.status(path)
    return status is not None and status.is_file
