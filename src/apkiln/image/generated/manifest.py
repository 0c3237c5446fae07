"""`/etc/apkiln/manifest.json`: which rule answers for each path that no package owns (promise 1).

Canonical JSON, one object:

    {"version": 1,
     "rules": [{"rule": NAME, "entries": [ENTRY …]} …],          sorted by rule, entries by path
     "overrides": [ENTRY + {"package": NAME, "by": RULE} …]}      sorted by path

ENTRY: `path` (relative), `type` (`file` `directory` `symlink` `hardlink` `character` `block` `fifo`), `mode` (four octal
digits), `uid`, `gid`; for a file `size` and `sha256`, for links `target`, for devices `device` (`major:minor`); `xattrs`
(name to hex) when there are any.  An override is a path that a package ships and a rule changed; it says the final state.
The manifest's own entry stands under `apkiln-manifest` without `size` and `sha256`, which it cannot know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from apkiln.core import canonical_json
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft, Node

RULE = "apkiln-manifest"
PATH = "etc/apkiln/manifest.json"
VERSION = 1

ContentDigest = Callable[[str], str]
"""Hex SHA-256 of the content of a package's FILE by its path."""


def manifest(draft: Draft, package_sha256: ContentDigest) -> None:
    """Rule `apkiln-manifest`: written last, over everything the other rules left."""
    draft.put(RULE, Entry(PATH, EntryType.FILE), b"")
    draft.put(RULE, Entry(PATH, EntryType.FILE), manifest_text(draft, package_sha256))


def manifest_text(draft: Draft, package_sha256: ContentDigest) -> bytes:
    """The bytes of the file for the present draft."""
    rules: dict[str, list[dict[str, Any]]] = {}
    overrides = []
    for path in sorted(draft.nodes):
        node = draft.nodes[path]
        described = describe(node, package_sha256)
        if draft.packages.entry(path) is None:
            rules.setdefault(node.rule, []).append(described)
        else:
            overrides.append(described | {"package": draft.packages.package(path), "by": node.rule})
    listed = [{"rule": rule, "entries": rules[rule]} for rule in sorted(rules)]
    return canonical_json.encode({"version": VERSION, "rules": listed, "overrides": overrides}) + b"\n"


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
