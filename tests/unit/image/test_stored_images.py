"""Images found in layouts and archives, and documents that lie."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from tests.sample_images import Item, archive_of, digest, docker_archive, oci_layout

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FormatError, UsageError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.image.place import Place, open_place
from apkiln.image.stored import StoredImage, choose_image, stored_images
from apkiln.system.memory_files import MemoryFiles

LAYERS = [[Item("one", b"1")], [Item("two", b"2")]]


def layout_place(files: dict[str, bytes]) -> Place:
    memory = MemoryFiles({f"/image/{name}": content for name, content in files.items()})
    return open_place(memory, PurePosixPath("/image"), DEFAULT_LIMITS)


def archive_place(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Place:
    return open_place(MemoryFiles({"/image.tar": data}), PurePosixPath("/image.tar"), limits)


def only(place: Place) -> StoredImage:
    (image,) = stored_images(place, DEFAULT_LIMITS)
    return image


def test_layout_archive_and_docker_archive_hold_the_same_image() -> None:
    layout = oci_layout(LAYERS, {"Cmd": ["/one"]})
    images = [
        only(layout_place(layout)),
        only(archive_place(archive_of(layout))),
        only(archive_place(docker_archive(LAYERS, {"Cmd": ["/one"]}))),
    ]
    assert len({image.configuration.diff_ids for image in images}) == 1
    assert {image.configuration.process.cmd for image in images} == {("/one",)}
    assert {image.arch for image in images} == {Arch.parse("x86_64")}
    assert [len(image.layers) for image in images] == [2, 2, 2]


def test_layers_open_by_their_names() -> None:
    layout = oci_layout(LAYERS)
    for place in (layout_place(layout), archive_place(archive_of(layout))):
        layer = only(place).layers[0]
        with place.open(layer.name) as stream:
            assert digest(stream.read()) == str(layer.digest)


def tampered(what: str) -> dict[str, bytes]:
    """A layout in which one document differs from its descriptor."""
    files = oci_layout(LAYERS)
    index = json.loads(files["index.json"])
    if what == "size":
        index["manifests"][0]["size"] += 1
        files["index.json"] = json.dumps(index).encode()
        return files
    name = f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"
    if what == "config":
        name = f"blobs/sha256/{json.loads(files[name])['config']['digest'][7:]}"
    if what == "absent":
        del files[name]
    else:
        files[name] = files[name].replace(b"linux", b"minix").replace(b"gzip", b"zzip")
    return files


@pytest.mark.parametrize(
    ("what", "reason"),
    [("manifest", "digest-mismatch"), ("config", "digest-mismatch"), ("size", "size-mismatch"), ("absent", "missing-blob")],
)
def test_documents_must_be_what_their_descriptors_say(what: str, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        only(layout_place(tampered(what)))
    assert caught.value.reason == reason


def test_a_docker_configuration_must_have_the_digest_in_its_name() -> None:
    data = docker_archive(LAYERS).replace(b'"os": "linux"', b'"os": "minix"')
    with pytest.raises(ApkilnError) as caught:
        only(archive_place(data))
    assert caught.value.reason == "digest-mismatch"


def test_nested_indexes_are_followed_to_a_bound() -> None:
    files = oci_layout(LAYERS)
    for _ in range(6):
        content = files["index.json"]
        files[f"blobs/{digest(content).replace(':', '/')}"] = content
        row = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(content), "size": len(content)}
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [row]}).encode()
        if _ == 0:
            assert only(layout_place(files)).layers
    with pytest.raises(FormatError) as caught:
        only(layout_place(files))
    assert caught.value.reason == "index-too-deep"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x1f\x8b" + bytes(600), "compressed-archive"),
        (archive_of({"other": b"x"}), "no-image"),
        (archive_of({"manifest.json": b"{}"}), "bad-document"),
        (archive_of({"manifest.json": b'[{"Config": "no.json", "Layers": []}]'}), "missing-blob"),
    ],
)
def test_what_is_no_image_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        stored_images(archive_place(data), DEFAULT_LIMITS)
    assert caught.value.reason == reason


def test_the_architecture_chooses() -> None:
    images = tuple(only(layout_place(oci_layout(LAYERS, arch=name))) for name in ("amd64", "arm64"))
    assert choose_image(images, Arch.parse("aarch64"), "x").arch.oci == "arm64"
    assert choose_image(images[:1], None, "x") is images[0]
    for arch, reason in ((None, "several-images"), (Arch.parse("riscv64"), "no-such-architecture")):
        with pytest.raises(UsageError) as caught:
            choose_image(images, arch, "x")
        assert caught.value.reason == reason
