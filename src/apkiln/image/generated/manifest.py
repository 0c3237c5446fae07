"""`/etc/apkiln/manifest.json`: which rule answers for each path that no package owns (promise 1).

Canonical JSON, one object:

    {"version": 1,
     "rules": [{"rule": NAME, "entries": [ENTRY …]} …],          sorted by rule, entries by path
     "overrides": [ENTRY + {"package": NAME, "by": RULE} …]}      sorted by path

ENTRY: `path` (relative), `type` (`file` `directory` `symlink` `hardlink` `character` `block` `fifo`), `mode` (four octal
digits), `uid`, `gid`; for a file `size` and `sha256`, for links `target`, for devices `device` (`major:minor`); `xattrs`
(name to hex) when there are any.  An override is a path that a package ships and a rule changed; it says the final state.
Upon a base image there is also `"base": {"layers": [DIFF_ID …]}`: rule `base-image` answers for what its layers left and no
package owns, and for paths of packages that it changed (overrides by `base-image`); both must come from these layers.
The manifest's own entry stands under `apkiln-manifest` without `size` and `sha256`, which it cannot know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from apkiln.core import canonical_json
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RULE = "apkiln-manifest"
PATH = "etc/apkiln/manifest.json"
VERSION = 1

BASE_RULE = "base-image"


class BaseAccount(NamedTuple):
    """What is known of a base image."""

    strays: tuple[str, ...]
    """Paths that no package owns."""
    changed: tuple[tuple[str, str], ...]
    """(path, package) of packages' paths that differ from what the database says."""
    layers: tuple[str, ...]
    """diffIDs, lowest first."""


ContentDigest = Callable[[str], str]
"""Hex SHA-256 of the content of a package's FILE by its path."""


def manifest(draft: Draft, package_sha256: ContentDigest, base: BaseAccount | None = None) -> None:
    """Rule `apkiln-manifest`: written last, over everything the other rules left."""
    draft.put(RULE, Entry(PATH, EntryType.FILE), b"")
    draft.put(RULE, Entry(PATH, EntryType.FILE), manifest_text(draft, package_sha256, base))


def manifest_text(draft: Draft, package_sha256: ContentDigest, base: BaseAccount | None = None) -> bytes:
    """The bytes of the file for the present draft."""
    rules: dict[str, list[dict[str, Any]]] = {}
    overrides = []
    for path, node in sorted(draft.nodes.items()):
        described = describe(node, package_sha256)
        package = draft.packages.package(path) if draft.packages.entry(path) is not None else ""
        if package:
            overrides.append(described | {"package": package, "by": node.rule})
        else:
            rules.setdefault(node.rule, []).append(described)
    document: dict[str, Any] = {"version": VERSION}
    if base is not None:
        document["base"] = {"layers": list(base.layers)}
        rules[BASE_RULE] = [_of_base(draft, path, package_sha256) for path in _untouched(draft, sorted(base.strays))]
        changed = dict(base.changed)
        overrides += [
            _of_base(draft, path, package_sha256) | {"package": changed[path], "by": BASE_RULE}
            for path in _untouched(draft, changed)
            if draft.packages.package(path) == changed[path]
        ]
        overrides.sort(key=lambda row: str(row["path"]))
    document["rules"] = [{"rule": rule, "entries": rules[rule]} for rule in sorted(rules)]
    return canonical_json.encode(document | {"overrides": overrides}) + b"\n"


def _untouched(draft: Draft, paths: Iterable[str]) -> list[str]:
    """Of paths of the base those that no rule of ours wrote or removed."""
    return [path for path in paths if path not in draft.nodes and path not in draft.removed]


def _of_base(draft: Draft, path: str, sha256: ContentDigest) -> dict[str, Any]:
    """A path as the base left it; a hard link is told of as the file it is a name of."""
    entry = draft.entry(path)
    assert entry is not None, f"{path} is a path of the base"
    if entry.type is EntryType.HARDLINK:
        file = draft.entry(entry.target)
        assert file is not None, f"{entry.target} holds the content of {path}"
        entry = file._replace(path=path)
    return describe(Node(BASE_RULE, entry, None, path), sha256)


def describe(node: Node, package_sha256: ContentDigest) -> dict[str, Any]:
    """One entry of the manifest."""
    entry = node.entry
    fields: dict[str, Any] = {
        "path": entry.path,
        "type": entry.type.name.lower(),
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
    }
    if entry.type is EntryType.FILE and entry.path != PATH:
        digest = package_sha256(node.source) if node.content is None else hashlib.sha256(node.content).hexdigest()
        fields |= {"size": entry.size, "sha256": digest}
    elif entry.type in (EntryType.SYMLINK, EntryType.HARDLINK):
        fields["target"] = entry.target
    elif entry.type in (EntryType.CHARACTER, EntryType.BLOCK):
        fields["device"] = f"{entry.device[0]}:{entry.device[1]}"
    if entry.xattrs:
        fields["xattrs"] = {name: value.hex() for name, value in entry.xattrs}
    return fields
