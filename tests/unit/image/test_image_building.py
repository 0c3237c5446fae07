"""Whole images in memory: a small signed repository in, an OCI layout out, read back and compared with the tree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sample_packages import SamplePackage, sample_index, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, ConflictError, FormatError, UnsatisfiableError, UsageError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.bills import BillRequest
from apkiln.image.building import BuildOptions, BuiltImage, build_image
from apkiln.image.configuration.model import ImageConfiguration, SbomSettings
from apkiln.image.definition import read_definition
from apkiln.image.layer_reading import LayerReader
from apkiln.image.output import OutputKind, OutputTarget, Publication, check_target, default_output, parse_output, write_image
from apkiln.image.place import open_place
from apkiln.image.resolving import ResolveOptions, resolve
from apkiln.image.stored import stored_images
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer

CODEC = canonical_codec()
AMD64, ARM64 = Arch.parse("amd64"), Arch.parse("arm64")
DEFINITION = """
contents:
  keyring: [keys/sample.rsa.pub]
  repositories: [repo]
  packages: [base, tool]
archs: [amd64]
accounts:
  run-as: web
  users: [{username: web, uid: 2000}]
paths:
  - {path: /usr/bin/tool, type: permissions, permissions: 0o4755}
  - {path: /srv/data, type: directory, uid: 7, permissions: 0o2770}
entrypoint: {command: /usr/bin/tool --serve}
"""


def packages(arch: str = "x86_64") -> list[SamplePackage]:
    base = {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": b"root:x:0:root\n",
        "etc/os-release": b"ID=sample\nNAME=Sample\nVERSION_ID=1\n",
    }
    tool = {"usr/bin/tool": b"tool" * 1000, "usr/share/tool/data": bytes(range(256)) * 64}
    return [
        sample_package("base", files=base, arch=arch),
        sample_package("tool", "1.2-r0", files=tool, depends=["library"], arch=arch),
        sample_package("library", "2.0-r0", files={"usr/lib/library.so": b"library"}, arch=arch),
        sample_package("other", files={"opt/other": b"other"}, arch=arch),
    ]


def workspace(repository: Mapping[str, Sequence[SamplePackage]], definition: str = DEFINITION) -> MemoryFiles:
    """A definition with its key and repository, by architecture."""
    signer = sample_signer()
    files = MemoryFiles({"work/image.yaml": definition.encode(), "work/keys/sample.rsa.pub": signer.public_key()})
    for arch, listed in repository.items():
        files.put(f"work/repo/{arch}/APKINDEX.tar.gz", sample_index(listed, signer))
        for package in listed:
            files.put(f"work/repo/{arch}/{package.file_name}", package.data)
    files.make_directory(PurePosixPath("out"))
    return files


class Builder:
    """One machine: files and a cache."""

    def __init__(self, files: MemoryFiles, store: MemoryStore | None = None) -> None:
        self.files = files
        self.store = store or MemoryStore()
        self.access = Access(self.store, LocalTransfer(files), files, directory=PurePosixPath("work"))

    def configuration(self) -> ImageConfiguration:
        return read_definition(self.files, PurePosixPath("work"), "image.yaml", DEFAULT_LIMITS).configuration

    def build(self, **options: Any) -> BuiltImage:
        loaded = read_definition(self.files, PurePosixPath("work"), "image.yaml", DEFAULT_LIMITS)
        resolution = resolve(loaded.configuration, loaded.checksum, ResolveOptions(AMD64), self.access)
        request = BillRequest("example.com/app", SbomSettings())
        chosen = BuildOptions(CODEC, directory=PurePosixPath("work"), bills=request, **options)
        return build_image(loaded.configuration, resolution, chosen, self.access)

    def publish(self, built: BuiltImage, place: str = "out/image", kind: OutputKind = OutputKind.OCI_DIRECTORY) -> None:
        target = OutputTarget(kind, place)
        publication = Publication(target, PurePosixPath(place), parse_reference("example.com/app:1.0"))
        write_image(self.files, self.store, built, publication)


def amd64_builder(definition: str = DEFINITION) -> Builder:
    return Builder(workspace({"x86_64": packages()}, definition))


def entries_of(files: MemoryFiles, place: str, number: int = 0) -> dict[str, tuple[Entry, str]]:
    """Path to entry and content digest of all layers of a stored image; no path may come twice."""
    found: dict[str, tuple[Entry, str]] = {}
    opened = open_place(files, PurePosixPath(place), DEFAULT_LIMITS)
    image = stored_images(opened, DEFAULT_LIMITS)[number]
    for layer in image.layers:
        with opened.open(layer.name) as stream:
            reader = LayerReader(stream)
            for entry, chunks in reader:
                assert entry.path not in found, f"{entry.path} stands twice"
                digest = hashlib.sha256(b"".join(chunks)).hexdigest() if entry.type is EntryType.FILE else ""
                found[entry.path] = (entry, digest)
            assert reader.measured.diff_id == layer.diff_id
            assert layer.digest in (None, reader.measured.digest)
    return found


def test_the_layer_is_the_tree_and_no_path_stands_twice() -> None:
    builder = amd64_builder()
    built = builder.build()
    builder.publish(built)
    found = entries_of(builder.files, "out/image")
    draft = built.architectures[0].tree.draft
    expected = {path for path in (*draft.packages.paths(), *draft.nodes) if draft.exists(path)}
    assert set(found) == expected
    for path, (entry, digest) in found.items():
        planned = draft.entry(path)
        assert planned is not None
        assert entry == planned._replace(uname="", gname="", pax=()), path
        if entry.type is EntryType.FILE:
            assert digest == hashlib.sha256(draft.read(path)).hexdigest()
    assert found["usr/bin/tool"][0].mode == 0o4755
    assert (found["srv/data"][0].mode, found["srv/data"][0].uid) == (0o2770, 7)
    assert found["home/web"][0].uid == 2000


def test_parents_come_before_their_children() -> None:
    builder = amd64_builder()
    builder.publish(builder.build())
    seen: set[str] = set()
    for path in entries_of(builder.files, "out/image"):
        parent = path.rpartition("/")[0]
        assert not parent or parent in seen
        seen.add(path)


def test_documents_name_what_was_built() -> None:
    builder = amd64_builder()
    built = builder.build()
    builder.publish(built)
    (image,) = stored_images(open_place(builder.files, PurePosixPath("out/image"), DEFAULT_LIMITS), DEFAULT_LIMITS)
    assert image.configuration.process.user == "2000"
    assert image.configuration.process.entrypoint == ("/usr/bin/tool", "--serve")
    assert image.configuration.created == "2023-11-14T22:13:20Z"
    assert built.architectures[0].image.descriptor.digest == image_digest(builder, "out/image")
    bill = json.loads(builder.files.read(PurePosixPath("out/image/sbom-x86_64.spdx.json"), 1 << 20))
    listed = {
        (item["name"], item["versionInfo"]) for item in bill["packages"] if item["SPDXID"].startswith("SPDXRef-Package-apk")
    }
    assert listed == {("base", "1.0-r0"), ("tool", "1.2-r0"), ("library", "2.0-r0")}


def test_the_bill_inside_names_no_layer_and_all_packages() -> None:
    draft = amd64_builder().build().architectures[0].tree.draft
    bill = json.loads(draft.read("var/lib/db/sbom/apkiln-image.spdx.json"))
    assert {item["name"] for item in bill["packages"]} == {"image", "sample", "base", "tool", "library"}
    assert not any("ImageLayer" in item["SPDXID"] for item in bill["packages"])
    (subject,) = bill["documentDescribes"]
    contained = {row["relatedSpdxElement"] for row in bill["relationships"] if row["spdxElementId"] == subject}
    assert len(contained) == 4
    known = {item["SPDXID"] for item in bill["packages"]} | {"SPDXRef-DOCUMENT"}
    for row in bill["relationships"]:
        assert {row["spdxElementId"], row["relatedSpdxElement"]} <= known


def image_digest(builder: Builder, place: str) -> Any:
    from apkiln.core.digest import Digest

    index = json.loads(builder.files.read(PurePosixPath(place) / "index.json", 1 << 20))
    return Digest.parse(index["manifests"][0]["digest"])


def test_world_keeps_what_was_asked_and_the_database_lists_all() -> None:
    draft = amd64_builder().build().architectures[0].tree.draft
    assert draft.read("etc/apk/world") == b"base\ntool\n"
    installed = draft.read("usr/lib/apk/db/installed").decode()
    assert [line[2:] for line in installed.splitlines() if line.startswith("P:")] == ["base", "library", "tool"]


@given(st.permutations(range(4)))
@settings(max_examples=8, deadline=None)
def test_record_order_does_not_change_the_image(order: list[int]) -> None:
    listed = packages()
    first = Builder(workspace({"x86_64": listed})).build()
    second = Builder(workspace({"x86_64": [listed[number] for number in order]})).build()
    assert first.index == second.index
    assert first.bills == second.bills


@pytest.mark.parametrize("request_order", ["[base, tool]", "[tool, base]", "[tool, base, tool]"])
def test_request_order_does_not_change_the_image(request_order: str) -> None:
    other = amd64_builder(DEFINITION.replace("[base, tool]", request_order)).build()
    assert amd64_builder().build().images[0].descriptor == other.images[0].descriptor


def test_a_warm_cache_gives_the_same_bytes() -> None:
    builder = amd64_builder()
    builder.publish(builder.build(), "out/first")
    builder.publish(builder.build(), "out/second")
    shots = builder.files.snapshot()
    first = {path.removeprefix("out/first"): data for path, data in shots.items() if path.startswith("out/first/")}
    second = {path.removeprefix("out/second"): data for path, data in shots.items() if path.startswith("out/second/")}
    assert first == second
    assert first


def test_a_build_without_its_packages_works_from_the_cache_alone() -> None:
    builder = amd64_builder()
    first = builder.build()
    bare = workspace({"x86_64": packages()})
    for package in packages():
        bare.remove(PurePosixPath(f"work/repo/x86_64/{package.file_name}"))
    assert Builder(bare, builder.store).build().index == first.index


def test_a_segment_that_was_lost_is_made_again() -> None:
    builder = amd64_builder()
    first = builder.build()
    for segment in first.architectures[0].segments:
        builder.store.discard(segment.data.slice)
    assert builder.build().index == first.index


@pytest.mark.parametrize("package", ["base-1.0-r0", "library-2.0-r0", "tool-1.2-r0", "skeleton", "generated"])
def test_damage_in_the_cache_is_named_and_leaves_no_output(package: str) -> None:
    builder = amd64_builder()
    layer = next(builder.build().finished().layers())
    part = next(part for part in layer.recipe.parts if part.name == package)
    builder.store.damage(part.data.slice, 4)
    with pytest.raises(VerificationError) as caught:
        builder.publish(builder.build())
    assert caught.value.reason == "cache-entry-damaged"
    assert caught.value.origin.package == package
    assert builder.files.status(PurePosixPath("out/image")) is None
    builder.publish(builder.build())
    assert entries_of(builder.files, "out/image")


def test_a_tampered_package_is_refused_each_time() -> None:
    files = workspace({"x86_64": packages()})
    name = f"work/repo/x86_64/{packages()[1].file_name}"
    data = bytearray(files.read(PurePosixPath(name), 1 << 30))
    data[-20] ^= 1
    files.put(name, bytes(data))
    builder = Builder(files)
    for _ in range(2):
        with pytest.raises((VerificationError, FormatError)) as caught:
            builder.build()
        assert caught.value.origin.package == "tool-1.2-r0"


def test_a_strange_key_is_refused() -> None:
    files = workspace({"x86_64": packages()})
    files.put("work/keys/sample.rsa.pub", sample_signer("other.rsa.pub").public_key())
    with pytest.raises(VerificationError):
        Builder(files).build()


# --- architectures -----------------------------------------------------------------------------------------------------


TWO = DEFINITION.replace("archs: [amd64]", "archs: [arm64, amd64]")


def test_two_architectures_share_one_index() -> None:
    builder = Builder(workspace({"x86_64": packages(), "aarch64": packages("aarch64")}, TWO))
    built = builder.build()
    assert [item.arch for item in built.architectures] == [AMD64, ARM64]
    assert [row.platform.architecture for row in built.index.manifests if row.platform] == ["amd64", "arm64"]
    builder.publish(built)
    names = {path.rpartition("/")[2] for path in builder.files.snapshot() if "sbom-" in path}
    assert names == {"sbom-x86_64.spdx.json", "sbom-aarch64.spdx.json", "sbom-index.spdx.json"}
    for number in (0, 1):
        assert "usr/bin/tool" in entries_of(builder.files, "out/image", number)


def newer(arch: str) -> SamplePackage:
    return sample_package("library", "2.1-r0", files={"usr/lib/library.so": b"newer"}, arch=arch)


def test_versions_are_made_equal_between_architectures() -> None:
    """The newest is used only where all architectures have it."""
    repository = {"x86_64": [*packages(), newer("x86_64")], "aarch64": packages("aarch64")}
    built = Builder(workspace(repository, TWO)).build()
    for item in built.architectures:
        assert {segment.files.name_version for segment in item.segments} >= {"library-2.0-r0"}


def test_drift_allows_a_difference() -> None:
    repository = {"x86_64": [*packages(), newer("x86_64")], "aarch64": packages("aarch64")}
    definition = TWO.replace("packages: [base, tool]", "packages: [base, tool]\n  drift: [library]")
    amd64, arm64 = Builder(workspace(repository, definition)).build().architectures
    assert "library-2.1-r0" in {segment.files.name_version for segment in amd64.segments}
    assert "library-2.0-r0" in {segment.files.name_version for segment in arm64.segments}


def test_architectures_without_a_common_version_are_refused() -> None:
    others = [package for package in packages() if package.record.name != "library"]
    repository = {"x86_64": [*others, newer("x86_64")], "aarch64": packages("aarch64")}
    with pytest.raises(UnsatisfiableError) as caught:
        Builder(workspace(repository, TWO)).build()
    assert caught.value.reason == "architectures-differ"


# --- layers ------------------------------------------------------------------------------------------------------------


LAYERED = DEFINITION.replace("entrypoint", "layering: {strategy: STRATEGY, budget: BUDGET}\nentrypoint")
GROUPED = "layering: {strategy: groups, groups: [[library, absent], [base]]}"


def layered(strategy: str, budget: int) -> str:
    return LAYERED.replace("STRATEGY", strategy).replace("BUDGET", str(budget))


def layers_of(files: MemoryFiles, place: str) -> list[dict[str, tuple[Entry, str]]]:
    opened = open_place(files, PurePosixPath(place), DEFAULT_LIMITS)
    (image,) = stored_images(opened, DEFAULT_LIMITS)
    found = []
    for layer in image.layers:
        entries: dict[str, tuple[Entry, str]] = {}
        with opened.open(layer.name) as stream:
            for entry, chunks in LayerReader(stream):
                assert entry.path not in entries, f"{entry.path} stands twice"
                entries[entry.path] = (entry, hashlib.sha256(b"".join(chunks)).hexdigest())
        found.append(entries)
    return found


@pytest.mark.parametrize(
    ("definition", "count"),
    [
        (layered("single", 1), 1),
        (layered("origin", 1), 2),
        (layered("origin", 2), 3),
        (layered("package", 20), 4),
        (LAYERED.replace("layering: {strategy: STRATEGY, budget: BUDGET}", GROUPED), 4),
    ],
)
def test_the_union_of_layers_is_the_tree(definition: str, count: int) -> None:
    builder = amd64_builder(definition)
    builder.publish(builder.build())
    layers = layers_of(builder.files, "out/image")
    assert len(layers) == count
    union: dict[str, tuple[Entry, str]] = {}
    for layer in layers:
        for path in layer:
            assert not path.rpartition("/")[0] or path.rpartition("/")[0] in layer, "parents are in the layer"
        union |= layer
    single = amd64_builder(DEFINITION)
    single.publish(single.build())
    (expected,) = layers_of(single.files, "out/image")
    ignored = {"etc/apko.json", "etc/apkiln/manifest.json", "var/lib/db/sbom/apkiln-image.spdx.json"}
    assert {path: item for path, item in union.items() if path not in ignored} == {
        path: item for path, item in expected.items() if path not in ignored
    }
    assert union.keys() == expected.keys()


def test_a_group_does_not_depend_on_the_rest_of_the_image() -> None:
    def digests(definition: str) -> dict[tuple[str, ...], Any]:
        (built,) = amd64_builder(definition).build().architectures
        return {layer.packages: layer.layer.digests.digest for layer in built.layers if layer.packages}

    small = digests(layered("package", 20))
    large = digests(layered("package", 20).replace("[base, tool]", "[base, tool, other]"))
    assert len(small) == 3
    assert small.items() <= large.items()


def test_the_bill_says_which_layer_holds_a_package() -> None:
    built = amd64_builder(layered("package", 20)).build()
    bill = json.loads(built.bills[0][1])
    names = {item["SPDXID"]: item["name"] for item in bill["packages"]}
    contained = {
        names[row["relatedSpdxElement"]]: names[row["spdxElementId"]]
        for row in bill["relationships"]
        if row["relationshipType"] == "CONTAINS" and "ImageLayer" in row["spdxElementId"]
    }
    for layer in built.architectures[0].layers:
        for package in layer.packages:
            assert contained[package.rsplit("-", 2)[0]] == str(layer.layer.digests.digest)


def test_a_hard_link_into_another_layer_is_a_copy() -> None:
    link = "\n  - {path: /usr/bin/again, type: hardlink, source: /usr/share/tool/data}\nentrypoint"
    single = amd64_builder(DEFINITION.replace("\nentrypoint", link)).build().architectures[0].tree.draft
    assert single.nodes["usr/bin/again"].entry.type is EntryType.HARDLINK
    builder = amd64_builder(layered("package", 20).replace("\nlayering", link.replace("entrypoint", "layering")))
    built = builder.build()
    draft = built.architectures[0].tree.draft
    assert draft.nodes["usr/bin/again"].entry.type is EntryType.FILE
    builder.publish(built)
    top = layers_of(builder.files, "out/image")[-1]
    assert top["usr/bin/again"][1] == hashlib.sha256(bytes(range(256)) * 64).hexdigest()


# --- outputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OutputKind.OCI_ARCHIVE, OutputKind.DOCKER])
def test_archives_hold_the_same_image(kind: OutputKind) -> None:
    builder = amd64_builder()
    built = builder.build()
    builder.publish(built)
    builder.publish(built, "out/image.tar", kind)
    assert entries_of(builder.files, "out/image.tar") == entries_of(builder.files, "out/image")


def test_docker_archives_of_two_architectures_have_two_tags() -> None:
    builder = Builder(workspace({"x86_64": packages(), "aarch64": packages("aarch64")}, TWO))
    builder.publish(builder.build(), "out/image.tar", OutputKind.DOCKER)
    images = stored_images(open_place(builder.files, PurePosixPath("out/image.tar"), DEFAULT_LIMITS), DEFAULT_LIMITS)
    assert sorted(image.name for image in images) == ["example.com/app:1.0-amd64", "example.com/app:1.0-arm64"]


@pytest.mark.parametrize("name", ["out/root.tar", "out/root.tar.gz"])
def test_a_root_file_system_is_the_layer(name: str) -> None:
    builder = amd64_builder()
    built = builder.build()
    builder.publish(built, name, OutputKind.ROOT_FILE_SYSTEM)
    layer = next(built.finished().layers())
    digest = hashlib.sha256(builder.files.read(PurePosixPath(name), 1 << 30)).digest()
    assert digest == (layer.digests.digest if name.endswith(".gz") else layer.digests.diff_id).value


def test_a_root_file_system_of_two_architectures_is_refused() -> None:
    builder = Builder(workspace({"x86_64": packages(), "aarch64": packages("aarch64")}, TWO))
    with pytest.raises(UsageError) as caught:
        builder.publish(builder.build(), "out/root.tar", OutputKind.ROOT_FILE_SYSTEM)
    assert caught.value.reason == "one-architecture"


def test_existing_outputs_are_refused() -> None:
    builder = amd64_builder()
    built = builder.build()
    builder.files.make_directory(PurePosixPath("out/image"))
    builder.publish(built)
    for kind in (OutputKind.OCI_DIRECTORY, OutputKind.DOCKER):
        with pytest.raises(ConflictError) as caught:
            builder.publish(built, "out/image", kind)
        assert caught.value.reason == "output-exists"
        with pytest.raises(ConflictError):
            check_target(builder.files, OutputTarget(kind, "out/image"), PurePosixPath("out/image"))


def test_the_place_must_be_in_a_directory() -> None:
    with pytest.raises(ApkilnError) as caught:
        check_target(MemoryFiles(), OutputTarget(OutputKind.DOCKER, "none/x.tar"), PurePosixPath("none/x.tar"))
    assert caught.value.reason == "missing-directory"


def test_output_words() -> None:
    assert default_output("x.tar").kind is OutputKind.DOCKER
    assert default_output("x").kind is OutputKind.OCI_DIRECTORY
    assert parse_output("type=rootfs,dest=a.tar.gz") == OutputTarget(OutputKind.ROOT_FILE_SYSTEM, "a.tar.gz")
    for text in ("type=oci", "dest=x", "type=docker,dest=x,push=true", ""):
        with pytest.raises(UsageError):
            parse_output(text)


# --- definitions -------------------------------------------------------------------------------------------------------


def test_local_files_come_from_the_definition_s_directory() -> None:
    addition = "\n  - {path: /etc/app.conf, type: file, from: app.conf}\n  - {path: /opt/app, type: tree, from: app}\n"
    definition = DEFINITION.replace("\nentrypoint", addition + "entrypoint")
    files = workspace({"x86_64": packages()}, definition)
    files.put("work/app.conf", b"setting\n")
    files.put("work/app/bin/run", b"run", 0o755)
    built = Builder(files).build()
    draft = built.architectures[0].tree.draft
    assert draft.read("etc/app.conf") == b"setting\n"
    assert draft.entry("opt/app/bin/run") == Entry("opt/app/bin/run", EntryType.FILE, 0o755, size=3)
    listed = {item["fileName"] for item in json.loads(built.bills[0][1])["files"]}
    assert {"/etc/app.conf", "/opt/app/bin/run"} <= {
        name if name.startswith("/") else f"/{name.removeprefix('./')}" for name in listed
    }


def test_a_missing_local_file_is_located() -> None:
    definition = DEFINITION.replace("\nentrypoint", "\n  - {path: /etc/app.conf, type: file, from: app.conf}\nentrypoint")
    with pytest.raises(ApkilnError) as caught:
        Builder(workspace({"x86_64": packages()}, definition)).build()
    assert caught.value.reason == "missing-file"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("packages: [base, tool]", "packages: []"), "no-packages"),
        (("archs:", "format: erofs\narchs:"), "unsupported-format"),
        (("packages: [base, tool]", "packages: [base]\n  baseimage: {image: ./base}"), "unsupported-base-image"),
    ],
)
def test_what_cannot_be_built_is_said_first(change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        amd64_builder(DEFINITION.replace(*change)).build()
    assert caught.value.reason == reason
