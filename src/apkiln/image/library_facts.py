"""ELF facts of files in a tree, remembered: by file, and for a whole library cache by the packages that it is made from."""

from __future__ import annotations

import hashlib
import json
from io import UnsupportedOperation

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.limits import MIB
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.library_cache import CONFIGURATION, PATH, RULE, candidates, library_cache
from apkiln.image.planned_tree import PlannedTree
from apkiln.system.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.formats.elf import ElfFacts

_FACTS, _CACHES = "elf-facts", "library-caches"
_RULES = "1"
"""Changes when the reader or the rule gives other answers."""
_IN_MEMORY = 16 * MIB
"""Larger files are looked at through a memory map, so that memory stays bounded."""


class LibraryFacts:
    """Writes the library cache of one tree."""

    def __init__(self, store: Store, tree: PlannedTree) -> None:
        self._store = store
        self._tree = tree

    def write_cache(self, draft: Draft, arch: Arch) -> None:
        """Rule `library-cache`, from memory when the same packages gave the same candidates before."""
        if not draft.file_at(CONFIGURATION):
            return
        key = self._key(draft, arch)
        remembered = self._store.get(_CACHES, key)
        if remembered is not None:
            draft.put(RULE, Entry(PATH, EntryType.FILE), remembered)
            return
        library_cache(draft, arch, lambda path: self._facts(draft, path))
        self._store.put(_CACHES, key, draft.read(PATH))

    def _key(self, draft: Draft, arch: Arch) -> str:
        """Everything that the cache depends on; no file list is decoded for it."""
        described = [[*candidate, self._origin(draft, candidate.final)] for candidate in candidates(draft)]
        return hashlib.sha256(canonical_json.encode([_RULES, arch.apk, described])).hexdigest()

    def _origin(self, draft: Draft, path: str) -> str:
        node = draft.nodes.get(path)
        if node is not None and node.content is not None:
            return hashlib.sha256(node.content).hexdigest()
        source = node.source if node is not None else path
        return self._tree.identity(source)

    def _facts(self, draft: Draft, path: str) -> ElfFacts | None:
        from apkiln.formats.elf import read_elf

        node = draft.nodes.get(path)
        if node is not None and node.content is not None:
            return read_elf(node.content)
        source = node.source if node is not None and node.source else path
        digest = self._tree.content_entry(source).sha256
        remembered = self._store.get(_FACTS, f"{digest.hex()}.{_RULES}")
        if remembered is not None:
            return _decode(remembered)
        facts = self._read(source)
        self._store.put(_FACTS, f"{digest.hex()}.{_RULES}", _encode(facts))
        return facts

    def _read(self, path: str) -> ElfFacts | None:
        from apkiln.formats.elf import read_elf

        item = self._tree.content_entry(path)
        if item.entry.size <= _IN_MEMORY:
            return read_elf(b"".join(self._tree.chunks(path)))
        with self._store.writer() as writer:
            for chunk in self._tree.chunks(path):
                writer.write(chunk)
            copy = writer.commit(Digest.sha256(item.sha256))
        try:
            return _read_mapped(self._store, copy)
        finally:
            self._store.discard(copy)


def _read_mapped(store: Store, digest: Digest) -> ElfFacts | None:
    import mmap

    from apkiln.formats.elf import read_elf

    stream = store.open(digest)
    assert stream is not None, "just committed"
    with stream:
        try:
            descriptor = stream.fileno()
        except UnsupportedOperation:
            return read_elf(stream.read())
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            return read_elf(view)


def _encode(facts: ElfFacts | None) -> bytes:
    return json.dumps(None if facts is None else [facts.machine, facts.bits, facts.soname]).encode()


def _decode(row: bytes) -> ElfFacts | None:
    """Only what the library cache asks for."""
    from apkiln.formats.elf import ElfFacts

    found = json.loads(row)
    return None if found is None else ElfFacts(found[0], found[1], soname=found[2])
