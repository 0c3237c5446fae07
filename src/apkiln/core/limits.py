"""Upper bounds on everything that comes from outside (spec apk.md §12.3, image.md §3)."""

from __future__ import annotations

from apkiln.core.value import value

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@value
class Limits:
    """Byte and count limits; a reader that meets one refuses the input and names the limit."""

    index_decompressed: int = 300 * MIB
    """Inflated size of one repository index."""
    control_decompressed: int = 10 * MIB
    """Inflated size of a package's signature or control section."""
    data_decompressed: int = 16 * GIB
    """Inflated size of a package's data section, or of an image layer."""
    http_response: int = 8 * GIB
    """Bytes of one HTTP response body."""
    ratio: int = 1000
    """Largest inflated:compressed ratio, applied past `ratio_free` inflated bytes."""
    ratio_free: int = 10 * MIB
    """Inflated bytes for which no ratio is enforced."""
    archive_entries: int = 10_000_000
    """Entries of one archive."""
    pax_record: int = 64 * KIB
    """Bytes of one PAX extended header block."""
    script: int = 256 * KIB
    """Bytes of one package script."""
    signature: int = 64 * KIB
    """Bytes of one signature member."""
    path: int = 4096
    """Bytes of one path in an archive."""
    name: int = 255
    """Bytes of one path component."""
    index_line: int = 4 * MIB
    """Bytes of one index line."""
    document: int = 64 * MIB
    """Bytes of one YAML or JSON document."""


DEFAULT_LIMITS = Limits()
