"""Archives as trees, and the definitions that describe them."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable

import pytest
from tests.package_workshop import read, written

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup, FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.formats.archive.entry import EntryType
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.importing.archives import owned_by_root, read_archive
from apkiln.package.importing.describing import Description, definition_for


def archive(*rows: tuple[str, str, str], prefix: str = "") -> bytes:
    """A tar archive of (path, type, content or target)."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, kind, text in rows:
            member = tarfile.TarInfo(prefix + path)
            member.uid, member.gid, member.mode = 12, 34, 0o755
            member.type = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}[
                kind
            ]
            if kind == "file":
                member.size = len(text)
            elif kind != "dir":
                member.linkname = (prefix if kind == "hard" else "") + text
            tar.addfile(member, io.BytesIO(text.encode()) if kind == "file" else None)
    return output.getvalue()


ROWS = (
    ("usr", "dir", ""),
    ("usr/bin/a", "file", "content" * 400_000),
    ("usr/bin/b", "hard", "usr/bin/a"),
    ("usr/bin/c", "link", "a"),
)


def zstd(content: bytes) -> bytes:
    from apkiln.formats.deflate.codec import ZSTD_3

    return ZSTD_3.compress_piece(content)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, zstd])
@pytest.mark.parametrize(("prefix", "strip"), [("", 0), ("./", 0), ("top/", 1), ("./top/x/", 2)])
def test_archives_become_packages(compress: Callable[[bytes], bytes], prefix: str, strip: int) -> None:
    content = compress(archive(*ROWS, prefix=prefix))
    tree = read_archive(io.BytesIO(content), len(content), "demo", io.BytesIO(), DEFAULT_LIMITS, strip_components=strip)
    request = EmissionRequest(definition_for(Description("demo", "1")), Arch.parse("x86_64"))
    contents, found = read(written(request, tree)["demo-1-r0.apk"])
    entries = {item.entry.path: item.entry for item in contents.entries}
    assert found["usr/bin/a"] == b"content" * 400_000
    assert entries["usr/bin/b"].type is EntryType.HARDLINK and entries["usr/bin/c"].target == "a"
    assert (entries["usr/bin/a"].uid, entries["usr/bin/a"].gid, entries["usr/bin/a"].mode) == (12, 34, 0o755)
    assert {entry.uid for entry in owned_by_root(tree).entries} == {0}


def test_the_last_of_equal_paths_counts() -> None:
    content = archive(("a", "file", "one"), ("a", "file", "second"))
    tree = read_archive(io.BytesIO(content), len(content), "demo", io.BytesIO(), DEFAULT_LIMITS)
    assert b"".join(tree.content("a")) == b"second" and tree.entries[0].size == 6


def hostile(path: str) -> bytes:
    return archive((path, "file", "x"))


@pytest.mark.parametrize(
    "content",
    [b"x" * 1024, b"PK\3\4" + b"x" * 600, hostile("../x"), gzip.compress(archive(*ROWS))[:-200], archive(*ROWS)[:2000]],
)
def test_bad_archives(content: bytes) -> None:
    with pytest.raises(FormatError):
        read_archive(io.BytesIO(content), len(content), "demo", io.BytesIO(), DEFAULT_LIMITS)


def test_a_bomb_is_stopped() -> None:
    content = gzip.compress(archive(("a", "file", "x" * 5_000_000)))
    with pytest.raises(FormatError):
        read_archive(io.BytesIO(content), len(content), "demo", io.BytesIO(), Limits(data_decompressed=1_000_000))


def test_what_is_told_becomes_the_definition() -> None:
    made = definition_for(
        Description("demo", "1.2", 3, "text", "https://x.example", ("MIT", "0BSD"), ("a", "b>1"), ("c=1",), ("d",))
    )
    assert made.package.full_version == "1.2-r3" and [item.license.text for item in made.package.copyright] == ["MIT", "0BSD"]
    assert [item.text for item in made.package.dependencies.runtime] == ["a", "b>1"]


def test_all_faults_of_a_description_together() -> None:
    with pytest.raises(ApkilnError) as error:
        definition_for(Description("-x", "1:2", depends=("a b c",)))
    assert isinstance(error.value, FaultGroup)
    assert [fault.reason for fault in error.value.faults] == ["bad-name", "bad-version", "bad-dependency"]
