"""A built image as what is published of it: documents, layers by their parts, bills of materials."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.oci.documents import Index
from apkiln.formats.oci.layout import Image
from apkiln.image.layer_recipe import StoredLayer


class FinishedArchitecture(NamedTuple):
    """One image of the index."""

    arch: Arch
    image: Image
    layers: tuple[StoredLayer, ...]
    """As the image lists them."""
    notices: tuple[str, ...] = ()


@value
class FinishedImage:
    """The whole image; its layers are in the store."""

    architectures: tuple[FinishedArchitecture, ...]
    index: Index
    bills: tuple[tuple[str, bytes], ...]
    """Bills of materials beside the image: file name and content."""

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(item.image for item in self.architectures)

    def layers(self) -> Iterator[StoredLayer]:
        """Every layer of every architecture."""
        for item in self.architectures:
            yield from item.layers
