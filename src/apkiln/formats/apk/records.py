"""What an index, a control section and the installed database say about one package (spec apk.md §2.3, §3, §4)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple


class IndexRecord(NamedTuple):
    """One package as an index lists it.  Dependency fields keep their source text: most records are never looked at,
    so they are parsed when the solver reaches them (performance.md §3.5)."""

    name: str
    version: str
    arch: str
    identity: bytes
    """20 raw bytes (SHA-1 of the control member) for v2; 32 for v3."""
    size: int
    """Bytes of the `.apk` file."""
    installed_size: int
    description: str = ""
    url: str = ""
    license: str = ""
    origin: str = ""
    maintainer: str = ""
    build_date: int = 0
    """Unix seconds; 0 = not stated."""
    commit: str = ""
    provider_priority: int = 0
    depends: str = ""
    """Space-separated items, as written after `D:`."""
    provides: str = ""
    install_if: str = ""
    replaces: str = ""
    """Only in the installed database (`r:`) and in packages; a v2 index has none."""
    replaces_priority: int = 0
    repository_tag: str = ""
    """Only in the installed database (`s:`)."""
    flags: str = ""
    """Only in the installed database (`f:`)."""

    @property
    def name_version(self) -> str:
        return f"{self.name}-{self.version}"
