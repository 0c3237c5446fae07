"""A built image against a recorded one: trees, configuration, index.  What we do better on purpose is left out by rule, here:

owners and special bits as the *package* says (the peer loses them); `world` holds the requests; the installed database has
apk's form; repositories keep the order of the definition and hide credentials; the library cache may list more; our own
files (`etc/apkiln`, the bill inside) and their directories.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.conformance.scoring import Difference

from apkiln.core.errors import FormatError
from apkiln.core.secret import redact_url
from apkiln.formats.library_cache import read_cache

Entry = dict[str, Any]
Tree = dict[str, Entry]
Owners = Mapping[str, list[Entry]]
"""Path to what the installed packages say of it."""


class Explanation(Protocol):
    """Names the cause of a difference; empty = it has none that is known."""

    def of_entry(self, path: str, ours: Entry | None, theirs: Entry | None, database: str) -> str: ...

    def of_document(self, ours: Any, theirs: Any) -> str: ...


class Unexplained:
    """No difference is expected."""

    def of_entry(self, path: str, ours: Entry | None, theirs: Entry | None, database: str) -> str:
        return ""

    def of_document(self, ours: Any, theirs: Any) -> str:
        return ""


UNEXPLAINED = Unexplained()
_TYPES = {b"0": "file", b"\0": "file", b"1": "hardlink", b"2": "symlink", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}
_OWN = ("etc/apkiln", "var/lib/db/sbom/apkiln-image.spdx.json")
_OWN_DIRECTORIES = frozenset({"var/lib", "var/lib/db", "var/lib/db/sbom"})
_JUDGED_ELSEWHERE = frozenset({"etc/apk/world", "etc/apko.json", "usr/lib/apk/db/installed", "usr/lib/apk/db/scripts.tar"})
_ACCOUNTS = frozenset({"etc/passwd", "etc/group", "etc/shadow"})
_DATABASE = "usr/lib/apk/db/installed"


class BuiltImage:
    """An OCI layout on disk, read with the standard library alone."""

    def __init__(self, layout: Path) -> None:
        self._layout = layout
        self.index: dict[str, Any] = json.loads((layout / "index.json").read_bytes())
        self.platforms = {platform_name(row): row for row in self.index["manifests"]}

    def manifest(self, platform: str) -> dict[str, Any]:
        return self._document(self.platforms[platform])

    def configuration(self, platform: str) -> dict[str, Any]:
        return self._document(self.manifest(platform)["config"])

    def tree(self, platform: str) -> Tree:
        """All layers laid over each other.  Raises ValueError for a path that stands twice in a layer."""
        tree: Tree = {}
        for layer in self.manifest(platform)["layers"]:
            seen: set[str] = set()
            for entry in read_layer(self._blob(layer["digest"])):
                if entry["path"] in seen:
                    raise ValueError(f"{entry['path']} stands twice in a layer")
                seen.add(entry["path"])
                tree[entry["path"]] = entry
        return tree

    def layers(self, platform: str) -> list[list[Entry]]:
        """Entries of each layer, lowest first."""
        return [list(read_layer(self._blob(layer["digest"]))) for layer in self.manifest(platform)["layers"]]

    def _document(self, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._blob(descriptor["digest"]))
        return document

    def _blob(self, digest: str) -> bytes:
        data = (self._layout / "blobs" / digest.replace(":", "/")).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest.removeprefix("sha256:"):
            raise ValueError(f"{digest} is not the digest of its blob")
        return data


def platform_name(row: Mapping[str, Any]) -> str:
    platform = row["platform"]
    return str(platform["architecture"] + platform.get("variant", ""))


def read_layer(compressed: bytes) -> Iterator[Entry]:
    """Entries of a layer in the shape of the recordings."""
    with tarfile.open(fileobj=io.BytesIO(compressed)) as archive:
        for member in archive:
            entry: Entry = {
                "path": member.name,
                "type": _TYPES[member.type],
                "mode": f"{member.mode:04o}",
                "uid": member.uid,
                "gid": member.gid,
                "mtime": int(member.mtime),
                "linkname": member.linkname,
            }
            if entry["type"] == "file":
                stream = archive.extractfile(member)
                assert stream is not None
                entry["content"] = stream.read()
                entry["sha256"] = hashlib.sha256(entry["content"]).hexdigest()
            if entry["type"] in ("char", "block"):
                entry["dev"] = f"{member.devmajor}:{member.devminor}"
            yield entry


def installed(database: str) -> list[str]:
    """`name-version` of each record, sorted."""
    return sorted(f"{name}-{version}" for name, version in installed_versions(database))


def installed_versions(database: str) -> Iterator[tuple[str, str]]:
    """(name, version) of each record."""
    name = ""
    for line in database.splitlines():
        if line.startswith("P:"):
            name = line[2:]
        elif line.startswith("V:"):
            yield name, line[2:]


def compare_trees(ours: Tree, theirs: Tree, owners: Owners, arch: str, why: Explanation = UNEXPLAINED) -> Iterator[Difference]:
    """Every difference that counts."""
    database = database_of(ours)
    for path in sorted(ours.keys() | theirs.keys()):
        if path in _JUDGED_ELSEWHERE or path.startswith(_OWN) or (path in _OWN_DIRECTORIES and path not in theirs):
            continue
        left, right = ours.get(path), theirs.get(path)
        if left is None or right is None:
            text = f"{path} is {'there without need' if right is None else 'missing'}"
            yield Difference(text, why.of_entry(path, left, right, database))
            continue
        for text in _compare_entries(path, _inode(ours, left), _inode(theirs, right), owners.get(path, []), arch):
            yield Difference(text, why.of_entry(path, left, right, database))
    yield from map(Difference, _compare_copies(ours, theirs))


def _inode(tree: Tree, entry: Entry) -> Entry:
    """A hard link is the file it names."""
    return tree.get(entry["linkname"], entry) if entry["type"] == "hardlink" else entry


def _compare_entries(path: str, ours: Entry, theirs: Entry, owners: Iterable[Entry], arch: str) -> Iterator[str]:
    if ours["type"] != theirs["type"]:
        yield f"{path} is a {ours['type']}, not a {theirs['type']}"
        return
    if ours["type"] == "symlink" and ours["linkname"] != theirs["linkname"]:
        yield f"{path} leads to {ours['linkname']}, not to {theirs['linkname']}"
    if ours.get("dev") != theirs.get("dev"):
        yield f"{path} is device {ours.get('dev')}, not {theirs.get('dev')}"
    modes = {theirs["mode"], *(entry["mode"] for entry in owners)}
    if ours["mode"] not in modes:
        yield f"{path} has mode {ours['mode']}, not {' or '.join(sorted(modes))}"
    ids = {(theirs["uid"], theirs["gid"]), *((entry["uid"], entry["gid"]) for entry in owners)}
    if (ours["uid"], ours["gid"]) not in ids:
        yield f"{path} belongs to {ours['uid']}:{ours['gid']}"
    if ours["type"] == "file" and ours["sha256"] != theirs["sha256"] and not _equal_in_meaning(path, ours, theirs, arch):
        yield f"{path} has another content"


def _equal_in_meaning(path: str, ours: Entry, theirs: Entry, arch: str) -> bool:
    if path == "etc/apk/repositories":
        return sorted(_lines(ours["content"])) == sorted(_redacted(line) for line in _lines(theirs["text"].encode()))
    if path in _ACCOUNTS:  # what an included definition and its user both have stands once
        return _lines(ours["content"]) == list(dict.fromkeys(theirs["text"].split("\n")))
    if path == "etc/ld.so.cache":
        try:
            found = {row.name: row.path for row in read_cache(ours["content"], arch)}
            return all(found.get(row.name) == row.path for row in read_cache(bytes.fromhex(theirs["hex"]), arch))
        except FormatError:
            return False
    if path == "usr/lib/apk/db/triggers":
        return sorted(_lines(ours["content"])) == sorted(_lines(theirs["text"].encode()))
    return False


def _lines(content: bytes) -> list[str]:
    return content.decode().split("\n")


def _redacted(line: str) -> str:
    tag, space, url = line.rpartition(" ")
    return f"{tag}{space}{redact_url(url)}"


def _compare_copies(our_tree: Tree, their_tree: Tree) -> Iterator[str]:
    """`/etc/apko.json`: the same keys and values, lists of repositories, keys and packages without their order.

    Packages are compared where the peer's list is what it installed: it resolves twice.
    """
    ours, theirs = our_tree.get("etc/apko.json"), their_tree.get("etc/apko.json")
    if ours is None or theirs is None:
        return
    left, right = json.loads(ours["content"]), json.loads(theirs["text"])
    locked = sorted(entry.partition("@")[0].replace("=", "-") for entry in right["contents"]["packages"] if "=" in entry)
    if locked != installed(database_of(their_tree)):
        left["contents"]["packages"] = right["contents"]["packages"] = []
    for document in (left, right):
        contents = document["contents"]
        for key in ("repositories", "build_repositories", "runtime_repositories", "keyring"):
            contents[key] = sorted(_redacted(entry) for entry in contents.get(key, []))
        contents["packages"] = sorted({entry for entry in contents["packages"] if "=" in entry})
    for key in sorted(left.keys() | right.keys()):
        if without_repetitions(left.get(key)) != without_repetitions(right.get(key)):
            yield f"etc/apko.json has another {key}"


def without_repetitions(value: Any) -> Any:
    """Lists name each item once: an included definition and the one that includes it may both have it."""
    if isinstance(value, dict):
        return {key: without_repetitions(member) for key, member in value.items()}
    if isinstance(value, list):
        return [json.loads(text) for text in dict.fromkeys(json.dumps(item) for item in value)]
    return value


def compare_configurations(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], why: Explanation = UNEXPLAINED
) -> Iterator[Difference]:
    """The configuration blob, but for who made it."""
    for key in ("architecture", "variant", "os", "os.features", "created", "config"):
        left, right = ours.get(key), theirs.get(key)
        if left != right:
            text = f"the configuration has another `{key}`: {_first_difference(left, right)}"
            yield Difference(text, why.of_document({key: left}, {key: right}))


def _first_difference(ours: Any, theirs: Any) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                return f"{key} is {ours.get(key)!r}, not {theirs.get(key)!r}"
    return f"{ours!r}, not {theirs!r}"


def compare_indexes(ours: Mapping[str, Any], theirs: Mapping[str, Any], why: Explanation = UNEXPLAINED) -> Iterator[Difference]:
    """Platforms in order, and annotations."""
    if [row["platform"] for row in ours["manifests"]] != [row["platform"] for row in theirs["manifests"]]:
        yield Difference("the index lists other platforms")
    left, right = ours.get("annotations", {}), theirs.get("annotations", {})
    if left != right:
        yield Difference(f"the index has other annotations: {_first_difference(left, right)}", why.of_document(left, right))


def database_of(tree: Tree) -> str:
    entry = tree[_DATABASE]
    return entry["content"].decode() if "content" in entry else str(entry["text"])
