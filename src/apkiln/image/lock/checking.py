"""Whether a lock is of this definition, for these architectures, with these local files (spec image.md §4.2).  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError, FaultCollector, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.image.configuration.loading import LoadedConfiguration
from apkiln.image.lock.document import Lock, LockedFile

_AGAIN = "make the lock again with `apkiln image lock`"


def check_lock(
    lock: Lock, source: str, loaded: LoadedConfiguration, architectures: Sequence[Arch], files: Sequence[LockedFile]
) -> tuple[str, ...]:
    """Remarks about a lock that fits; all that does not fit is raised at once, located in `source`, the lock's path.

    `files`: what the lock would say of local files now.  ConfigurationError: `lock-config-changed` (with the files that
    changed and the requests that differ), `lock-request-changed` (same files, other flags), `lock-arch-missing`,
    `lock-key-missing`; VerificationError `lock-file-changed`.
    """
    faults = FaultCollector.empty()
    origin = Origin(source)
    requests = list(_request_differences(lock, loaded, architectures))
    if lock.configuration_checksum and lock.configuration_checksum != loaded.checksum:
        message = "the lock was made from another definition"
        details = [*_changed_definitions(lock, files), *requests]
        faults.add(ConfigurationError(message, reason="lock-config-changed", origin=origin, details=details, hint=_AGAIN))
    elif requests:
        message = "the lock was made for other requests"
        hint = f"{_AGAIN}, or give the flags with which it was made{': ' if lock.flags else ''}{' '.join(lock.flags)}"
        faults.add(ConfigurationError(message, reason="lock-request-changed", origin=origin, details=requests, hint=hint))
    for arch in architectures:
        if not lock.of(arch.apk):
            known = ", ".join(lock.architectures) or "none"
            message = f"the lock has no packages for {arch.apk}; it has: {known}"
            faults.add(ConfigurationError(message, reason="lock-arch-missing", origin=origin, hint=_AGAIN))
    for location in _missing_keys(lock, loaded):
        message = f"the lock does not hold the key `{location}`"
        faults.add(ConfigurationError(message, reason="lock-key-missing", origin=origin, hint=_AGAIN))
    for path in _changed_copies(lock, files):
        message = f"`{path}` is not what it was when the lock was made"
        faults.add(VerificationError(message, reason="lock-file-changed", origin=Origin(path), hint=_AGAIN))
    faults.raise_if_any()
    if not lock.configuration_checksum:
        return (f"{source} does not say from which definition it was made",)
    return ()


def _request_differences(lock: Lock, loaded: LoadedConfiguration, architectures: Sequence[Arch]) -> Iterator[str]:
    """`+` for what is asked for and was not, `-` the other way round; nothing for locks of apko, which do not say."""
    locked = dict(lock.requested)
    for arch in architectures:
        if arch.apk not in locked:
            continue
        wanted = {request.text for request in loaded.configuration.requests_for(arch)}
        for sign, names in (("+", wanted - set(locked[arch.apk])), ("-", set(locked[arch.apk]) - wanted)):
            yield from (f"{arch.apk}: {sign}{name}" for name in sorted(names))


def _changed_definitions(lock: Lock, files: Iterable[LockedFile]) -> Iterator[str]:
    before = {item.path: item.sha256 for item in lock.files if item.kind == "definition"}
    now = {item.path: item.sha256 for item in files if item.kind == "definition"}
    if not before:
        yield f"the lock was made from `{lock.configuration_name}`"
        return
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            yield f"`{path}` is not included any more"
        elif path not in before:
            yield f"`{path}` was not part of it"
        elif before[path] != now[path]:
            yield f"`{path}` has changed"


def _changed_copies(lock: Lock, files: Iterable[LockedFile]) -> Iterator[str]:
    before = {item.path: item for item in lock.files if item.kind != "definition"}
    return (item.path for item in files if item.kind != "definition" and before.get(item.path, item) != item)


def _missing_keys(lock: Lock, loaded: LoadedConfiguration) -> Iterator[str]:
    held = {key.url for key in lock.keyring}
    for entry in loaded.configuration.contents.keyring:
        if redact_url(entry.location) not in held and entry.location not in held:
            yield redact_url(entry.location)
