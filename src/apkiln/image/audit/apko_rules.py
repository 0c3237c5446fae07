"""Which paths of an image of the peer builder, apko, its own steps generate (spec image.md §5.1): it leaves no accounting.

Each unowned path is tried against the steps in order.  What no step explains stays unowned; what a step explains is held
to the type, mode and owner that the step gives, and to the content where that follows from the rest of the image.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import EntryType
from apkiln.image.audit.expectation import Expectation
from apkiln.image.audit.layered_tree import Found, LayeredTree

PATH = "etc/apko.json"
ACCOUNT_FILES = ("etc/passwd", "etc/group", "etc/shadow")
BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "var/lib/ecs/deps/execute-command/certs/tls-ca-bundle.pem",
    "kaniko/ssl/certs/ca-certificates.crt",
    "etc/ssl/certs/java/cacerts",
)
_DIRECTORIES = {"proc": 0o555, "tmp": 0o1777} | dict.fromkeys(
    (
        *("dev", "etc", "opt", "usr", "var", "etc/apk", "etc/apk/keys", "lib", "usr/lib", "usr/lib/apk"),
        *("usr/lib/apk/db", "usr/lib/apk/exec", "var/cache", "var/cache/apk", "var/cache/misc"),
    ),
    0o755,
)
_DEVICES = {
    "dev/console": ((5, 1), 0o620),
    "dev/null": ((1, 3), 0o666),
    "dev/random": ((1, 8), 0o666),
    "dev/urandom": ((1, 9), 0o666),
    "dev/zero": ((1, 5), 0o666),
}
_DATABASE = {"installed": 0o644, "lock": 0o600, "scripts.tar": 0o644, "triggers": 0o644}
_APK_OWN = frozenset(
    (
        *("lib/apk", "lib/apk/db", "lib/apk/exec", "usr/lib/apk", "usr/lib/apk/db", "usr/lib/apk/exec"),
        *("etc/apk/world", "etc/apk/arch", "etc/apk/repositories"),
        *("lib/apk/db/scripts.tar.gz", "usr/lib/apk/db/scripts.tar.gz"),
    )
)


class ApkoImage(NamedTuple):
    """What the steps need to know of the image."""

    tree: LayeredTree
    documents: Mapping[str, bytes]
    """Content of the small files that were kept, by path."""
    configuration: dict[str, Any]
    """`/etc/apko.json`, decoded."""
    arch: str
    """apk name."""


def read_configuration(content: bytes) -> dict[str, Any]:
    """Decode `/etc/apko.json`.  Raises FormatError `bad-apko-configuration`."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise FormatError("it is not JSON", reason="bad-apko-configuration", origin=Origin(member=PATH)) from cause
    if not isinstance(value, dict):
        raise FormatError("it is not an object", reason="bad-apko-configuration", origin=Origin(member=PATH))
    return value


def generated_paths(image: ApkoImage, unowned: Iterable[str]) -> dict[str, Expectation]:
    """An expectation for each unowned path that a step of the peer explains."""
    steps = _steps(image)
    found: dict[str, Expectation] = {}
    for path in unowned:
        entry = image.tree.found[path]
        wanted = next((wanted for step in steps if (wanted := step(path, entry)) is not None), None)
        if wanted is not None:
            found[path] = wanted
    return found | _parents(image.tree, set(unowned) - found.keys(), found)


def _parents(tree: LayeredTree, unexplained: set[str], found: Mapping[str, Expectation]) -> dict[str, Expectation]:
    """Directories that steps made on the way to a path of theirs: their mode follows from several steps and is left open."""
    parents: dict[str, Expectation] = {}
    for path, wanted in found.items():
        for above in _above(path):
            if above in unexplained and tree.found[above].entry.type is EntryType.DIRECTORY:
                parents[above] = Expectation(wanted.answers, type=EntryType.DIRECTORY)
    return parents


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def database_paths(image: ApkoImage, unowned: Iterable[str]) -> dict[str, Expectation]:
    """For roots that apk itself made: only the package manager's own files are explained."""
    found: dict[str, Expectation] = {}
    for path in unowned:
        wanted = _database(path, image.tree.found[path])
        if wanted is not None or path in _APK_OWN:
            # Modes differ between versions of apk, and a log or a cache is nobody's concern here.
            found[path] = Expectation("apk-database")
    return found


def changed_paths(image: ApkoImage) -> dict[str, Expectation]:
    """Paths of packages that a step of the peer rewrites or whose metadata the definition changes."""
    found: dict[str, Expectation] = {}
    if image.configuration.get("accounts"):
        # Content stays open: lines are appended to what the package ships.
        found |= {path: Expectation("account-files", type=EntryType.FILE) for path in ACCOUNT_FILES}
    if image.configuration.get("certificates"):
        found |= {path: Expectation("certificates", type=EntryType.FILE) for path in BUNDLES}
    for mutation in _rows(image.configuration.get("paths")):
        found |= _changed_by(image.tree, mutation)
    return {path: wanted for path, wanted in found.items() if path in image.tree}


def _changed_by(tree: LayeredTree, mutation: Mapping[str, Any]) -> dict[str, Expectation]:
    """What one row of `paths` does to paths of packages: the one it names, other names of the same file, all below it."""
    path = tree.real_path(str(mutation.get("path", "")).strip("/"))
    found = tree.found.get(path)
    kind = mutation.get("type")
    if found is None or kind not in ("permissions", "directory"):
        return {}
    wanted = _mutated("paths-directive", mutation)._replace(type=None)
    changed = dict.fromkeys((path, *_joined(tree, path, found)), wanted)
    if mutation.get("recursive"):
        changed |= {name: wanted for name in tree.found if name.startswith(path + "/")}
    return changed


def _joined(tree: LayeredTree, path: str, found: Found) -> tuple[str, ...]:
    first = found.joined_with or path
    names = (name for name, other in tree.found.items() if other.joined_with == first)
    return (first, *names) if found.joined_with or found.entry.type is EntryType.FILE else ()


def _steps(image: ApkoImage) -> tuple[Callable[[str, Found], Expectation | None], ...]:
    homes = _homes(image.documents.get("etc/passwd", b""))
    mutations = {str(row.get("path", "")).strip("/"): row for row in _rows(image.configuration.get("paths"))}
    return (
        lambda path, found: _mutated("paths-directive", mutations[path]) if path in mutations else None,
        _base_directory,
        _device,
        lambda path, found: _fixed_file(path, image.arch),
        lambda path, found: _home(path, homes),
        _database,
        _certificate,
        lambda path, found: _sidecar(path, image.documents, image.tree),
        lambda path, found: _service(path, image.configuration),
        lambda path, found: _busybox_link(path, found, image.tree),
    )


def _file(rule: str, mode: int, **stated: Any) -> Expectation:
    return Expectation(rule, type=EntryType.FILE, mode=mode, uid=0, gid=0, xattrs=(), **stated)


def _directory(rule: str, mode: int, uid: int = 0, gid: int = 0) -> Expectation:
    return Expectation(rule, type=EntryType.DIRECTORY, mode=mode, uid=uid, gid=gid, xattrs=())


def _base_directory(path: str, found: Found) -> Expectation | None:
    mode = _DIRECTORIES.get(path)
    return None if mode is None else _directory("base-directories", mode)


def _device(path: str, found: Found) -> Expectation | None:
    if path not in _DEVICES:
        return None
    device, mode = _DEVICES[path]
    return Expectation("device-nodes", type=EntryType.CHARACTER, mode=mode, uid=0, gid=0, device=device, xattrs=())


def _fixed_file(path: str, arch: str) -> Expectation | None:
    if path == "etc/apk/arch":
        return _file("apk-arch", 0o644, sha256=hashlib.sha256(f"{arch}\n".encode()).digest())
    if path == PATH:
        return _file("apko-configuration", 0o444)
    rules = {"etc/apk/repositories": "apk-repositories", "etc/apk/world": "apk-world", "etc/ld.so.cache": "library-cache"}
    rules |= dict.fromkeys(ACCOUNT_FILES, "account-files")
    if path in rules:
        return _file(rules[path], 0o640 if path == "etc/shadow" else 0o644)
    return _file("apk-keys", 0o644) if re.fullmatch(r"etc/apk/keys/[^/]+", path) else None


def _home(path: str, homes: Mapping[str, tuple[int, int]]) -> Expectation | None:
    return _directory("home-directories", 0o700, *homes[path]) if path in homes else None


def _database(path: str, found: Found) -> Expectation | None:
    if path == "lib/apk" and found.entry.type is EntryType.SYMLINK:
        return Expectation("apk-database-link", type=EntryType.SYMLINK, uid=0, gid=0, target="../usr/lib/apk", xattrs=())
    match = re.fullmatch(r"(?:usr/)?lib/apk/db/([^/]+)", path)
    mode = _DATABASE.get(match[1]) if match else None
    return None if mode is None else _file("apk-database", mode)


def _certificate(path: str, found: Found) -> Expectation | None:
    matched = re.fullmatch(r"usr/local/share/ca-certificates/.+-[0-9a-f]{64}\.crt", path)
    return _file("certificates", 0o644) if matched else None


def _sidecar(path: str, documents: Mapping[str, bytes], tree: LayeredTree) -> Expectation | None:
    directory, _slash, name = path.rpartition("/")
    bundle = f"{directory}/{name[1:].removesuffix('.sha256')}"
    if bundle not in BUNDLES or not name.startswith(".") or not name.endswith(".sha256"):
        return None
    found = tree.found.get(tree.real_path(bundle))
    digest = found.sha256.hex() if found is not None else ""
    line = f"{digest}  {bundle.rpartition('/')[2]}\n".encode()
    accepted = {hashlib.sha256(line).digest(), hashlib.sha256(line.rstrip(b"\n")).digest()}
    actual = tree.found[path].sha256
    return _file("checksum-sidecars", 0o444, sha256=actual if actual in accepted else min(accepted))


def _service(path: str, configuration: Mapping[str, Any]) -> Expectation | None:
    entrypoint = configuration.get("entrypoint")
    services = entrypoint.get("services") if isinstance(entrypoint, dict) else None
    if not isinstance(services, dict):
        return None
    names = "|".join(re.escape(str(name)) for name in services)
    if path == "sv" or re.fullmatch(rf"sv/({names})", path):
        return Expectation("service-tree", type=EntryType.DIRECTORY, uid=0, gid=0)
    return _file("service-tree", 0o755) if re.fullmatch(rf"sv/({names})/run", path) else None


def _busybox_link(path: str, found: Found, tree: LayeredTree) -> Expectation | None:
    if "bin/busybox" not in tree and "usr/bin/busybox" not in tree:
        return None
    if found.entry.type is not EntryType.SYMLINK or found.entry.target != "/bin/busybox":
        return None
    return Expectation("busybox-links", type=EntryType.SYMLINK, uid=0, gid=0, xattrs=())


_MUTATED = {
    "directory": EntryType.DIRECTORY,
    "empty-file": EntryType.FILE,
    "symlink": EntryType.SYMLINK,
}


def _mutated(rule: str, mutation: Mapping[str, Any]) -> Expectation:
    """What one row of `paths` asks for; ids are stated when one of them is."""
    kind = str(mutation.get("type"))
    ids = {name: int(mutation[name]) for name in ("uid", "gid") if isinstance(mutation.get(name), int)}
    # The peer gives the ids of a symlink to what it leads to.
    uid, gid = (ids.get("uid", 0), ids.get("gid", 0)) if ids and kind != "symlink" else (None, None)
    permissions = mutation.get("permissions")
    mode = int(permissions) & 0o7777 if isinstance(permissions, int) else None
    target = str(mutation.get("source")) if kind == "symlink" else None
    return Expectation(rule, type=_MUTATED.get(kind), mode=mode, uid=uid, gid=gid, target=target)


def _homes(passwd: bytes) -> dict[str, tuple[int, int]]:
    homes: dict[str, tuple[int, int]] = {}
    for line in passwd.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2].isdecimal() and fields[3].isdecimal() and fields[5].strip("/"):
            homes.setdefault(fields[5].strip("/"), (int(fields[2]), int(fields[3])))
    return homes


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
