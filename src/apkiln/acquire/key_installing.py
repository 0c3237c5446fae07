"""Keys of repositories put into a root directory, as `etc/apk/repositories` there asks for (spec image.md §3, `install-keys`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePath

from apkiln.acquire.key_discovery import DiscoveredKey
from apkiln.acquire.repositories import Layout, Repository
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, ConflictError, FaultCollector, FaultGroup, FormatError, VerificationError
from apkiln.core.limits import KIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import Secret, redact_url
from apkiln.formats.apk.keys import PublicKey, parse_public_key
from apkiln.formats.apk.repositories import parse_repositories
from apkiln.system.files import FileReader, Files

REPOSITORIES = "etc/apk/repositories"
KEYS = "etc/apk/keys"
_LARGEST_LIST, _LARGEST_KEY = 1024 * KIB, 64 * KIB


class InstalledKey(NamedTuple):
    """A key that is there now."""

    path: PurePath
    found: DiscoveredKey
    written: bool
    """False: the same key was there already, and its file is as it was."""


def installed_repositories(root: PurePath, arch: str, files: FileReader) -> tuple[Repository, ...]:
    """The repositories of `etc/apk/repositories` below `root`; errors of `formats.apk.repositories`, with the file, and of
    `FileReader.read`."""
    path = root / REPOSITORIES
    try:
        lines = parse_repositories(files.read(path, _LARGEST_LIST), {"APK_ARCH": arch})
    except ApkilnError as fault:
        for single in fault.faults if isinstance(fault, FaultGroup) else (fault,):
            single.located(Origin(source=str(path)))
        raise
    bases = [(base.rstrip("/"), line.kind) for line in lines for base in line.bases]
    return tuple(
        Repository(
            redact_url(base), number=number, layout=Layout.INDEX if kind == "ndx" else Layout.DIRECTORY, location=Secret(base)
        )
        for number, (base, kind) in enumerate(bases)
    )


def pinned_keys(found: Iterable[DiscoveredKey], pins: Collection[Digest]) -> tuple[DiscoveredKey, ...]:
    """Those with one of the fingerprints; all of them where there are no `pins`.  VerificationError `pin-not-offered` for
    pins that no key has."""
    keys = tuple(found)
    missing = sorted({str(pin) for pin in pins} - {str(item.key.fingerprint) for item in keys})
    if missing:
        offered = [f"{item.key.fingerprint}  {item.key.name}" for item in keys]
        message = f"no repository offers a key with the fingerprint {', '.join(missing)}"
        raise VerificationError(message, reason="pin-not-offered", details=offered)
    return tuple(item for item in keys if not pins or item.key.fingerprint in pins)


def install_keys(keys: Iterable[DiscoveredKey], directory: PurePath, files: Files) -> tuple[InstalledKey, ...]:
    """Write each key under its name, mode 0644, whole or not at all.

    A key that is there is left alone.  Nothing is written when another key, or no key, stands under one of the names:
    ConflictError `key-differs`, all of them at once.
    """
    faults = FaultCollector.empty()
    wanted: list[InstalledKey] = []
    for item in keys:
        path = directory / item.key.name
        try:
            wanted.append(InstalledKey(path, item, not _is_there(path, item.key, files)))
        except ApkilnError as fault:
            faults.add(fault)
    faults.raise_if_any()
    if any(installed.written for installed in wanted):
        files.make_directory(directory)
    for installed in wanted:
        if installed.written:
            with files.create(installed.path, 0o644) as stream:
                stream.write(installed.found.key.pem)
    return tuple(wanted)


def _is_there(path: PurePath, key: PublicKey, files: FileReader) -> bool:
    """Whether the file holds this very key.  ConflictError `key-differs` when it holds anything else."""
    if files.status(path) is None:
        return False
    try:
        there = parse_public_key(key.name, files.read(path, _LARGEST_KEY)).fingerprint
    except FormatError:
        there = None
    if there == key.fingerprint:
        return True
    raise ConflictError(
        f"`{path}` holds another key than the one that is offered ({key.fingerprint})",
        reason="key-differs",
        origin=Origin(source=str(path)),
        details=[f"there: {there or 'no key'}"],
        hint="find out which one is right; remove the file if it is the new one",
    )
