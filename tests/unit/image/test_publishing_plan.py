"""What is published, where, and in which order: plans, stored images, and the plan carried out on registries in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
from tests.registry_contract import Content, noise
from tests.sample_images import Item, archive_of, blob, docker_archive, oci_layout

from apkiln.core.errors import ApkilnError, FormatError, UnavailableError, UsageError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.progress import Silent
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import describe
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.place import Place, open_place
from apkiln.image.publishable import publishable_place
from apkiln.image.publishing import RepositoryReport, publish
from apkiln.image.publishing_plan import Attachment, Publishable, PublishedBlob, plan_lines, plan_publication
from apkiln.image.registry_place import RegistryPlace, registry_reference
from apkiln.image.stored import stored_images
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_registry import Fault, MemoryNetwork, MemoryRegistry, RegistryTraits, memory_registry_client
from apkiln.system.memory_store import MemoryStore
from apkiln.system.registry import BlobOutcome, Document
from apkiln.system.registry_client import HttpRegistry

LAYERS = [[Item("one", b"1")], [Item("two", b"2")]]
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Counting(Silent):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def start(self, task: str, total: int, unit: str) -> None:
        self.totals[task] = total

    def advance(self, task: str, amount: int) -> None:
        self.done[task] = self.done.get(task, 0) + amount


def place_of(files: dict[str, bytes]) -> Place:
    memory = MemoryFiles({f"/image/{name}": content for name, content in files.items()})
    return open_place(memory, PurePosixPath("/image"), DEFAULT_LIMITS)


def stored(files: dict[str, bytes] | None = None) -> Publishable:
    return publishable_place(place_of(files or oci_layout(LAYERS)), DEFAULT_LIMITS)


def two_architectures() -> dict[str, bytes]:
    """A layout whose `index.json` is the index of two images, as image builders write it."""
    first, second = oci_layout(LAYERS, arch="amd64"), oci_layout([LAYERS[0]], arch="arm64")
    rows = [json.loads(files["index.json"])["manifests"][0] for files in (first, second)]
    index = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": rows}
    return first | second | {"index.json": json.dumps(index).encode()}


def push(image: Publishable, registry: MemoryRegistry | MemoryNetwork, *references: str) -> tuple[RepositoryReport, ...]:
    plan = plan_publication(image, [parse_reference(text) for text in references])
    return publish(plan, memory_registry_client(registry), Silent(), 2)


def reason_of(action: Callable[[], object]) -> str:
    with pytest.raises(ApkilnError) as caught:
        action()
    return caught.value.reason


# Stored images


def test_a_single_image_keeps_its_manifest_and_several_their_index() -> None:
    files = oci_layout(LAYERS)
    row = json.loads(files["index.json"])["manifests"][0]
    single = stored(files)
    assert (str(single.top.digest), len(single.documents), len(single.blobs)) == (row["digest"], 1, 3)
    several = stored(two_architectures())
    assert (several.top.content, several.top.media_type) == (two_architectures()["index.json"], media_types.INDEX)
    assert [document.media_type for document in several.documents] == [MANIFEST_TYPE, MANIFEST_TYPE, media_types.INDEX]
    assert len(several.blobs) == 4  # one layer is shared


def test_an_index_with_annotations_is_the_image_and_names_of_the_layout_are_not_part_of_it() -> None:
    files = oci_layout(LAYERS)
    document = json.loads(files["index.json"])
    document |= {"mediaType": media_types.INDEX, "annotations": {"org.opencontainers.image.created": "2023-11-14T22:13:20Z"}}
    plain = json.dumps(document).encode()
    image = stored(files | {"index.json": plain})
    assert (image.top.content, image.top.media_type) == (plain, media_types.INDEX)
    document["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    named = stored(files | {"index.json": json.dumps(document).encode()})
    assert b"ref.name" not in named.top.content
    assert b"2023-11-14" in named.top.content


def test_a_nested_index_is_published_children_first() -> None:
    files = two_architectures()
    inner = files["index.json"]
    row = blob(files, inner, media_types.INDEX)
    image = stored(files | {"index.json": json.dumps({"schemaVersion": 2, "manifests": [row]}).encode()})
    assert image.top.content == inner
    assert len(image.documents) == 3


def damaged(change: Callable[[dict[str, bytes]], Any]) -> Place:
    files = oci_layout(LAYERS)
    change(files)
    return place_of(files)


def without_largest(files: dict[str, bytes]) -> None:
    del files[max((name for name in files if name.startswith("blobs/")), key=lambda name: len(files[name]))]


def named_twice(files: dict[str, bytes]) -> None:
    rows = json.loads(files["index.json"])["manifests"]
    name = "org.opencontainers.image.ref.name"
    rows = [row | {"annotations": {name: text}} for row in rows for text in ("a", "b")]
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": rows}).encode()


def manifest_changed(files: dict[str, bytes]) -> None:
    digest = json.loads(files["index.json"])["manifests"][0]["digest"].partition(":")[2]
    files[f"blobs/sha256/{digest}"] = files[f"blobs/sha256/{digest}"][:-1] + b" "


def layer_cut(files: dict[str, bytes]) -> None:
    name = max((name for name in files if name.startswith("blobs/")), key=lambda name: len(files[name]))
    files[name] = files[name][:-1]


def no_images(files: dict[str, bytes]) -> None:
    files["index.json"] = b'{"schemaVersion":2,"manifests":[]}'


def endless(files: dict[str, bytes]) -> None:
    content = files["index.json"]
    for _ in range(6):
        row = blob(files, content, media_types.INDEX)
        content = json.dumps({"schemaVersion": 2, "manifests": [row]}).encode()
    files["index.json"] = content


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_largest, "missing-blob"),
        (named_twice, "several-images"),
        (manifest_changed, "digest-mismatch"),
        (layer_cut, "size-mismatch"),
        (no_images, "no-image"),
        (endless, "index-too-deep"),
        (lambda files: files.pop("oci-layout"), "no-image"),
    ],
)
def test_layouts_that_cannot_be_published(change: Callable[[dict[str, bytes]], Any], reason: str) -> None:
    assert reason_of(lambda: publishable_place(damaged(change), DEFAULT_LIMITS)) == reason


def test_a_docker_archive_is_not_published() -> None:
    memory = MemoryFiles({"/image.tar": docker_archive(LAYERS)})
    place = open_place(memory, PurePosixPath("/image.tar"), DEFAULT_LIMITS)
    assert reason_of(lambda: publishable_place(place, DEFAULT_LIMITS)) == "not-an-oci-image"


def test_archives_are_as_good_as_directories() -> None:
    memory = MemoryFiles({"/image.tar": archive_of(oci_layout(LAYERS))})
    image = publishable_place(open_place(memory, PurePosixPath("/image.tar"), DEFAULT_LIMITS), DEFAULT_LIMITS)
    registry = MemoryRegistry()
    push(image, registry, "host.example/app:1")
    assert registry.tags("app") == {"1": str(stored().top.digest)}


def test_bills_of_a_layout_belong_to_what_they_describe() -> None:
    files = two_architectures()
    rows = json.loads(files["index.json"])["manifests"]
    files["sbom-x86_64.spdx.json"] = rows[0]["digest"].encode()
    files["sbom-aarch64.cdx.json"] = rows[1]["digest"].encode()
    files["sbom-index.spdx.json"] = stored(files).top.digest.hex.encode()
    image = publishable_place(place_of(files), DEFAULT_LIMITS, attach_bills=True)
    subjects = {item.name: str(item.subject.digest) for item in image.attachments}
    assert subjects == {
        "sbom-x86_64.spdx.json": rows[0]["digest"],
        "sbom-aarch64.cdx.json": rows[1]["digest"],
        "sbom-index.spdx.json": str(image.top.digest),
    }
    assert {item.media_type for item in image.attachments} == {"application/spdx+json", "application/vnd.cyclonedx+json"}
    for name in ("sbom-x86_64.spdx.json", "sbom-ppc64le.spdx.json"):
        wrong = place_of(files | {name: b"something else"})
        with pytest.raises(VerificationError) as caught:
            publishable_place(wrong, DEFAULT_LIMITS, attach_bills=True)
        assert caught.value.reason == "sbom-of-another-image"


# Plans


def test_tags_are_gathered_by_repository_in_the_order_given() -> None:
    texts = ("host.example/a:1", "other.example/b", "host.example/c:2", "host.example/a:3", "host.example/a:1")
    plan = plan_publication(stored(), [parse_reference(text) for text in texts])
    assert [(str(item.repository), item.mount_from, item.tags) for item in plan.repositories] == [
        ("host.example/a", "", ("1", "3")),
        ("other.example/b", "", ("latest",)),
        ("host.example/c", "a", ("2",)),
    ]
    lines = plan_lines(plan)
    assert [line for line in lines if line.startswith("tag ")] == list(lines[-4:])
    assert len(plan.references()) == 3


@pytest.mark.parametrize("texts", [(), (f"host.example/a@sha256:{'0' * 64}",)])
def test_plans_without_a_tag_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        plan_publication(stored(), [parse_reference(text) for text in texts])


def test_what_registries_may_not_get_is_refused() -> None:
    image = stored()
    reference = [parse_reference("host.example/a")]
    layer = image.blobs[-1]
    for changed in (
        layer.descriptor._replace(urls=("https://elsewhere.example/layer",)),
        layer.descriptor._replace(media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        layer.descriptor._replace(media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
    ):
        foreign = Publishable((*image.blobs[:-1], PublishedBlob(changed, layer.source)), image.documents)
        with pytest.raises(FormatError) as caught:
            plan_publication(foreign, reference)
        assert caught.value.reason == "foreign-layer"
    large = b" " * (4 << 20) + b"{}"
    document = Document(large, media_types.MANIFEST, describe("", large).digest)
    assert reason_of(lambda: plan_publication(Publishable(image.blobs, (document,)), reference)) == "manifest-too-large"


# Carried out


def test_everything_arrives_and_progress_adds_up() -> None:
    image, registry, reporter = stored(two_architectures()), MemoryRegistry(), Counting()
    plan = plan_publication(image, [parse_reference("host.example/app:1")])
    (report,) = publish(plan, memory_registry_client(registry), reporter, 2)
    assert set(registry.blobs("app")) == {str(blob.descriptor.digest) for blob in image.blobs}
    assert {digest: content for digest, (_, content) in registry.manifests("app").items()} == {
        str(document.digest): document.content for document in image.documents
    }
    assert registry.tags("app") == {"1": str(image.top.digest)}
    assert (report.manifests_written, report.tags_moved) == (3, ("1",))
    assert {row.outcome for row in report.blobs} == {BlobOutcome.UPLOADED}
    assert reporter.done == reporter.totals
    again = Counting()
    publish(plan, memory_registry_client(registry), again, 2)
    assert again.done == again.totals


@pytest.mark.parametrize("referrers", [True, False])
def test_attachments_are_listed_once_however_often_they_are_pushed(referrers: bool) -> None:
    registry, image = MemoryRegistry(RegistryTraits(referrers=referrers)), stored()
    attachment = Attachment(image.top, "sbom.spdx.json", "application/spdx+json", b"{}")
    image = Publishable(image.blobs, image.documents, (attachment,))
    for _ in range(2):
        push(image, registry, "host.example/app:1")
    rows = [json.loads(content) for _, content in registry.manifests("app").values()]
    (artifact,) = (row for row in rows if "subject" in row)
    assert artifact["subject"]["digest"] == str(image.top.digest)
    fallback = f"sha256-{image.top.digest.hex}"
    if referrers:
        assert fallback not in registry.tags("app")
    else:
        listed = json.loads(registry.manifests("app")[registry.tags("app")[fallback]][1])["manifests"]
        assert [row["artifactType"] for row in listed] == ["application/spdx+json"]


def test_a_tag_that_names_the_image_is_not_written_and_another_is_moved() -> None:
    registry, image = MemoryRegistry(), stored()
    push(image, registry, "host.example/app:1")
    (report,) = push(image, registry, "host.example/app:1", "host.example/app:2")
    assert report.tags_moved == ("2",)
    push(stored(two_architectures()), registry, "host.example/app:1")
    assert registry.tags("app")["2"] == str(image.top.digest) != registry.tags("app")["1"]


@pytest.mark.parametrize("write", ["POST .*/uploads/", "PUT .*/uploads/", "PUT .*/manifests/sha256:"])
def test_whichever_write_is_refused_no_tag_is_moved(write: str) -> None:
    image = stored(two_architectures())
    first, second = MemoryRegistry(), MemoryRegistry()
    method, _, path = write.partition(" ")
    second.misbehave(Fault(method, path, status=403))
    network = MemoryNetwork({"one.example": first, "two.example": second})
    assert reason_of(lambda: push(image, network, "one.example/app:1", "two.example/app:1")) == "denied"
    assert (first.tags("app"), second.tags("app")) == ({}, {})


def test_a_source_that_lies_is_not_published() -> None:
    image, registry = stored(), MemoryRegistry()
    blob = image.blobs[-1]
    lying = PublishedBlob(blob.descriptor, Content(noise(blob.descriptor.size)))
    changed = Publishable((*image.blobs[:-1], lying), image.documents)
    assert reason_of(lambda: push(changed, registry, "host.example/app:1")) == "source-mismatch"
    assert registry.tags("app") == {}


# An image in a registry as a place


def test_an_image_in_a_registry_is_a_place() -> None:
    registry, image = MemoryRegistry(), stored(two_architectures())
    push(image, registry, "host.example/app:1")
    store = MemoryStore()
    place = RegistryPlace(memory_registry_client(registry), store, parse_reference("host.example/app:1"))
    found = stored_images(place, DEFAULT_LIMITS)
    assert {item.arch.apk for item in found} == {"x86_64", "aarch64"}
    for layer in found[0].layers:
        assert layer.digest is not None
        for _ in range(2):
            with place.open(layer.name) as stream:
                assert describe("", stream.read()).digest == layer.digest
    assert registry.count("GET", str(found[0].layers[0].digest)) == 1
    again = publishable_place(place, DEFAULT_LIMITS)
    other = MemoryRegistry()
    push(again, other, "other.example/copy:1")
    assert other.tags("copy") == registry.tags("app")


def test_a_place_that_was_read_by_its_digest_needs_no_registry() -> None:
    registry, image = MemoryRegistry(), stored(two_architectures())
    push(image, registry, "host.example/app:1")
    by_digest = parse_reference(f"host.example/app@{registry.tags('app')['1']}")
    store = MemoryStore()

    def read(reader: HttpRegistry | None) -> list[bytes]:
        place = RegistryPlace(reader, store, by_digest)
        return [place.read(layer.name, 1 << 20) for item in stored_images(place, DEFAULT_LIMITS) for layer in item.layers]

    with pytest.raises(UnavailableError) as caught:
        read(None)
    assert caught.value.reason == "offline"
    online = read(memory_registry_client(registry))
    registry.asked.clear()
    assert read(None) == read(memory_registry_client(registry)) == online
    assert registry.asked == []
    with pytest.raises(UnavailableError) as caught:
        RegistryPlace(None, store, parse_reference("host.example/app:1"))
    assert caught.value.reason == "offline", "a tag may have moved"


def test_a_tag_that_moves_changes_nothing_for_a_place() -> None:
    registry, image = MemoryRegistry(), stored(two_architectures())
    push(image, registry, "host.example/app:1")
    place = RegistryPlace(memory_registry_client(registry), MemoryStore(), parse_reference("host.example/app:1"))
    push(stored(), registry, "host.example/app:1")
    assert len(stored_images(place, DEFAULT_LIMITS)) == 2


def test_places_that_are_not_there_or_lie() -> None:
    registry = MemoryRegistry()
    client = memory_registry_client(registry)
    with pytest.raises(UnavailableError) as caught:
        RegistryPlace(client, MemoryStore(), parse_reference("host.example/app:1"))
    assert caught.value.reason == "not-found"
    push(stored(), registry, "host.example/app:1")
    place = RegistryPlace(client, MemoryStore(), parse_reference("host.example/app:1"))
    layer = stored_images(place, DEFAULT_LIMITS)[0].layers[0]
    registry.misbehave(Fault("GET", "blobs", replace=noise(layer.size or 0)))

    def read() -> None:
        with place.open(layer.name):
            pass

    assert reason_of(read) == "digest-mismatch"
    assert reason_of(lambda: place.read("blobs/sha256/" + "0" * 64, 100)) == "missing-blob"
    assert reason_of(lambda: place.read("index.json", 10)) == "file-too-large"


def test_words_that_name_a_place_in_a_registry() -> None:
    assert registry_reference("out/") is None
    assert str(registry_reference("registry:host.example/a:1")) == "host.example/a:1"
    assert reason_of(lambda: registry_reference("registry:Bad/")) == "bad-reference"
