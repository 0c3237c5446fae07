"""OCI documents: the bytes of the recorded ones, round trips, and refusals."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import KNOWN
from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UsageError, VerificationError
from apkiln.core.limits import Limits
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import (
    Configuration,
    Descriptor,
    Healthcheck,
    History,
    Index,
    Manifest,
    Platform,
    Process,
    created_time,
    describe,
    encode_configuration,
    encode_index,
    encode_manifest,
)
from apkiln.formats.oci.layout import Image, assemble, blob_path, blobs, docker_files, index_of, oci_files
from apkiln.formats.oci.parsing import check_content, parse_configuration, parse_docker_manifest, parse_index, parse_manifest
from apkiln.formats.oci.reference import Reference, parse_reference

CONFORMANCE = Path(__file__).resolve().parents[4].parent / "shared" / "conformance"
TEXT = st.text(max_size=8)
FILLED = st.text(min_size=1, max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PAIRS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda found: tuple(sorted(found.items())))
DIGESTS = st.binary(min_size=32, max_size=32).map(Digest.sha256)
PLATFORMS = st.builds(Platform, FILLED, FILLED, TEXT, TEXT, TEXTS)
DESCRIPTORS = st.builds(Descriptor, FILLED, DIGESTS, st.integers(0, 1 << 40), st.one_of(st.none(), PLATFORMS), PAIRS, TEXT, TEXTS)
SETS = st.sets(FILLED, max_size=3).map(lambda found: tuple(sorted(found)))
NUMBERS = st.integers(0, 10**12)
HEALTHCHECKS = st.builds(Healthcheck, TEXTS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
PROCESSES = st.builds(Process, TEXTS, TEXTS, TEXTS, PAIRS, TEXT, SETS, TEXT, SETS, TEXT, st.one_of(st.none(), HEALTHCHECKS))
CONFIGURATIONS = st.builds(
    Configuration,
    PLATFORMS,
    TEXT,
    TEXT,
    st.lists(DIGESTS, max_size=3).map(tuple),
    st.lists(st.builds(History, TEXT, TEXT, TEXT, TEXT, st.booleans()), max_size=3).map(tuple),
    PROCESSES,
)


def recorded() -> list[Path]:
    golden = CONFORMANCE / "apko" / "cli" / "testdata" / "golden"
    names = ("index.json", "manifest-", "config-")
    runs = [path for path in CONFORMANCE.glob("apko-runs/cases/*/expect/*.json") if path.name.startswith(names)]
    documents = [path for path in golden.glob("blobs/sha256/*") if path.read_bytes()[:1] == b"{"]
    return [*runs, golden / "index.json", *documents] if runs else []


def test_recorded_documents_come_out_byte_for_byte() -> None:
    paths = recorded()
    if not paths:
        pytest.skip("recorded OCI documents are not there")
    for path in paths:
        content = path.read_bytes()
        kind = json.loads(content)
        if "manifests" in kind:
            again = encode_index(parse_index(content))
        elif "layers" in kind:
            again = encode_manifest(parse_manifest(content))
        else:
            again = encode_configuration(parse_configuration(content))
        assert again == content, path


@given(st.builds(Index, st.lists(DESCRIPTORS, max_size=3).map(tuple), PAIRS, TEXT, st.one_of(st.none(), DESCRIPTORS), FILLED))
def test_an_index_is_read_back(index: Index) -> None:
    assert parse_index(encode_index(index)) == index


@given(
    st.builds(
        Manifest,
        DESCRIPTORS,
        st.lists(DESCRIPTORS, max_size=3).map(tuple),
        PAIRS,
        TEXT,
        st.one_of(st.none(), DESCRIPTORS),
        FILLED,
    )
)
def test_a_manifest_is_read_back(manifest: Manifest) -> None:
    assert parse_manifest(encode_manifest(manifest)) == manifest


@given(CONFIGURATIONS)
def test_a_configuration_is_read_back(configuration: Configuration) -> None:
    check = configuration.process.healthcheck
    if check == Healthcheck(()):
        configuration = Configuration(
            configuration.platform,
            configuration.created,
            configuration.author,
            configuration.diff_ids,
            configuration.history,
            configuration.process._replace(healthcheck=None),
        )
    assert parse_configuration(encode_configuration(configuration)) == configuration


@given(st.integers(0, 253402300799))
def test_times_are_those_of_the_calendar(epoch: int) -> None:
    assert created_time(epoch) == datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(
        20, "0"
    )


def test_markup_is_escaped_as_go_does() -> None:
    written = encode_index(Index((), (("k", "a&b<c>\u2028ü"),)))
    assert b"a\\u0026b\\u003cc\\u003e\\u2028\xc3\xbc" in written


def descriptor_value(**changes: Any) -> dict[str, Any]:
    value = {"mediaType": media_types.LAYER_GZIP, "size": 1, "digest": "sha256:" + "a" * 64} | changes
    return {key: member for key, member in value.items() if member is not ...}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (descriptor_value(size=-1), "bad-document"),
        (descriptor_value(size=True), "bad-document"),
        (descriptor_value(size="1"), "bad-document"),
        (descriptor_value(size=1 << 60), "bad-document"),
        (descriptor_value(size=...), "bad-document"),
        (descriptor_value(mediaType=...), "bad-document"),
        (descriptor_value(digest="sha256:xyz"), "bad-digest"),
        (descriptor_value(digest="sha256:" + "A" * 64), "bad-digest"),
        (descriptor_value(digest="../../etc/passwd"), "bad-digest"),
        (descriptor_value(annotations={"a": 1}), "bad-document"),
        (descriptor_value(platform={"os": "linux"}), "bad-document"),
        (3, "bad-document"),
    ],
)
def test_broken_descriptors_are_refused(row: Any, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_index(json.dumps({"schemaVersion": 2, "manifests": [row]}).encode())
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"schemaVersion":1,"manifests":[]}', b'{"schemaVersion":2}', b'{"schemaVersion":2,"manifests":{}}',
     b'{"schemaVersion":2,"schemaVersion":2,"manifests":[]}', b"[" * 100_000, b"\xff", b"9" * 10_000],
)  # fmt: skip
def test_broken_indexes_are_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_index(content)
    assert caught.value.reason == "bad-document"


def test_documents_have_a_size_limit() -> None:
    with pytest.raises(FormatError) as caught:
        parse_index(b" " * 100, limits=Limits(document=99))
    assert caught.value.reason == "document-too-large"


def test_content_is_checked_against_its_descriptor() -> None:
    found = describe(media_types.LAYER, b"abc")
    check_content(found, b"abc")
    for content, reason in ((b"abcd", "size-mismatch"), (b"abd", "digest-mismatch")):
        with pytest.raises(VerificationError) as caught:
            check_content(found, content)
        assert caught.value.reason == reason


def test_dockers_documents_are_read() -> None:
    index = parse_index(json.dumps({"schemaVersion": 2, "mediaType": media_types.DOCKER_INDEX, "manifests": []}).encode())
    assert index.media_type in media_types.INDEXES
    row = parse_docker_manifest(b'[{"Config":"c.json","RepoTags":null,"Layers":["a.tar"]}]')[0]
    assert (row.configuration, row.layers, row.tags) == ("c.json", ("a.tar",), ())
    for content in (b"{}", b'[{"Layers":[]}]', b'[{"Config":"c","Layers":[1]}]', b"[1]"):
        with pytest.raises(FormatError):
            parse_docker_manifest(content)


def image(number: int, arch: str = "amd64", shared: int = 1) -> Image:
    layers = tuple(Descriptor(media_types.LAYER_GZIP, Digest.sha256(bytes([n]) * 32), n) for n in (shared, number))
    platform = Platform(arch.partition("/")[0], variant=arch.partition("/")[2])
    return assemble(b'{"n":%d}' % number, layers, platform, (("k", "v"),))


def test_every_architecture_has_a_platform_and_back() -> None:
    for arch in KNOWN:
        assert Platform.of(arch).arch == arch


def test_a_layout_holds_each_blob_once_and_all_that_is_referred_to() -> None:
    images = [image(2), image(3, "arm64")]
    for nested in (False, True):
        files = oci_files(images, index_of(images), Reference("app", "1.0"), nested=nested)
        paths = [file.path for file in files]
        assert len(set(paths)) == len(paths)
        assert paths[:2] == ["oci-layout", "index.json"]
        named = {found.descriptor.digest for found in images} | {layer.digest for found in images for layer in found.layers}
        assert {blob_path(digest) for digest in named} <= set(paths)
        assert len(list(blobs(files))) == 3
        for file in files[2:]:
            if file.content is not None:
                assert file.path == blob_path(describe("", file.content).digest)
                assert file.size == len(file.content)


def test_the_tag_stands_where_clients_look_for_it() -> None:
    images = [image(2), image(3, "arm64")]
    reference = Reference("registry.example.com/app", "1.0")

    def names(files: list[Any]) -> list[dict[str, str]]:
        return [dict(row.annotations) for row in parse_index(files[1].content).manifests]

    tagged = {"org.opencontainers.image.ref.name": "1.0", "io.containerd.image.name": str(reference)}
    assert names(oci_files(images, index_of(images), reference, nested=True)) == [tagged]
    assert names(oci_files(images, index_of(images), reference)) == [{}, {}]
    assert names(oci_files(images[:1], index_of(images[:1]), reference)) == [tagged]


def test_an_index_is_sorted_by_architecture() -> None:
    images = [image(2, "s390x"), image(3, "arm/v7"), image(4, "amd64"), image(5, "arm/v6")]
    rows = index_of(images).manifests
    assert [row.platform.arch.oci for row in rows if row.platform] == ["amd64", "arm/v6", "arm/v7", "s390x"]


def test_a_docker_archive_tells_variants_apart() -> None:
    images = [image(2, "arm/v6"), image(3, "arm/v7")]
    files = docker_files(images, Reference("team/app", "1.0"))
    rows = parse_docker_manifest(files[0].content or b"")
    assert [row.tags for row in rows] == [("team/app:1.0-armv6",), ("team/app:1.0-armv7",)]
    names = {file.path for file in files}
    assert all(row.configuration in names and set(row.layers) <= names for row in rows)
    assert len(names) == len(files)
    single = parse_docker_manifest(docker_files(images[:1], Reference("app"))[0].content or b"")
    assert single[0].tags == ("app:latest",)
    plain = parse_docker_manifest(docker_files(images, Reference("app", "1"), suffix=False)[0].content or b"")
    assert [row.tags for row in plain] == [(), ("app:1",)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("app", ("app", "", None)),
        ("app:1.0", ("app", "1.0", None)),
        ("registry.example.com:5000/team/app:v1_x", ("registry.example.com:5000/team/app", "v1_x", None)),
        ("localhost:5000/app", ("localhost:5000/app", "", None)),
        ("[::1]:5000/app:x", ("[::1]:5000/app", "x", None)),
        ("app@sha256:" + "a" * 64, ("app", "", Digest.parse("sha256:" + "a" * 64))),
        ("app:1@sha256:" + "a" * 64, ("app", "1", Digest.parse("sha256:" + "a" * 64))),
    ],
)
def test_references(text: str, parts: tuple[str, str, Digest | None]) -> None:
    assert parse_reference(text) == Reference(*parts)
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "App",
        "app:",
        "app:-x",
        "app:a b",
        "app:" + "x" * 129,
        "a" * 256,
        "app//b",
        "/app",
        "app@sha256:1",
        "app:1:2",
        "a..b",
    ],
)
def test_wrong_references_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert caught.value.reason == "bad-reference"
