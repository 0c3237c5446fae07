"""`/etc/apko.json`: the resolved definition inside the image, where tools of the ecosystem look for it (spec image.md §5.3)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.configuration.rendering import image_copy
from apkiln.image.generated.draft import Draft

PATH = "etc/apko.json"


def configuration_copy(
    draft: Draft, configuration: ImageConfiguration, arch: Arch, installed: Iterable[tuple[str, str, str]], run_as: str
) -> None:
    """Rule `configuration-copy`: one line of JSON, 0444.  `installed`: name, version and repository tag, if any, of each
    package.  URLs carry no credentials."""
    packages = sorted(f"{name}={version}@{tag}" if tag else f"{name}={version}" for name, version, tag in installed)
    document = image_copy(configuration, arch, packages, run_as)
    draft.put("configuration-copy", Entry(PATH, EntryType.FILE, 0o444), canonical_json.encode(document) + b"\n")
