"""The layers of one image: each put together from parts in the store, and measured (spec image.md §8.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import Codec
from apkiln.image.assembling import measure_layer, store_part
from apkiln.image.documents import Below, BuiltLayer
from apkiln.image.generated.apk_database import installed_path
from apkiln.image.generated.draft import Draft
from apkiln.image.grouping import Groups
from apkiln.image.layer_recipe import LayerPart, LayerRecipe
from apkiln.image.layers import (
    GeneratedPart,
    KeptContent,
    generated_parts,
    group_skeleton,
    overridden_paths,
    parts_key,
    skeleton,
)
from apkiln.image.planned_tree import PlannedTree
from apkiln.rootfs.database import partial_database
from apkiln.rootfs.normalise import layer_header
from apkiln.rootfs.segments import Segment, variant
from apkiln.rootfs.tree import without
from apkiln.system.store import Store


class Lower(NamedTuple):
    """What a base image brings along."""

    layers: tuple[BuiltLayer, ...] = ()
    segments: tuple[Segment, ...] = ()
    """Stand-ins for those of its packages: their bytes are in its layers and are not written again."""
    places: tuple[int, ...] = ()
    """The layer of each of its packages."""
    below: Below | None = None
    notices: tuple[str, ...] = ()


END = "end"
"""Name of the part that ends a layer of packages: its database and the end of the archive."""


class LayerMaker:
    """Makes the layers of one finished tree.  `segments`: by position in the tree's plan; the first `old` ones are in the
    layers of a base image."""

    def __init__(
        self, store: Store, codec: Codec, tree: PlannedTree, draft: Draft, segments: Sequence[Segment], old: int = 0
    ) -> None:
        self._old = old
        self._store = store
        self._codec = codec
        self._tree = tree
        self._draft = draft
        self._segments = segments
        self._remaining = without(tree.plan, overridden_paths(draft))

    def make(self, groups: Groups) -> tuple[BuiltLayer, ...]:
        """One layer for each group and one on top; without groups a single layer."""
        if not groups:
            everything = tuple(range(self._old, len(self._segments)))
            return (self._built((self._skeleton(self._tree.below), *self._packages(everything), self._generated()), everything),)
        lower = [self._built(self._group(group), group) for group in groups]
        return (*lower, self._built((self._skeleton(lambda path: None), self._generated()), ()))

    def _built(self, parts: Iterable[LayerPart], group: Collection[int]) -> BuiltLayer:
        names = sorted(self._segments[position].files.name_version for position in group)
        return BuiltLayer(measure_layer(self._store, LayerRecipe(tuple(parts))), tuple(names))

    def _group(self, group: Collection[int]) -> Iterator[LayerPart]:
        place = installed_path(self._draft)
        yield self._bytes("skeleton", group_skeleton(self._remaining, group, (place,)))
        yield from self._packages(group)
        yield self._bytes(END, self._database(place, group))

    def _database(self, place: str, group: Collection[int]) -> bytes:
        """The database of the packages of one layer, for scanners that read layers singly, and the end of the layer.  The
        whole one, in the top layer, lies over it."""
        content = partial_database(self._remaining, group)
        header = layer_header(Entry(place, EntryType.FILE, size=len(content)))
        return b"".join((header, content, tar_writer.padding(len(content)), tar_writer.END_OF_ARCHIVE))

    def _skeleton(self, below: Callable[[str], Entry | None]) -> LayerPart:
        directories = (*self._tree.stray_directories(), *(item.directory for item in self._remaining.directories))
        return self._bytes("skeleton", skeleton(directories, self._draft, below))

    def _bytes(self, name: str, content: bytes) -> LayerPart:
        return store_part(self._store, name, hashlib.sha256(content).hexdigest(), lambda: (content,), self._codec)

    def _packages(self, group: Collection[int]) -> Iterator[LayerPart]:
        """The segments that have something to give, by package name."""
        for position in sorted(group, key=lambda position: self._segments[position].files.name):
            package, segment = self._remaining.packages[position], self._segments[position]
            data = segment.data
            if package.excluded or package.moved:
                data = variant(self._store, segment, package.excluded, package.moved, self._codec)
            if data.raw_size:
                yield LayerPart(segment.files.name_version, data)

    def _generated(self) -> LayerPart:
        parts = tuple(generated_parts(self._draft))
        key = parts_key(parts, self._tree.sha256)
        return store_part(self._store, "generated", key, lambda: self._chunks(parts), self._codec)

    def _chunks(self, parts: Iterable[GeneratedPart]) -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, KeptContent):
                yield from self._tree.chunks(part.path)
            else:
                yield part
