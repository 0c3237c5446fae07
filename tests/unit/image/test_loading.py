"""What a container engine is fed with."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import PurePosixPath

import pytest
from tests.registry_contract import Content
from tests.sample_images import Item, archive_of, docker_archive, oci_layout

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.loading import LoadPlan, load_image, plan_load, plan_load_place
from apkiln.image.place import Place, open_place
from apkiln.image.publishable import publishable_place
from apkiln.image.publishing_plan import Publishable, PublishedBlob
from apkiln.image.stored import stored_images
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.process import Completed, ScriptedRunner

AMD, ARM = Arch.parse("x86_64"), Arch.parse("aarch64")
LAYERS = [[Item("one", b"1")], [Item("two", b"2")], [Item("one", b"1")]]
GOOD = Completed(0, b"Loaded image\n", b"")


def place_of(files: dict[str, bytes]) -> Place:
    memory = MemoryFiles({f"/image/{name}": content for name, content in files.items()})
    return open_place(memory, PurePosixPath("/image"), DEFAULT_LIMITS)


def archive(data: bytes) -> Place:
    return open_place(MemoryFiles({"/image.tar": data}), PurePosixPath("/image.tar"), DEFAULT_LIMITS)


def fed(plan: LoadPlan) -> dict[str, bytes]:
    """Names and contents as the engine sees them."""
    runner = ScriptedRunner({("podman", "load"): GOOD})
    assert load_image(plan, runner, {"HOME": "/home/me"}) == "podman"
    assert runner.commands[0].environment == (("HOME", "/home/me"),)
    with tarfile.open(fileobj=io.BytesIO(runner.fed[0])) as found:
        contents = {member.name: found.extractfile(member) for member in found}
        assert len(contents) == len(found.getmembers())
        return {name: stream.read() for name, stream in contents.items() if stream is not None}


def test_the_archive_holds_the_same_image() -> None:
    layout = oci_layout(LAYERS, {"Cmd": ["/one"]})
    plan = plan_load_place(place_of(layout), DEFAULT_LIMITS, AMD, parse_reference("example.com/app:1"))
    again = archive(archive_of(fed(plan)))
    (image,) = stored_images(again, DEFAULT_LIMITS)
    (original,) = stored_images(place_of(layout), DEFAULT_LIMITS)
    assert image.configuration == original.configuration
    assert image.name == "example.com/app:1"
    blobs = [place_of(layout).read(layer.name, 10_000) for layer in original.layers]
    assert [again.read(layer.name, 10_000) for layer in image.layers] == blobs


def test_a_docker_archive_is_handed_on_with_its_name_or_another() -> None:
    place = archive(docker_archive(LAYERS))
    for reference, names in ((None, ["test:latest"]), (parse_reference("other"), ["other:latest"])):
        plan = plan_load_place(place, DEFAULT_LIMITS, AMD, reference)
        files = fed(plan)
        (row,) = json.loads(files.pop("manifest.json"))
        assert row["RepoTags"] == names == list(plan.names)
        assert {name: place.read(name, 100_000) for name in files} == files
        assert set(row["Layers"]) | {row["Config"]} == set(files)


def test_the_machines_architecture_is_taken_of_several() -> None:
    first, second = oci_layout(LAYERS, arch="amd64"), oci_layout([LAYERS[0]], arch="arm64")
    rows = [json.loads(files["index.json"])["manifests"][0] for files in (first, second)]
    both = first | second | {"index.json": json.dumps({"schemaVersion": 2, "manifests": rows}).encode()}
    reference = parse_reference("app")
    for arch, count in ((AMD, 3), (ARM, 1)):
        plan = plan_load_place(place_of(both), DEFAULT_LIMITS, arch, reference)
        (row,) = json.loads(fed(plan)["manifest.json"])
        assert (plan.arch, len(row["Layers"])) == (arch, count)
    with pytest.raises(ApkilnError) as caught:
        plan_load_place(place_of(both), DEFAULT_LIMITS, Arch.parse("s390x"), reference)
    assert caught.value.reason == "no-such-architecture"
    assert plan_load_place(place_of(first), DEFAULT_LIMITS, ARM, reference).arch == AMD


def test_names_come_from_the_layout_and_must_be_whole() -> None:
    layout = oci_layout(LAYERS)
    document = json.loads(layout["index.json"])
    for names, expected in (
        ({"io.containerd.image.name": "example.com/app:2", "org.opencontainers.image.ref.name": "2"}, "example.com/app:2"),
        ({"org.opencontainers.image.ref.name": "example.com/app"}, "example.com/app:latest"),
        ({"org.opencontainers.image.ref.name": "2"}, ""),
        ({}, ""),
    ):
        document["manifests"][0]["annotations"] = names
        place = place_of(layout | {"index.json": json.dumps(document).encode()})
        if expected:
            assert plan_load_place(place, DEFAULT_LIMITS, AMD, None).names == (expected,)
        else:
            with pytest.raises(ApkilnError) as caught:
                plan_load_place(place, DEFAULT_LIMITS, AMD, None)
            assert caught.value.reason == "no-name"


@pytest.mark.parametrize("change", [b"changed", b"", b"longer" * 1000])
def test_a_blob_with_other_bytes_never_reaches_the_end_of_the_archive(change: bytes) -> None:
    image = publishable_place(place_of(oci_layout(LAYERS)), DEFAULT_LIMITS)
    layer = image.blobs[-1]
    wrong = change or b"x" * layer.descriptor.size
    changed = Publishable((*image.blobs[:-1], PublishedBlob(layer.descriptor, Content(wrong))), image.documents)
    plan = plan_load(changed, AMD, [parse_reference("app")])
    received = bytearray()
    with pytest.raises(VerificationError) as caught:
        for file in plan.files:
            for chunk in file.chunks():
                received += chunk
    assert caught.value.reason == "digest-mismatch"
    assert wrong not in received


def test_engines_are_tried_in_order_and_their_words_shown() -> None:
    plan = plan_load_place(place_of(oci_layout(LAYERS)), DEFAULT_LIMITS, AMD, parse_reference("app"))
    docker = ScriptedRunner({("docker", "load"): GOOD})
    assert load_image(plan, docker, {}) == "docker"
    with pytest.raises(EnvironmentFault) as missing:
        load_image(plan, docker, {}, "podman")
    assert missing.value.reason == "missing-program"
    with pytest.raises(EnvironmentFault):
        load_image(plan, ScriptedRunner({}), {})
    failing = ScriptedRunner({("podman", "load"): Completed(125, b"", b"Error: no space\n")})
    with pytest.raises(UnavailableError) as failed:
        load_image(plan, failing, {})
    assert (failed.value.reason, failed.value.details) == ("engine-failed", ("Error: no space",))
