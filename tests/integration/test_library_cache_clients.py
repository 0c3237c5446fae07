"""Our library cache against glibc's own `ldconfig`, on the libraries of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from apkiln.core.arch import Arch
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.elf import ElfFacts, read_elf
from apkiln.formats.library_cache import comparison_key, read_cache
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.library_cache import library_cache
from apkiln.image.generated.memory_tree import MemoryTree, Shipped

LDCONFIG = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
SOURCE = Path("/usr/lib/x86_64-linux-gnu")
pytestmark = pytest.mark.skipif(LDCONFIG is None or not SOURCE.is_dir(), reason="needs ldconfig and x86-64 libraries")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two configured directories of real libraries, each beside the links to it."""
    root = tmp_path_factory.mktemp("root")
    libraries = sorted(path for path in SOURCE.glob("lib*.so*") if re.match(r"lib[a-z].*\.so\.\d", path.name))[:60]
    for path in libraries:
        real = path.resolve()
        place = root / "opt" / ("one" if len(real.name) % 2 else "two")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(real, place / real.name)
        if real.name != path.name:
            (place / path.name).symlink_to(real.name)
    (root / "etc").mkdir()
    (root / "etc" / "ld.so.conf").write_text("include ld.so.conf.d/*.conf\n/opt/two\n")
    (root / "etc" / "ld.so.conf.d").mkdir()
    (root / "etc" / "ld.so.conf.d" / "one.conf").write_text("/opt/one\n")
    return root


def shipped(root: Path) -> MemoryTree:
    items = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            items.append(Shipped(Entry(name, EntryType.SYMLINK, 0o777, target=str(path.readlink()))))
        elif path.is_dir():
            items.append(Shipped(Entry(name, EntryType.DIRECTORY, 0o755)))
        else:
            items.append(Shipped(Entry(name, EntryType.FILE, 0o644, size=path.stat().st_size), "pkg", path.read_bytes()))
    return MemoryTree(items)


def ours(root: Path) -> bytes:
    draft = Draft(shipped(root))

    def elf(path: str) -> ElfFacts | None:
        return read_elf(draft.read(path))

    library_cache(draft, Arch.parse("x86_64"), elf)
    return draft.read("etc/ld.so.cache")


def listed(cache: Path) -> list[tuple[str, str]]:
    assert LDCONFIG is not None
    output = subprocess.run([LDCONFIG, "-p", "-C", str(cache)], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^\t(\S+) \([^)]*\) => (\S+)$", output, re.MULTILINE)


def test_ldconfig_reads_our_cache(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "ld.so.cache"
    cache.write_bytes(ours(root))
    assert listed(cache) == [(row.name, row.path) for row in read_cache(cache.read_bytes(), "x86_64")]


def test_our_rows_are_those_of_ldconfig_in_its_order(root: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    assert LDCONFIG is not None
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, symlinks=True)
    subprocess.run([LDCONFIG, "-X", "-r", str(copy), "-C", "/theirs", "-f", "/etc/ld.so.conf"], check=True, capture_output=True)
    shutil.copy(copy / "theirs", theirs)
    wanted = listed(theirs)
    assert len(wanted) > 20
    found = {(row.name, row.path) for row in read_cache(ours(root), "x86_64")}
    assert set(wanted) <= found
    names = [name for name, _ in wanted]
    assert names == sorted(names, key=comparison_key, reverse=True)
