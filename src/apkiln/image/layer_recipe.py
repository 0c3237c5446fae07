"""A layer as a value: the stored parts that it is the concatenation of, and what a manifest says of it."""

from __future__ import annotations

import hashlib

from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.oci import media_types
from apkiln.image.layer_forms import LayerForm, form_of
from apkiln.rootfs.segment_data import SegmentData


class LayerPart(NamedTuple):
    """A stored part of a layer."""

    name: str
    """For messages: `skeleton`, `generated`, or a package's name and version."""
    data: SegmentData


@value
class LayerRecipe:
    """A layer as the concatenation of its parts, raw and compressed alike."""

    parts: tuple[LayerPart, ...]

    @property
    def raw_size(self) -> int:
        return sum(part.data.raw_size for part in self.parts)

    @property
    def form(self) -> LayerForm:
        """How the parts' compressed bytes make a file; a layer has at least one part, and all are made alike."""
        return form_of(self.parts[0].data.codec)

    def key(self) -> str:
        """Key of the layer's digests: the parts' raw digests in order, and how they are compressed."""
        described = [[part.data.raw.hex, part.data.slice.hex, part.data.codec] for part in self.parts]
        return hashlib.sha256(canonical_json.encode(described)).hexdigest()


class LayerDigests(NamedTuple):
    """What a manifest and a configuration say of a layer."""

    digest: Digest
    """SHA-256 of the compressed file."""
    diff_id: Digest
    """SHA-256 of the tar."""
    size: int
    """Bytes of the compressed file."""
    media_type: str = media_types.LAYER_GZIP


class StoredLayer(NamedTuple):
    """A layer whose bytes can be had at any time."""

    recipe: LayerRecipe
    digests: LayerDigests
    tar_crc: int | None = None
    """CRC-32 of the tar where it is known; otherwise it is put together from those of the parts."""
    measured_now: bool = False
    """The digests were computed by this process, not remembered."""
