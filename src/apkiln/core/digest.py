"""Digests that carry their algorithm."""

from __future__ import annotations

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple

SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}
"""Digest length in bytes by algorithm name."""


class Digest(NamedTuple):
    """An algorithm and its raw value; text form `sha256:<hex>` (OCI descriptor syntax)."""

    algorithm: str
    value: bytes

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:hex`.  Raises FormatError (`bad-digest`) on an unknown algorithm, a wrong length or bad hex."""
        algorithm, colon, hexadecimal = text.partition(":")
        if not colon or SIZES.get(algorithm, -1) * 2 != len(hexadecimal) or hexadecimal != hexadecimal.lower():
            raise FormatError(
                f"`{text}` is not a digest", reason="bad-digest", hint="write `sha256:` and 64 lower-case hex digits"
            )
        try:
            return cls(algorithm, bytes.fromhex(hexadecimal))
        except ValueError:
            raise FormatError(f"`{text}` is not a digest", reason="bad-digest") from None

    @classmethod
    def sha256(cls, value: bytes) -> Digest:
        return cls("sha256", value)

    @property
    def hex(self) -> str:
        return self.value.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"
