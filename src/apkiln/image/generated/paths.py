"""The `paths` section: nodes and permissions beside what packages ship (spec image.md §5.5, column "ours").

Entries apply in order.  Parents that are missing are made with mode 0755.  `permissions` absent leaves a mode as it is; a
new directory gets 0755, a new file 0644.  Symlinks among the parents are followed inside the root, the last component
only where `follow` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from apkiln.core.errors import ApkilnError, ConfigurationError, ConflictError, FaultCollector, VerificationError
from apkiln.formats.archive import path as archive_paths
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import PathMutation
from apkiln.image.generated.draft import Draft

RULE = "paths-directive"
_MODE_BITS = 0o7777


LocalTree = Mapping[str, tuple[tuple[Entry, bytes], ...]]
"""What the doing module read for each `from`: entries relative to it with their content; a file is one entry named ``."""


def apply_paths(draft: Draft, mutations: Iterable[PathMutation], local: LocalTree, *, layered: bool = False) -> None:
    """Rule `paths-directive`.

    `layered`: packages have layers of their own, so a hard link to a package's file becomes a copy of it, with a notice.

    Raises, all faults at once and with the place in the definition: ConfigurationError (`path-type`, `no-such-path`,
    `path-through-file`, `path-leaves-root`, `bad-path`, `bad-link-target`), ConflictError (`path-exists`,
    `directory-in-the-way`), VerificationError (`file-digest-mismatch`).
    """
    faults = FaultCollector.empty()
    for mutation in mutations:
        try:
            _apply(draft, mutation, local)
            if layered and mutation.type == "hardlink":
                _copy_instead(draft, mutation)
        except ApkilnError as fault:
            faults.add(fault.located(mutation.origin))
    faults.raise_if_any()


def _apply(draft: Draft, mutation: PathMutation, local: LocalTree) -> None:
    action = _ACTIONS.get(mutation.type)
    if action is None:
        known = ", ".join(f"`{name}`" for name in _ACTIONS)
        raise ConfigurationError(f"`{mutation.type}` is not a type of path", reason="path-type", hint=f"one of {known}")
    path = mutation.path.strip("/")
    reason = archive_paths.fault(path)
    if reason:
        raise ConfigurationError(f"`{mutation.path}` cannot be a path in the image: {reason}", reason="bad-path")
    place = draft.resolve_parent(path)
    action(draft, mutation, draft.resolve(place) if mutation.follow else place, local)


def _directory(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    del local
    final = draft.resolve(path)
    present = draft.entry(final)
    if present is None:
        mode = 0o755 if mutation.permissions is None else mutation.permissions & _MODE_BITS
        draft.put(RULE, Entry(path, EntryType.DIRECTORY, mode))
        final = path
    elif present.type is not EntryType.DIRECTORY:
        raise ConflictError(f"`/{path}` exists and is not a directory", reason="path-exists")
    _set_metadata(draft, mutation, final)
    if mutation.recursive:
        _recurse(draft, mutation, final)


def _empty_file(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    del local
    if _may_write(draft, mutation, path):
        draft.put(RULE, Entry(path, EntryType.FILE), b"")
        _set_metadata(draft, mutation, path)


def _file(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    if mutation.content is not None:
        entry, content = Entry("", EntryType.FILE), mutation.content.encode()
    else:
        ((entry, content),) = local[mutation.from_path]
    _check_digest(mutation, content)
    if _may_write(draft, mutation, path):
        draft.put(RULE, Entry(path, EntryType.FILE, 0o755 if entry.mode & 0o111 else 0o644), content)
        _set_metadata(draft, mutation, path)


def _tree(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    """Copy a local directory; `permissions` and ids apply to everything copied with `recursive`, else to its root."""
    if not draft.exists(path):
        draft.put(RULE, Entry(path, EntryType.DIRECTORY, 0o755))
    for entry, content in local[mutation.from_path]:
        target = archive_paths.join(path, entry.path)
        if entry.type is EntryType.DIRECTORY and _is_directory(draft, target):
            continue
        if _may_write(draft, mutation, target):
            draft.put(RULE, entry._replace(path=target, uid=0, gid=0, mtime=0), content)
    _set_metadata(draft, mutation, path)
    if mutation.recursive:
        _recurse(draft, mutation, path)


def _symlink(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    del local
    if not mutation.source or archive_paths.CONTROL.search(mutation.source):
        raise ConfigurationError("a symlink needs a `source` without control characters", reason="bad-link-target")
    if _may_write(draft, mutation, path):
        draft.put(RULE, Entry(path, EntryType.SYMLINK, 0o777, target=mutation.source))
        _set_metadata(draft, mutation, path)


def _hardlink(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    del local
    source = draft.resolve_parent(mutation.source.strip("/"))
    entry = draft.entry(source)
    if entry is not None and entry.type is EntryType.HARDLINK:
        source = entry.target
        entry = draft.entry(source)
    if entry is None or entry.type is not EntryType.FILE:
        raise ConfigurationError(f"`{mutation.source}` is not a file of the image", reason="no-such-path")
    if path != source and _may_write(draft, mutation, path):
        draft.put(RULE, entry._replace(path=path, type=EntryType.HARDLINK, size=0, target=source))
        _set_metadata(draft, mutation, path)


def _copy_instead(draft: Draft, mutation: PathMutation) -> None:
    """A link into another layer would find nothing there."""
    path = draft.resolve_parent(mutation.path.strip("/"))
    node = draft.nodes.get(path)
    if node is None or node.entry.type is not EntryType.HARDLINK or node.entry.target in draft.nodes:
        return
    held = draft.entry(node.entry.target)
    assert held is not None, "a hard link has a target"
    draft.put(RULE, held._replace(path=path), None, node.entry.target)
    draft.notice(f"`{mutation.path}` is a copy: a hard link cannot lead into the layer of a package")


def _permissions(draft: Draft, mutation: PathMutation, path: str, local: LocalTree) -> None:
    del local
    if not draft.exists(path):
        raise ConfigurationError(f"`/{path}` does not exist", reason="no-such-path")
    _set_metadata(draft, mutation, path)
    if mutation.recursive:
        _recurse(draft, mutation, path)


_ACTIONS: Mapping[str, Callable[[Draft, PathMutation, str, LocalTree], None]] = {
    "directory": _directory,
    "empty-file": _empty_file,
    "hardlink": _hardlink,
    "symlink": _symlink,
    "permissions": _permissions,
    "file": _file,
    "tree": _tree,
}


def _may_write(draft: Draft, mutation: PathMutation, path: str) -> bool:
    """Whether to write `path`; raises ConflictError (`path-exists`) when it exists and nothing allows to replace it."""
    if not draft.exists(path):
        return True
    if mutation.if_exists == "skip":
        return False
    if mutation.force or mutation.if_exists == "replace":
        return True
    hint = "`force: true` or `if-exists: replace` replaces it, `if-exists: skip` leaves it"
    raise ConflictError(f"`/{path}` exists already", reason="path-exists", hint=hint)


def _is_directory(draft: Draft, path: str) -> bool:
    entry = draft.entry(path)
    return entry is not None and entry.type is EntryType.DIRECTORY


def _set_metadata(draft: Draft, mutation: PathMutation, path: str) -> None:
    """Mode, owner and attributes as far as given; one id given sets the other to 0.  A symlink has no mode of its own."""
    entry = draft.entry(path)
    assert entry is not None, f"{path} was looked up before"
    fields: dict[str, object] = {}
    if mutation.permissions is not None and entry.type is not EntryType.SYMLINK:
        fields["mode"] = mutation.permissions & _MODE_BITS
    if mutation.uid is not None or mutation.gid is not None:
        fields |= {"uid": mutation.uid or 0, "gid": mutation.gid or 0}
    if mutation.xattrs and entry.type is not EntryType.SYMLINK:
        fields["xattrs"] = _merged_xattrs(entry, mutation)
    if any(getattr(entry, name) != value for name, value in fields.items()):
        draft.change(RULE, path, **fields)


def _recurse(draft: Draft, mutation: PathMutation, path: str) -> None:
    """Everything below gets the same metadata; symlinks are skipped, so their targets elsewhere are safe."""
    for below in tuple(draft.below(path)):
        entry = draft.entry(below)
        if entry is not None and entry.type is not EntryType.SYMLINK:
            _set_metadata(draft, mutation, below)


def _merged_xattrs(entry: Entry, mutation: PathMutation) -> tuple[tuple[str, bytes], ...]:
    merged = dict(entry.xattrs) | {name: _xattr_value(name, text) for name, text in mutation.xattrs}
    return tuple(sorted(merged.items()))


def _xattr_value(name: str, text: str) -> bytes:
    if not text.startswith("base64:"):
        return text.encode()
    import binascii

    try:
        return binascii.a2b_base64(text.removeprefix("base64:"), strict_mode=True)
    except binascii.Error as cause:
        raise ConfigurationError(f"the value of `{name}` is not base64", reason="bad-xattr") from cause


def _check_digest(mutation: PathMutation, content: bytes) -> None:
    if mutation.sha256 and hashlib.sha256(content).hexdigest() != mutation.sha256.lower():
        message = f"the content of `{mutation.path}` has another SHA-256 than stated"
        raise VerificationError(message, reason="file-digest-mismatch")
