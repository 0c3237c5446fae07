"""The forms in which layers are stored and sent: what a manifest calls them, and what surrounds their parts."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.oci import media_types


class LayerForm(NamedTuple):
    """How the compressed parts of a layer make one file."""

    media_type: str
    is_framed: bool = False
    """One gzip member is made around the parts, which are open-ended DEFLATE slices.  Otherwise they only follow each other."""


GZIP = LayerForm(media_types.LAYER_GZIP, is_framed=True)
ZSTD = LayerForm(media_types.LAYER_ZSTD)
"""Parts are zstd frames."""
STORED = {
    "stored-gzip": LayerForm(media_types.LAYER_GZIP),
    "stored-zstd": LayerForm(media_types.LAYER_ZSTD),
    "stored-none": LayerForm(media_types.LAYER),
}
"""In place of a codec's name: a layer as somebody else made it, whose only part is the whole file."""


def form_of(codec_name: str) -> LayerForm:
    """The form of a layer whose parts are made by the codec of this name."""
    return STORED.get(codec_name) or (ZSTD if codec_name.startswith("zstd-") else GZIP)
