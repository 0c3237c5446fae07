"""Archives and file systems of a tree, read back by the programs that own the formats."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.image_workshop import Workshop, definition
from tests.sample_packages import sample_package

from apkiln.core.errors import EnvironmentFault
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.exports.file_systems import EROFS, SQUASHFS, FileSystem, ImageFacts, Toolbox, check_program, make_file_system
from apkiln.image.exports.finished_tree import FinishedTree
from apkiln.image.exports.writing import write_cpio
from apkiln.system.process import SystemRunner

MORE = """
paths:
  - {path: /usr/bin/tool, type: permissions, permissions: 0o4755}
  - {path: /usr/bin/z-link, type: hardlink, source: /usr/bin/tool}
  - {path: /srv/data, type: directory, uid: 70000, gid: 8, permissions: 0o2770}
  - {path: /srv/link, type: symlink, source: data}
"""
TOOLS = Toolbox(SystemRunner(), os.environ.get("PATH", ""))
_KINDS = {"-": EntryType.FILE, "d": EntryType.DIRECTORY, "l": EntryType.SYMLINK, "c": EntryType.CHARACTER}


@pytest.fixture(scope="module")
def shop() -> Workshop:
    base = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n"}
    tool = {"usr/bin/tool": b"tool" * 100_000, "usr/share/tool/\u00fc": b"text"}
    packages = [sample_package("base", files=base), sample_package("tool", files=tool)]
    return Workshop({"x86_64": packages}, definition(["base", "tool"], more=MORE))


@pytest.fixture(scope="module")
def tree(shop: Workshop) -> FinishedTree:
    built = shop.built().architectures[0]
    return FinishedTree(built.tree.draft, built.planned)


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"`{program}` is not installed")
    return found


def output_of(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    environment = os.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return subprocess.run([str(word) for word in arguments], input=stdin, capture_output=True, check=True, env=environment).stdout


def usable(system: FileSystem) -> FileSystem:
    try:
        check_program(system, TOOLS)
    except EnvironmentFault as fault:
        pytest.skip(f"{fault.message} ({fault.hint})")
    return system


def made(system: FileSystem, shop: Workshop, tree: FinishedTree, output: Path, compression: str = "") -> Path:
    newest = max(entry.mtime for entry in tree.entries)
    facts = ImageFacts(1_600_000_000, newest, shop.built().architectures[0].image.descriptor.digest)
    make_file_system(usable(system), TOOLS, tree.tar, output, facts, compression or system.compressions[0])
    return output


def in_brief(entries: tuple[Entry, ...]) -> dict[str, tuple[EntryType, int, int, int]]:
    """Type, permissions and owner of each path; joined names have those of their file."""
    files = {entry.path: entry for entry in entries}
    inodes = {path: files[entry.target] if entry.type is EntryType.HARDLINK else entry for path, entry in files.items()}
    return {path: (entry.type, entry.mode, entry.uid, entry.gid) for path, entry in inodes.items()}


def permissions(text: str) -> int:
    """`rwsr-x--T` as a number."""
    mode = 0
    for position, letter in enumerate(text):
        bit = 1 << (8 - position)
        if letter in "rwxst":
            mode |= bit
        if letter in "sStT":
            mode |= (0o4000, 0o2000, 0o1000)[position // 3]
    return mode


def test_cpio_lists_the_tree_with_its_hard_links(shop: Workshop, tree: FinishedTree) -> None:
    cpio = needed("cpio")
    write_cpio(shop.files, PurePosixPath("out/tree.cpio"), shop.built().architectures[0])
    archive = shop.files.read(PurePosixPath("out/tree.cpio"), 1 << 30)
    lines = output_of(cpio, "--list", "--verbose", "--numeric-uid-gid", "--quiet", stdin=archive).decode().splitlines()
    found: dict[str, tuple[EntryType, int, int, int]] = {}
    links: dict[str, int] = {}
    for line in lines:
        kind, rest = line[0], line[1:10]
        count, uid, gid = line[10:].split()[:3]
        path = re.split(r" [A-Z][a-z]{2} [ \d]\d +(?:\d{4}|\d\d:\d\d) ", line, maxsplit=1)[1].partition(" -> ")[0]
        found[path] = (_KINDS[kind], permissions(rest), int(uid), int(gid))
        links[path] = int(count)
    assert found == in_brief(tree.entries)
    assert links["usr/bin/tool"] == links["usr/bin/z-link"] == 2


@pytest.mark.parametrize("compression", SQUASHFS.compressions[:2])
def test_squashfs_holds_the_tree(shop: Workshop, tree: FinishedTree, tmp_path: Path, compression: str) -> None:
    image, reader = made(SQUASHFS, shop, tree, tmp_path / "image", compression), needed("unsquashfs")
    found = dict(squashfs_rows(output_of(reader, "-lln", "-dest", "", image).decode()))
    root = found.pop("")
    assert root == (EntryType.DIRECTORY, 0o755, 0, 0)
    assert found == in_brief(tree.entries)
    for entry in tree.entries:
        if entry.type is EntryType.FILE and entry.size:
            assert output_of(reader, "-cat", image, entry.path) == b"".join(tree.content(entry.path)), entry.path


def squashfs_rows(text: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    for line in text.splitlines():
        matched = re.match(r"([-dlc])(\S{9}) (\d+)/(\d+) +\S+(?: +\d+)? \d{4}-\d\d-\d\d \d\d:\d\d ?/?(.*)", line)
        assert matched, line
        kind, bits, uid, gid, path = matched.groups()
        yield path.partition(" -> ")[0], (_KINDS[kind], permissions(bits), int(uid), int(gid))


@pytest.mark.parametrize("compression", ["none", "lz4hc"])
def test_erofs_holds_the_tree(shop: Workshop, tree: FinishedTree, tmp_path: Path, compression: str) -> None:
    try:
        check_program(EROFS, TOOLS, compression)
    except EnvironmentFault as fault:
        pytest.skip(str(fault))
    image = made(EROFS, shop, tree, tmp_path / "image", compression)
    output_of(needed("fsck.erofs"), image)
    reader = needed("dump.erofs")
    for path, (_, mode, uid, gid) in in_brief(tree.entries).items():
        text = output_of(reader, f"--path=/{path}", image).decode()
        matched = re.search(r"Uid: (\d+) +Gid: (\d+) +Access: (\d+)", text)
        assert matched, text
        # The program prints the lower nine bits; the others are looked at below.
        assert (int(matched[3], 8), int(matched[1]), int(matched[2])) == (mode & 0o777, uid, gid), path
    for entry in tree.entries:
        if entry.type is EntryType.FILE and entry.size:
            content = output_of(reader, "--cat", f"--path=/{entry.path}", image)
            assert hashlib.sha256(content).digest() == hashlib.sha256(b"".join(tree.content(entry.path))).digest()


def test_erofs_keeps_special_bits(shop: Workshop, tree: FinishedTree, tmp_path: Path) -> None:
    image, program = made(EROFS, shop, tree, tmp_path / "image"), needed("fsck.erofs")
    if os.geteuid():
        pytest.skip("only root unpacks device nodes")
    output_of(program, f"--extract={tmp_path / 'unpacked'}", "--preserve", image)
    for path, (kind, mode, uid, gid) in in_brief(tree.entries).items():
        status = (tmp_path / "unpacked" / path).lstat()
        if kind is not EntryType.SYMLINK:
            assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, uid, gid), path
    linked = [(tmp_path / "unpacked" / name).stat().st_ino for name in ("usr/bin/tool", "usr/bin/z-link")]
    assert linked[0] == linked[1]


@pytest.mark.parametrize("system", [EROFS, SQUASHFS], ids=lambda system: system.name)
def test_equal_trees_give_equal_file_systems(system: FileSystem, shop: Workshop, tree: FinishedTree, tmp_path: Path) -> None:
    first = made(system, shop, tree, tmp_path / "first").read_bytes()
    time.sleep(1.1)  # the programs read the clock, in seconds, where they are not told the time
    assert made(system, shop, tree, tmp_path / "second").read_bytes() == first
