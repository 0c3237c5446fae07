"""Laws of exports: every form holds the image's tree, whatever its layers and its compression are."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import PurePath, PurePosixPath

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image_workshop import Workshop, definition, union
from tests.sample_packages import SamplePackage, sample_package

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError, UsageError, VerificationError
from apkiln.formats.archive.cpio import CpioReader
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.building import BuiltImage
from apkiln.image.exports.file_systems import EROFS, SQUASHFS, FileSystem, ImageFacts, Toolbox, check_program, make_file_system
from apkiln.image.exports.finished_tree import FinishedTree
from apkiln.image.output import OutputKind, OutputTarget, Publication, check_target, parse_output, write_image
from apkiln.system.process import Command, Completed, ScriptedRunner

OUT = PurePosixPath("out")
PATHS = """
paths:
  - {path: /usr/bin/tool, type: permissions, permissions: 0o4755}
  - {path: /a-link, type: hardlink, source: /usr/share/tool/data}
  - {path: /usr/bin/z-link, type: hardlink, source: /usr/bin/tool}
  - {path: /srv/data, type: directory, uid: 7, permissions: 0o2770}
"""
LAYERED = "layering: {strategy: package, budget: 3}\n"


def packages() -> list[SamplePackage]:
    return [
        sample_package("base", files={"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "etc/empty": b""}),
        sample_package("tool", files={"usr/bin/tool": b"tool" * 1000, "usr/share/tool/data": bytes(range(256)) * 64}),
    ]


def workshop(more: str = PATHS) -> Workshop:
    return Workshop({"x86_64": packages()}, definition(["base", "tool"], more=more))


def export(shop: Workshop, built: BuiltImage, kind: OutputKind, name: str, tools: Toolbox | None = None) -> bytes:
    target = OutputTarget(kind, f"out/{name}")
    write_image(shop.files, shop.store, built, Publication(target, OUT / name, parse_reference("a:1")), tools)
    return shop.files.read(OUT / name, 1 << 30)


Tree = dict[str, tuple[object, ...]]


def expected(shop: Workshop, built: BuiltImage) -> Tree:
    """The union of the image's layers; joined names count as one inode, whichever carries the content."""
    shop.written(built)
    layers = union(shop.layers())
    return {path: described(entry, digest, layers) for path, (entry, digest) in layers.items()}


def described(entry: Entry, digest: str, layers: dict[str, tuple[Entry, str]]) -> tuple[object, ...]:
    if entry.type is EntryType.HARDLINK:
        entry, digest = layers[entry.target]
    content = digest if entry.type is EntryType.FILE else ""
    return entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, entry.size, entry.device, content, entry.target


def read_tar(data: bytes) -> Tree:
    """By the standard library: its reader shares nothing with our writer."""
    kinds = {kind.value.encode(): kind for kind in EntryType}
    found: Tree = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.islnk():
                assert member.linkname in found, "a hard link stands after its file"
                found[member.name] = found[member.linkname]
                continue
            content = archive.extractfile(member) if member.isreg() else None
            digest = hashlib.sha256(content.read()).hexdigest() if content else ""
            found[member.name] = (
                kinds[member.type], member.mode, member.uid, member.gid, int(member.mtime), member.size,
                (member.devmajor, member.devminor), digest, member.linkname,
            )  # fmt: skip
    return found


def read_cpio(data: bytes) -> tuple[Tree, dict[int, list[str]]]:
    """The tree, and the names of each inode that has several."""
    reader = CpioReader(io.BytesIO(data).read)
    contents: dict[int, bytes] = {}
    members = []
    for member in reader:
        content = b"".join(reader.content())
        if content:
            assert member.inode not in contents, "the content of an inode stands once"
            contents[member.inode] = content
        members.append(member)
    found: Tree = {}
    names: dict[int, list[str]] = {}
    for member in members:
        entry, content = member.entry, contents.get(member.inode, b"")
        digest = hashlib.sha256(content).hexdigest() if entry.type is EntryType.FILE else ""
        names.setdefault(member.inode, []).append(entry.path)
        found[entry.path] = (
            entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, len(content), entry.device, digest, entry.target,
        )  # fmt: skip
    return found, {inode: listed for inode, listed in names.items() if len(listed) > 1}


@pytest.mark.parametrize("layering", ["", LAYERED])
def test_every_archive_holds_the_tree_of_the_image(layering: str) -> None:
    shop = workshop(PATHS + layering)
    built = shop.built()
    wanted = expected(shop, built)
    assert len(built.architectures[0].layers) == (3 if layering else 1)
    assert read_tar(export(shop, built, OutputKind.ROOT_FILE_SYSTEM, "r.tar")) == wanted
    found, joined = read_cpio(export(shop, built, OutputKind.CPIO, "r.cpio"))
    assert found == wanted
    in_one_layer = [["usr/bin/tool", "usr/bin/z-link"]]
    assert sorted(joined.values()) == ([] if layering else [["a-link", "usr/share/tool/data"]]) + in_one_layer


@pytest.mark.parametrize("layering", ["", LAYERED])
@pytest.mark.parametrize("kind", [OutputKind.ROOT_FILE_SYSTEM, OutputKind.CPIO])
def test_the_suffix_says_how_an_archive_is_compressed(kind: OutputKind, layering: str) -> None:
    shop = workshop(PATHS + layering)
    built = shop.built()
    plain = export(shop, built, kind, "plain")
    for suffix in (".gz", ".tgz", ".cgz"):
        assert gzip.decompress(export(shop, built, kind, f"r{suffix}")) == plain
    for suffix in (".zst", ".tzst"):
        assert zstd.decompress(export(shop, built, kind, f"r{suffix}")) == plain


@pytest.mark.parametrize("layering", ["", LAYERED])
def test_equal_definitions_give_equal_archives_from_any_cache(layering: str) -> None:
    first, second = workshop(PATHS + layering), workshop(PATHS + layering)
    second.built()  # its second build finds everything in the cache
    for kind, name in ((OutputKind.ROOT_FILE_SYSTEM, "r.tar.gz"), (OutputKind.CPIO, "r.cpio")):
        assert export(first, first.built(), kind, name) == export(second, second.built(), kind, name)


def test_the_tree_is_in_order_and_joined_names_follow_their_file() -> None:
    built = workshop().built().architectures[0]
    entries = FinishedTree(built.tree.draft, built.planned).entries
    seen: set[str] = set()
    for entry in entries:
        parent = entry.path.rpartition("/")[0]
        assert not parent or parent in seen
        assert entry.type is not EntryType.HARDLINK or entry.target in seen
        seen.add(entry.path)
    assert [entry.path for entry in entries] == sorted(seen, key=lambda path: path.split("/"))
    links = {entry.path: entry.target for entry in entries if entry.type is EntryType.HARDLINK}
    assert links == {"usr/share/tool/data": "a-link", "usr/bin/z-link": "usr/bin/tool"}


@pytest.mark.parametrize("kind", [OutputKind.ROOT_FILE_SYSTEM, OutputKind.CPIO])
def test_a_tree_is_of_one_architecture(kind: OutputKind) -> None:
    shop = Workshop(
        {arch: [sample_package("base", arch=arch)] for arch in ("x86_64", "aarch64")}, definition(["base"], "[amd64, arm64]")
    )
    with pytest.raises(UsageError) as caught:
        export(shop, shop.built(), kind, "r.tar")
    assert caught.value.reason == "one-architecture"
    assert shop.files.status(OUT / "r.tar") is None


@pytest.mark.parametrize("name", ["r.tar", "r.tar.gz", "r.tar.zst"])
@pytest.mark.parametrize("kind", [OutputKind.ROOT_FILE_SYSTEM, OutputKind.CPIO])
@pytest.mark.parametrize("layering", ["", LAYERED])
def test_a_damaged_cache_gives_no_archive(kind: OutputKind, name: str, layering: str) -> None:
    shop = workshop(PATHS + layering)
    built = shop.built()
    for segment in built.architectures[0].segments:
        shop.store.damage(segment.data.raw, 520)  # in the content of the first file
        shop.store.damage(segment.data.slice, 20)
    with pytest.raises(VerificationError) as caught:
        export(shop, built, kind, name)
    assert caught.value.reason == "cache-entry-damaged"
    assert shop.files.status(OUT / name) is None


# --- file systems ------------------------------------------------------------------------------------------------------

FACTS = ImageFacts(1000, 2000, Digest.sha256(b"\1" * 32))


class WritingRunner:
    """A stand-in for the programs: it writes what it was fed to where it was told."""

    def __init__(self, shop: Workshop, answer: Completed) -> None:
        self.shop = shop
        self.answer = answer
        self.commands: list[Command] = []

    def run(self, command: Command) -> Completed:
        self.commands.append(command)
        if command.feed is not None:
            self.shop.files.put(command.arguments[-1], b"".join(command.feed()))
        return self.answer


@pytest.mark.parametrize("kind", [OutputKind.EROFS, OutputKind.SQUASHFS])
@pytest.mark.parametrize("layering", ["", LAYERED])
def test_programs_are_fed_the_tree(kind: OutputKind, layering: str) -> None:
    shop = workshop(PATHS + layering)
    built = shop.built()
    runner = WritingRunner(shop, Completed(0, b"", b""))
    fed = read_tar(export(shop, built, kind, "r.image", Toolbox(runner, "/bin")))
    fed.pop(".", None)  # erofs is told of the root
    assert fed == expected(shop, built)
    assert dict(runner.commands[0].environment)["PATH"] == "/bin"
    assert "HOME" not in dict(runner.commands[0].environment)


@pytest.mark.parametrize("kind", [OutputKind.EROFS, OutputKind.SQUASHFS])
def test_a_failing_program_leaves_no_image(kind: OutputKind) -> None:
    shop = workshop()
    runner = WritingRunner(shop, Completed(1, b"", b"noise\nno space left\n"))
    with pytest.raises(UnavailableError, match="no space left") as caught:
        export(shop, shop.built(), kind, "r.image", Toolbox(runner, "/bin"))
    assert caught.value.reason == "program-failed"
    assert shop.files.status(OUT / "r.image") is None


@pytest.mark.parametrize("system", [EROFS, SQUASHFS])
def test_missing_and_old_programs_are_named_with_their_package(system: FileSystem) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        check_program(system, Toolbox(ScriptedRunner({}), "/bin"))
    assert caught.value.reason == "missing-program"
    assert system.package in str(caught.value.hint)
    old = ScriptedRunner({(system.program, *system.probe): Completed(0, b"usage: nothing of use", b"")})
    with pytest.raises(EnvironmentFault) as caught:
        check_program(system, Toolbox(old, "/bin"))
    assert caught.value.reason == "program-too-old"
    good = ScriptedRunner({(system.program, *system.probe): Completed(1, b"", b"..." + system.evidence + b"...")})
    check_program(system, Toolbox(good, "/bin"))


def test_a_program_that_was_built_without_a_compression_is_told_before_anything_is_made() -> None:
    text = b"--tar=f ... compressors are:\n  deflate\n    [,level=<0-9>]\n  zstd\n"
    tools = Toolbox(ScriptedRunner({(EROFS.program, *EROFS.probe): Completed(0, text, b"")}), "/bin")
    check_program(EROFS, tools)
    check_program(EROFS, tools, "zstd")
    with pytest.raises(EnvironmentFault) as caught:
        check_program(EROFS, tools, "lz4hc")
    assert (caught.value.reason, caught.value.hint) == ("compression-missing", "it has `deflate`, `zstd`")


@pytest.mark.parametrize("text", ["type=erofs,dest=x", "type=squashfs,dest=x"])
def test_a_missing_program_is_told_before_the_build(text: str) -> None:
    with pytest.raises(EnvironmentFault):
        check_target(workshop().files, parse_output(text), OUT / "x", Toolbox(ScriptedRunner({}), "/bin"))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**31), st.integers(0, 2**31))
@settings(max_examples=30)
def test_identity_and_times_come_from_the_image(digest: bytes, epoch: int, newest: int) -> None:
    runner = ScriptedRunner({})
    facts = ImageFacts(epoch, newest, Digest.sha256(digest))
    for system in (EROFS, SQUASHFS):
        with pytest.raises(EnvironmentFault):
            make_file_system(system, Toolbox(runner, ""), tuple, PurePath("o"), facts, "zstd")
    erofs, squashfs = runner.commands
    assert f"-T{epoch}" in erofs.arguments
    identifier = next(word for word in erofs.arguments if word.startswith("-U"))[2:]
    assert identifier.replace("-", "")[:12] == digest.hex()[:12]
    assert (identifier[14], identifier[19], len(identifier)) == ("8", "8", 36)
    assert int(dict(squashfs.environment)["SOURCE_DATE_EPOCH"]) == max(epoch, newest)


REFUSED = (
    "type=squashfs,dest=x,compression=lz5",
    "type=erofs,dest=x,compression=brotli",
    "type=rootfs,dest=x,compression=zstd",
    "type=cpio",
)


@pytest.mark.parametrize("text", REFUSED)
def test_wrong_outputs_are_refused(text: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        check_target(workshop().files, parse_output(text), OUT / "x", Toolbox(ScriptedRunner({}), ""))
    assert caught.value.reason == "bad-output"
