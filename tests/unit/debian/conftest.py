"""A made-up distribution: packages are three lines each, the archive is in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from apkiln.core.arch import Arch
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.progress import Silent
from apkiln.debian.converting import ImportAccess
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent
from apkiln.formats.deb.deb822 import Stanza
from apkiln.formats.deb.writer import write_deb
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.memory_store import MemoryStore
from apkiln.system.package_archive import MemoryArchive

DATE = 1_700_000_000
DebMaker = Callable[..., bytes]


def make_deb(
    name: str,
    version: str = "1.0-1",
    files: Mapping[str, bytes | str] | None = None,
    *,
    architecture: str = "amd64",
    scripts: Sequence[tuple[str, bytes]] = (),
    further: Sequence[tuple[Entry, bytes]] = (),
    **fields: str,
) -> bytes:
    """A `.deb`; `files`: path → content, or link target when it is text.  `fields`: `Pre_Depends="…"` and so on."""
    control = [("Package", name), ("Version", version), ("Architecture", architecture), ("Maintainer", "A <a@b.test>")]
    control += [("Description", f"the {name} package")]
    control += [(field.replace("_", "-"), value) for field, value in fields.items()]
    members: dict[str, tuple[Entry, bytes]] = {}
    for path, content in (files or {}).items():
        entry = (
            Entry(path, EntryType.SYMLINK, 0o777, mtime=DATE, target=content)
            if isinstance(content, str)
            else Entry(path, EntryType.FILE, 0o755 if "bin/" in path else 0o644, size=len(content), mtime=DATE)
        )
        directory = parent(path)
        while directory:
            members.setdefault(directory, (Entry(directory, EntryType.DIRECTORY, 0o755, mtime=DATE), b""))
            directory = parent(directory)
        members[path] = (entry, content if isinstance(content, bytes) else b"")
    data = [members[path] for path in sorted(members)] + list(further)
    return write_deb(Stanza(tuple(control)), data, scripts=scripts, mtime=DATE)


def make_access(suites: Mapping[str, Sequence[bytes]], store: MemoryStore | None = None, jobs: int = 2) -> ImportAccess:
    """Everything an import needs, over a made-up archive."""
    place = store or MemoryStore()
    archive = MemoryArchive.of_packages(suites, place, architecture="amd64", date=DATE)
    return ImportAccess(archive, place, Silent(), canonical_codec(), DEFAULT_LIMITS, jobs, DATE)


@pytest.fixture
def deb() -> DebMaker:
    return make_deb


@pytest.fixture
def access() -> Callable[..., ImportAccess]:
    return make_access


@pytest.fixture
def amd64() -> Arch:
    return Arch.parse("x86_64")
