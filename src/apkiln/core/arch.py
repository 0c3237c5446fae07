"""Processor architectures and the names other ecosystems give them (spec image.md §2.1, debian.md §3)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.named_tuple import NamedTuple


class Arch(NamedTuple):
    """One architecture.  Compared and hashed by all names; obtain it with `Arch.parse`."""

    apk: str
    """apk name, for example `x86_64`."""
    oci: str
    """OCI name with variant, for example `amd64` or `arm/v7`."""
    debian: str
    """dpkg name, for example `amd64`; empty when Debian has none."""

    @classmethod
    def parse(cls, text: str) -> Arch:
        """Accept an apk, OCI or Debian name.  An unknown name passes through unchanged, as image files allow."""
        return _BY_NAME.get(text) or cls(text, text, text)

    @property
    def oci_architecture(self) -> str:
        """The OCI `architecture` member, without variant."""
        return self.oci.partition("/")[0]

    @property
    def oci_variant(self) -> str:
        """The OCI `variant` member; empty when there is none."""
        return self.oci.partition("/")[2]

    def __str__(self) -> str:
        return self.apk


KNOWN = (
    Arch("x86", "386", "i386"),
    Arch("x86_64", "amd64", "amd64"),
    Arch("aarch64", "arm64", "arm64"),
    Arch("armhf", "arm/v6", "armel"),
    Arch("armv7", "arm/v7", "armhf"),
    Arch("loongarch64", "loong64", "loong64"),
    Arch("ppc64le", "ppc64le", "ppc64el"),
    Arch("riscv64", "riscv64", "riscv64"),
    Arch("s390x", "s390x", "s390x"),
)
"""The nine architectures of the ecosystem, ordered by OCI name."""

_BY_NAME = {name: arch for arch in KNOWN for name in (arch.apk, arch.oci)} | {"arm64/v8": KNOWN[2], "amd64/v1": KNOWN[1]}


def parse_architectures(names: Iterable[str]) -> tuple[Arch, ...]:
    """Names to architectures: `all` alone means every known one; the result is free of duplicates and sorted by OCI name."""
    listed = list(names)
    if listed == ["all"]:
        return KNOWN
    return tuple(sorted({Arch.parse(name) for name in listed}, key=lambda arch: arch.oci))


def from_debian(name: str) -> Arch | None:
    """The architecture dpkg calls `name`; None when apk has no counterpart."""
    return next((arch for arch in KNOWN if arch.debian == name), None)
