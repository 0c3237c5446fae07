"""What every registry client must do on every registry; the files that use it say which ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, Manifest, Platform, describe, encode_index, encode_manifest
from apkiln.system.registry import BlobOutcome, Document, Registry
from apkiln.system.registry_client import HttpRegistry
from apkiln.system.registry_names import RepositoryName
from apkiln.system.registry_referrers import add_referrer, list_referrers

EMPTY = describe("application/vnd.oci.empty.v1+json", b"{}")
SPDX = "application/spdx+json"


@dataclass
class Content:
    """Bytes as a source; `reads` counts how often they were asked for."""

    data: bytes
    piece: int = 70_000
    reads: int = field(default=0)

    def chunks(self) -> Iterator[bytes]:
        self.reads += 1
        for position in range(0, len(self.data), self.piece):
            yield self.data[position : position + self.piece]


@dataclass(frozen=True)
class Server:
    """One registry to test: a client of it, a repository nobody used, and what it can do."""

    registry: Registry
    repository: RepositoryName
    keeps_referrers: bool = True
    mounts: bool = True
    checks_parts: bool = True


def noise(size: int, seed: str = "") -> bytes:
    """Bytes that no other call with other arguments gives."""
    return hashlib.shake_256(f"{size} {seed}".encode()).digest(size)


def push(
    server: Server, data: bytes, mount_from: str = "", repository: RepositoryName | None = None
) -> tuple[Descriptor, BlobOutcome]:
    blob = describe(media_types.LAYER_GZIP, data)
    return blob, server.registry.push_blob(repository or server.repository, blob, Content(data), mount_from)


def pull(server: Server, blob: Descriptor) -> bytes:
    received = bytearray()
    server.registry.read_blob(server.repository, blob, received.extend)
    return bytes(received)


def configuration(seed: str) -> bytes:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "author": seed,
        "rootfs": {"type": "layers", "diff_ids": []},
        "config": {},
    }
    return json.dumps(document).encode()


def push_image(server: Server, seed: str) -> Document:
    """A small image, by digest."""
    layer, _ = push(server, noise(5000, seed))
    content = configuration(seed)
    config = describe(media_types.CONFIGURATION, content)
    server.registry.push_blob(server.repository, config, Content(content))
    document = as_document(encode_manifest(Manifest(config, (layer,))), media_types.MANIFEST)
    server.registry.push_manifest(server.repository, str(document.digest), document)
    return document


def as_document(content: bytes, media_type: str) -> Document:
    return Document(content, media_type, describe(media_type, content).digest)


def index_over(*documents: Document) -> Document:
    rows = tuple(describe(item.media_type, item.content, Platform("amd64")) for item in documents)
    return as_document(encode_index(Index(rows)), media_types.INDEX)


def attach(server: Server, subject: Document, data: bytes, artifact_type: str = SPDX) -> Descriptor:
    """Push an artifact that refers to `subject`, and list it in the way that the registry needs."""
    blob, _ = push(server, data)
    server.registry.push_blob(server.repository, EMPTY, Content(b"{}"))
    target = describe(subject.media_type, subject.content)
    content = encode_manifest(Manifest(EMPTY, (blob._replace(media_type=SPDX),), artifact_type=artifact_type, subject=target))
    document = as_document(content, media_types.MANIFEST)
    written = server.registry.push_manifest(server.repository, str(document.digest), document)
    row = describe(media_types.MANIFEST, content)._replace(artifact_type=artifact_type)
    if not written.subject_listed:
        add_referrer(server.registry, server.repository, subject.digest, row)
    return row


def reason_of(action: object) -> str:
    assert callable(action)
    with pytest.raises(ApkilnError) as caught:
        action()
    return caught.value.reason


class RegistryContract:
    """Inherit and give a fixture `server`."""

    @pytest.mark.parametrize("size", [0, 1, 2, 1000, 65_536, 200_001], ids=str)
    def test_blobs_come_back_as_they_went(self, server: Server, size: int) -> None:
        data = noise(size)
        blob, outcome = push(server, data)
        assert outcome is BlobOutcome.UPLOADED
        assert pull(server, blob) == data

    def test_a_blob_that_is_there_is_not_read(self, server: Server) -> None:
        data = noise(3000)
        blob, _ = push(server, data)
        again = Content(data)
        assert server.registry.push_blob(server.repository, blob, again) is BlobOutcome.PRESENT
        assert again.reads == 0

    def test_blobs_are_mounted_from_another_repository(self, server: Server) -> None:
        data = noise(4000, "mounted")
        blob, _ = push(server, data)
        other = server.repository._replace(path=server.repository.path + "-other")
        content = Content(data)
        outcome = server.registry.push_blob(other, blob, content, server.repository.path)
        if server.mounts:
            assert outcome in {BlobOutcome.MOUNTED, BlobOutcome.PRESENT}  # some registries share all blobs
            assert content.reads == 0
        else:
            assert outcome is BlobOutcome.UPLOADED

    def test_a_mount_of_nothing_becomes_an_upload(self, server: Server) -> None:
        data = noise(4001, "unmounted")
        blob, outcome = push(server, data, mount_from=server.repository.path + "-empty")
        assert outcome is BlobOutcome.UPLOADED
        assert pull(server, blob) == data

    @pytest.mark.parametrize("size", [100, 150_000])
    def test_a_source_with_other_bytes_is_not_pushed(self, server: Server, size: int) -> None:
        blob = describe(media_types.LAYER_GZIP, noise(size))
        for wrong in (noise(size, "other"), noise(size)[:-1], noise(size) + b"x"):
            with pytest.raises(VerificationError) as caught:
                server.registry.push_blob(server.repository, blob, Content(wrong))
            assert caught.value.reason == "source-mismatch"
        assert reason_of(lambda: pull(server, blob)) == "not-found"

    def test_manifests_go_by_digest_and_by_tag(self, server: Server) -> None:
        first, second = push_image(server, "first"), push_image(server, "second")
        top = index_over(first, second)
        for reference in (str(top.digest), "v1.0_x"):
            assert server.registry.push_manifest(server.repository, reference, top).digest == top.digest
        for reference in (str(top.digest), "v1.0_x"):
            found = server.registry.resolve(server.repository, reference)
            assert found is not None
            assert (found.digest, found.size, found.media_type) == (top.digest, len(top.content), media_types.INDEX)
            assert server.registry.read_manifest(server.repository, reference) == top
        server.registry.push_manifest(server.repository, "v1.0_x", first)
        assert server.registry.read_manifest(server.repository, "v1.0_x") == first

    def test_what_is_not_there_is_told_apart(self, server: Server) -> None:
        push_image(server, "any")
        absent = describe(media_types.LAYER_GZIP, noise(10, "absent"))
        assert server.registry.resolve(server.repository, "nothing") is None
        assert server.registry.resolve(server.repository, str(absent.digest)) is None
        assert reason_of(lambda: server.registry.read_manifest(server.repository, "nothing")) == "not-found"
        assert reason_of(lambda: pull(server, absent)) == "not-found"

    def test_another_size_than_the_blob_has_is_refused(self, server: Server) -> None:
        blob, _ = push(server, noise(5000, "sized"))
        for size in (4999, 5001):
            with pytest.raises(VerificationError):
                pull(server, blob._replace(size=size))

    def test_a_manifest_whose_parts_are_missing_is_refused(self, server: Server) -> None:
        config = describe(media_types.CONFIGURATION, configuration("never pushed"))
        document = as_document(encode_manifest(Manifest(config, ())), media_types.MANIFEST)
        if not server.checks_parts:
            pytest.skip("this registry takes such manifests")
        with pytest.raises(UnavailableError) as caught:
            server.registry.push_manifest(server.repository, "broken", document)
        assert caught.value.reason in {"blob-missing", "manifest-refused", "not-found"}
        assert server.registry.resolve(server.repository, "broken") is None

    def test_a_digest_that_is_not_the_content_s_is_refused(self, server: Server) -> None:
        document = push_image(server, "one")
        other = str(Digest.sha256(hashlib.sha256(b"other").digest()))
        for reference, wrong in ((other, document), ("tag", document._replace(content=document.content + b" "))):
            with pytest.raises(VerificationError):
                server.registry.push_manifest(server.repository, reference, wrong)

    def test_all_tags_are_listed(self, server: Server) -> None:
        assert isinstance(server.registry, HttpRegistry)
        names = sorted(f"tag-{number}" for number in range(5))
        for name in names:
            server.registry.push_manifest(server.repository, name, push_image(server, name))
        assert sorted(set(server.registry.tags(server.repository)) & set(names)) == names

    def test_what_refers_to_an_image_is_listed(self, server: Server) -> None:
        image = push_image(server, "subject")
        assert list_referrers(server.registry, server.repository, image.digest) == ()
        rows = [
            attach(server, image, noise(300, name), name) for name in ("a/spdx", "b/cyclonedx", "c/other", "d/other", "d/other")
        ]
        found = list_referrers(server.registry, server.repository, image.digest)
        assert {row.digest for row in found} == {row.digest for row in rows}
        assert [row.digest for row in list_referrers(server.registry, server.repository, image.digest, "a/spdx")] == [
            rows[0].digest
        ]
        assert (server.registry.referrers(server.repository, image.digest) is not None) == server.keeps_referrers
