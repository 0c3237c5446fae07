"""Images that were built before from the same things: found again without looking at a single package.

Table in the store: `images` (digest of everything that a build depends on → documents, parts of layers, digests of bills).  A
row says only which parts make a layer and what its digest is; who writes the layer compares all of its bytes with that.
Packages were resolved, and their index verified, by the run that asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.formats.oci.documents import Descriptor, Pairs, Platform
from apkiln.formats.oci.layout import assemble, index_of
from apkiln.image.finished import FinishedArchitecture, FinishedImage
from apkiln.image.layer_recipe import LayerDigests, LayerPart, LayerRecipe, StoredLayer
from apkiln.rootfs.segment_data import data_of_row, data_row
from apkiln.system.store import Store, put_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TABLE = "images"
_VERSION = "1"
"""Changes with the form of a row."""


def image_key(described: Iterable[object]) -> str:
    """Key of the image that is made from `described`: everything that decides about it, each with a `repr` that tells equal
    from different."""
    return hashlib.sha256(repr((_VERSION, *described)).encode("utf-8", "surrogateescape")).hexdigest()


def remembered_image(store: Store, key: str) -> FinishedImage | None:
    """The image of an earlier build, None where there was none or the store lost a part of it."""
    stored = store.get(_TABLE, key)
    if stored is None:
        return None
    value = json.loads(stored)
    architectures = tuple([_architecture(row) for row in value["architectures"]])
    parts = {
        part.data.slice: part.data.slice_size for item in architectures for layer in item.layers for part in layer.recipe.parts
    }
    if not all(store.holds(digest, size) for digest, size in parts.items()):
        return None
    bills = [(name, _bill(store, digest)) for name, digest in value["bills"]]
    index = index_of((item.image for item in architectures), _pairs(value["annotations"]))
    whole = FinishedImage(architectures, index, tuple([(name, content) for name, content in bills if content is not None]))
    return whole if len(whole.bills) == len(bills) else None


def remember_image(store: Store, key: str, image: FinishedImage) -> None:
    """Keep an image whose layers are in the store."""
    value = {
        "annotations": image.index.annotations,
        "bills": [[name, str(put_bytes(store, content))] for name, content in image.bills],
        "architectures": [_architecture_row(item) for item in image.architectures],
    }
    store.put(_TABLE, key, canonical_json.encode(value))


def _architecture_row(item: FinishedArchitecture) -> list[Any]:
    annotations = json.loads(item.image.manifest).get("annotations", {})
    layers = [_layer_row(layer) for layer in item.layers]
    return [item.arch.apk, item.image.configuration.decode(), sorted(annotations.items()), layers, item.notices]


def _architecture(row: list[Any]) -> FinishedArchitecture:
    name, configuration, annotations, rows, notices = row
    arch = Arch.parse(name)
    layers = tuple([_layer(layer) for layer in rows])
    descriptors = [Descriptor(item.digests.media_type, item.digests.digest, item.digests.size) for item in layers]
    image = assemble(configuration.encode(), descriptors, Platform.of(arch), _pairs(annotations))
    return FinishedArchitecture(arch, image, layers, tuple(notices))


def _layer_row(layer: StoredLayer) -> list[Any]:
    digests = layer.digests
    parts = [[part.name, *data_row(part.data)] for part in layer.recipe.parts]
    return [str(digests.digest), str(digests.diff_id), digests.size, digests.media_type, layer.tar_crc, parts]


def _layer(row: list[Any]) -> StoredLayer:
    digest, diff_id, size, media_type, crc, rows = row
    parts = tuple([LayerPart(name, data_of_row(data)) for name, *data in rows])
    return StoredLayer(LayerRecipe(parts), LayerDigests(Digest.parse(digest), Digest.parse(diff_id), size, media_type), crc)


def _bill(store: Store, text: str) -> bytes | None:
    """The content, verified; None when the store lost or damaged it."""
    digest = Digest.parse(text)
    stream = store.open(digest)
    if stream is None:
        return None
    with stream:
        content = stream.read()
    if hashlib.sha256(content).digest() == digest.value:
        return content
    store.discard(digest)
    return None


def _pairs(rows: list[list[str]]) -> Pairs:
    return tuple([(name, content) for name, content in rows])
