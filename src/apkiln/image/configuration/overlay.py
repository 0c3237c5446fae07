"""What the command line adds to a definition: `-k`, `-b`, `-r`, `-p`, `--annotations`, `--arch` (spec image.md §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apkiln.core.arch import Arch
from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.image.configuration import forms
from apkiln.image.configuration.merge import union
from apkiln.image.configuration.model import ImageConfiguration, KeyringEntry, PackageRequest, Pairs, RepositoryEntry


class Overlay(NamedTuple):
    """Additions in the order given; the values of `annotations` and `archs` replace those of the definition."""

    keyring: tuple[KeyringEntry, ...] = ()
    build_repositories: tuple[RepositoryEntry, ...] = ()
    repositories: tuple[RepositoryEntry, ...] = ()
    packages: tuple[PackageRequest, ...] = ()
    annotations: Pairs = ()
    archs: tuple[str, ...] = ()


NO_OVERLAY = Overlay()


def parse_overlay(
    *,
    keyring: Iterable[str] = (),
    build_repositories: Iterable[str] = (),
    repositories: Iterable[str] = (),
    packages: Iterable[str] = (),
    annotations: Iterable[str] = (),
    archs: Iterable[str] = (),
) -> Overlay:
    """The values of the flags, each of which may be repeated and may hold several values separated by commas.

    Annotations are `key:value` or `key=value`, whichever sign comes first.  UsageError `bad-annotation`, `bad-value`.
    """
    checked_archs = _checked(archs, "--arch", forms.architecture)
    return Overlay(
        keyring=tuple(KeyringEntry(text, "", Origin("--keyring-append")) for text in _split(keyring)),
        build_repositories=_repositories(build_repositories, "--build-repository-append"),
        repositories=_repositories(repositories, "--repository-append"),
        packages=tuple(
            PackageRequest(text, (), Origin("--package-append")) for text in _checked(packages, "--package-append", forms.package)
        ),
        annotations=_annotations(annotations),
        archs=tuple(sorted({Arch.parse(name).oci for name in checked_archs})),
    )


def overlaid(configuration: ImageConfiguration, overlay: Overlay) -> ImageConfiguration:
    """The definition with the additions at the end of its lists."""
    contents = configuration.contents
    return configuration._replace(
        contents=contents._replace(
            keyring=contents.keyring + overlay.keyring,
            build_repositories=contents.build_repositories + overlay.build_repositories,
            repositories=contents.repositories + overlay.repositories,
            packages=contents.packages + overlay.packages,
        ),
        annotations=union(configuration.annotations, overlay.annotations),
        archs=overlay.archs or configuration.archs,
    )


def _split(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _checked(values: Iterable[str], flag: str, check: Callable[[str], str]) -> list[str]:
    found = _split(values)
    for text in found:
        if objection := check(text):
            raise UsageError(f"`{flag}`: {objection}", reason="bad-value")
    return found


def _repositories(values: Iterable[str], flag: str) -> tuple[RepositoryEntry, ...]:
    return tuple(RepositoryEntry(text.rstrip("/") or text, Origin(flag)) for text in _checked(values, flag, forms.repository))


def _annotations(values: Iterable[str]) -> Pairs:
    """Commas separate annotations only where a further `key:` or `key=` follows, so that values may hold commas."""
    found: dict[str, str] = {}
    for value in values:
        last = ""
        for part in value.split(","):
            key, value_text = _annotation(part)
            if key:
                found[key], last = value_text, key
            elif last:
                found[last] += "," + part
            else:
                hint = "write `key:value` or `key=value`"
                raise UsageError(f"`{value}` is no annotation", reason="bad-annotation", hint=hint)
    return tuple(sorted(found.items()))


def _annotation(part: str) -> tuple[str, str]:
    position = min((index for sign in ":=" if (index := part.find(sign)) > 0), default=0)
    key = part[:position].strip()
    return (key, part[position + 1 :]) if key and not any(char.isspace() for char in key) else ("", "")
