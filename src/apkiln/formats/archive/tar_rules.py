"""How strictly a tar is read, and what a tolerant reading has to say (spec apk.md D6, §2.4, §12.3)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value


class Report(NamedTuple):
    """A broken rule that a tolerant reader lived with."""

    reason: str
    """The reason a strict reader would have raised."""
    message: str
    section: str
    entry: str
    offset: int
    """Of the header, in uncompressed bytes of the section."""


@value
class TarRules:
    """The choices of a tar reader.  Use one of the values below."""

    name: str
    tolerant: bool = False
    """Shapes that are odd but unambiguous become reports; what would let an entry escape or be misread stays refused."""
    dot_prefix: bool = False
    """`./` before names is taken off, and the root entry `./` is left out."""
    gnu: bool = False
    """Base-256 numbers and long link texts (`K`) are honoured; apk knows neither."""
    pax_size: bool = False
    """A PAX `size` may differ from the header's; apk ignores it."""
    labels: bool = False
    """Names are labels that are never used as paths: only their length and control characters are checked."""
    v7: bool = False
    """Headers without a magic are read too: the form of Unix's seventh edition, in which many sources are published."""
    link_prefix: bool = False
    """Hard link targets may start with `./` or `/` (taken off)."""


STRICT = TarRules("strict")
"""apk packages and indexes for installing, indexing, publishing."""
COMPAT = TarRules("compat", tolerant=True, dot_prefix=True, gnu=True, pax_size=True, link_prefix=True)
"""Inspection only."""
FOREIGN = TarRules("foreign", dot_prefix=True, gnu=True, pax_size=True, link_prefix=True)
"""Archives of others, such as Debian packages and image layers: GNU and PAX in full, and no less careful with names."""
SOURCES = TarRules("sources", dot_prefix=True, gnu=True, pax_size=True, v7=True, link_prefix=True)
"""Archives of sources: as foreign ones, and of any age."""
LABELS = TarRules("labels", labels=True)
"""Archives whose names are keys, such as `scripts.tar`, where Base64 may put `//` into them."""
