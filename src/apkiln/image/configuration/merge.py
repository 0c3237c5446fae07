"""An included definition below the including one (spec image.md §2.2)."""

from __future__ import annotations

from collections.abc import Callable

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import replace
from apkiln.image.configuration.model import (
    Accounts,
    BaseImage,
    Certificates,
    Contents,
    Entrypoint,
    ImageConfiguration,
    KeyringEntry,
    Layering,
    PackageRequest,
    Pairs,
    PathMutation,
    RepositoryEntry,
    SbomSettings,
)
from apkiln.image.configuration.note import Note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Item = TypeVar("_Item")
    _Removable = TypeVar("_Removable", PackageRequest, RepositoryEntry)


class Remarks(NamedTuple):
    """Where merging tells what it found."""

    faults: FaultCollector
    notes: list[Note]


def merged(base: ImageConfiguration, child: ImageConfiguration, remarks: Remarks) -> ImageConfiguration:
    """`child` with what it lacks taken from `base`; lists are base then child.

    Associative as long as no list repeats an entry, no entry removes another and `merge: deep` is not used.
    A removal (`-item`) that meets nothing is a fault `nothing-to-remove`; dropped repetitions are noted.
    """
    deep = child.merge == "deep"
    return ImageConfiguration(
        contents=_contents(base.contents, child.contents, deep, remarks),
        entrypoint=_entrypoint(base.entrypoint, child.entrypoint, deep),
        cmd=child.cmd or base.cmd,
        stop_signal=child.stop_signal or base.stop_signal,
        work_dir=child.work_dir or base.work_dir,
        accounts=_accounts(base.accounts, child.accounts, remarks),
        archs=child.archs or base.archs,
        environment=union(base.environment, child.environment),
        paths=_paths(base.paths, child.paths, remarks),
        vcs_url=child.vcs_url or base.vcs_url,
        annotations=union(base.annotations, child.annotations),
        include=child.include,
        volumes=_distinct(base.volumes, child.volumes, "volumes", remarks),
        layering=_layering(base.layering, child.layering, deep),
        format=child.format or base.format,
        certificates=_certificates(base.certificates, child.certificates, deep, remarks),
        labels=base.labels if child.labels is None else union(base.labels or (), child.labels),
        healthcheck=child.healthcheck or base.healthcheck,
        ports=_distinct(base.ports, child.ports, "ports", remarks),
        os_release=union(base.os_release, child.os_release),
        sbom=_sbom(base.sbom, child.sbom),
        scripts=child.scripts or base.scripts,
        merge=child.merge,
    )


def union(base: Pairs, child: Pairs) -> Pairs:
    """Both mappings; the child's value where both have a key."""
    return tuple(sorted((dict(base) | dict(child)).items()))


def is_removal(text: str) -> bool:
    """Whether a list entry removes one of the included definition."""
    return text.startswith("-")


def _contents(base: Contents, child: Contents, deep: bool, remarks: Remarks) -> Contents:
    def repositories(name: str) -> tuple[RepositoryEntry, ...]:
        above, below = getattr(child, name), getattr(base, name)
        left, kept = _removed(below, above, _same_text, remarks)
        return _distinct(left, kept, name, remarks)

    packages, requested = _removed(base.packages, child.packages, _same_package, remarks)
    return Contents(
        repositories=repositories("repositories"),
        build_repositories=repositories("build_repositories"),
        runtime_repositories=repositories("runtime_repositories"),
        keyring=_distinct(base.keyring, child.keyring, "keyring", remarks),
        runtime_keyring=_distinct(base.runtime_keyring, child.runtime_keyring, "runtime_keyring", remarks),
        packages=_distinct(packages, requested, "packages", remarks),
        baseimage=_base_image(base.baseimage, child.baseimage, deep),
        drift=_distinct(base.drift, child.drift, "drift", remarks),
        no_runtime_repositories=base.no_runtime_repositories or child.no_runtime_repositories,
    )


def _removed(
    base: tuple[_Removable, ...],
    child: tuple[_Removable, ...],
    matches: Callable[[str, str], bool],
    remarks: Remarks,
) -> tuple[tuple[_Removable, ...], tuple[_Removable, ...]]:
    """`base` without the entries that `child` removes, and `child` without its removals."""
    left = base
    for removal in child:
        if is_removal(removal.text):
            wanted = removal.text[1:]
            remaining = tuple(entry for entry in left if not matches(entry.text, wanted))
            if len(remaining) == len(left):
                report_idle_removal(removal.text, removal.origin, remarks.faults)
            left = remaining
    return left, tuple(entry for entry in child if not is_removal(entry.text))


def report_idle_removal(text: str, origin: Origin, faults: FaultCollector) -> None:
    """Fault for a removal that no included definition has anything for."""
    message = f"`{text}` removes nothing: no included definition lists `{text[1:]}`"
    faults.add(ConfigurationError(message, reason="nothing-to-remove", origin=origin))


def _same_text(entry: str, wanted: str) -> bool:
    return entry == wanted


def _same_package(entry: str, wanted: str) -> bool:
    """The same item, or any item on a package that is named without constraint."""
    bare = entry.lstrip("!")
    return entry == wanted or (bare.startswith(wanted) and bare[len(wanted)] in "<>=~@")


def _distinct(base: tuple[_Item, ...], child: tuple[_Item, ...], name: str, remarks: Remarks) -> tuple[_Item, ...]:
    """`base` then `child` without exact repetitions."""
    kept = list(base)
    seen = set(base)
    for item in child:
        if item in seen:
            remarks.notes.append(_repetition(name, item))
        else:
            kept.append(item)
            seen.add(item)
    return tuple(kept)


def _repetition(name: str, item: object) -> Note:
    shown = redact_url(item.location) if isinstance(item, KeyringEntry) else item
    for attribute in ("redacted", "text", "name", "username", "groupname", "path"):
        shown = getattr(item, attribute, shown) if shown is item else shown
    return Note(f"`{name}` of the included definition already has `{shown}`", getattr(item, "origin", Origin()))


def _paths(base: tuple[PathMutation, ...], child: tuple[PathMutation, ...], remarks: Remarks) -> tuple[PathMutation, ...]:
    """As `_distinct`, but a repetition counts again when something between the two concerns the same place."""
    kept = list(base)
    for item in child:
        if item in kept and not any(_overlap(other.path, item.path) for other in kept[kept.index(item) + 1 :]):
            remarks.notes.append(_repetition("paths", item))
        else:
            kept.append(item)
    return tuple(kept)


def _overlap(one: str, other: str) -> bool:
    first, second = one.strip("/") + "/", other.strip("/") + "/"
    return first.startswith(second) or second.startswith(first)


def _accounts(base: Accounts, child: Accounts, remarks: Remarks) -> Accounts:
    return Accounts(
        run_as=child.run_as or base.run_as,
        users=_distinct(base.users, child.users, "users", remarks),
        groups=_distinct(base.groups, child.groups, "groups", remarks),
        gshadow=base.gshadow or child.gshadow,
    )


def _entrypoint(base: Entrypoint, child: Entrypoint, deep: bool) -> Entrypoint:
    if not deep:
        return base if child == Entrypoint() else child
    return Entrypoint(
        type=child.type or base.type,
        command=child.command or base.command,
        shell_fragment=child.shell_fragment or base.shell_fragment,
        services=union(base.services, child.services),
    )


def _layering(base: Layering | None, child: Layering | None, deep: bool) -> Layering | None:
    if child is None or base is None or not deep:
        return base if child is None else child
    budget = base.budget if child.budget is None else child.budget
    return Layering(child.strategy or base.strategy, budget, child.groups or base.groups, child.origin)


def _certificates(base: Certificates, child: Certificates, deep: bool, remarks: Remarks) -> Certificates:
    if not deep:
        return base if child == Certificates() else child
    return Certificates(
        _distinct(base.additional, child.additional, "certificates", remarks),
        _distinct(base.providers, child.providers, "providers", remarks),
    )


def _base_image(base: BaseImage | None, child: BaseImage | None, deep: bool) -> BaseImage | None:
    if child is None or base is None or not deep:
        return base if child is None else child
    return replace(child, image=child.image or base.image, apkindex=child.apkindex or base.apkindex)


def _sbom(base: SbomSettings, child: SbomSettings) -> SbomSettings:
    return SbomSettings(
        formats=child.formats or base.formats,
        namespace=child.namespace or base.namespace,
        supplier=child.supplier or base.supplier,
        creators=child.creators or base.creators,
    )
