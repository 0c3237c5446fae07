"""Small stored images made up for tests, by code that shares nothing with the product's own writers."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Item(NamedTuple):
    """One entry of a layer."""

    path: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Item:
    return Item(path, kind=tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)


def symlink(path: str, target: str) -> Item:
    return Item(path, kind=tarfile.SYMTYPE, mode=0o777, target=target)


def hard_link(path: str, target: str) -> Item:
    return Item(path, kind=tarfile.LNKTYPE, target=target)


def layer_tar(items: Iterable[Item]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for item in items:
            info = tarfile.TarInfo(item.path)
            info.type, info.mode, info.uid, info.gid, info.linkname = item.kind, item.mode, item.uid, item.gid, item.target
            info.devmajor, info.devminor = item.device
            info.size = len(item.content)
            archive.addfile(info, io.BytesIO(item.content))
    return buffer.getvalue()


def oci_layout(
    layers: Iterable[Iterable[Item]], process: Mapping[str, Any] | None = None, arch: str = "amd64"
) -> dict[str, bytes]:
    """Files of an OCI layout with one image."""
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    tars = [layer_tar(items) for items in layers]
    rows = [blob(files, gzip.compress(tar, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for tar in tars]
    config = {
        "architecture": arch,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        "history": [{"created_by": "test"} for _ in tars],
        "config": dict(process or {}),
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(files, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": rows,
    }
    row = blob(files, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    row["platform"] = {"architecture": arch, "os": "linux"}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [row]}).encode()
    return files


def docker_archive(layers: Iterable[Iterable[Item]], process: Mapping[str, Any] | None = None) -> bytes:
    """One image as `docker save` writes it."""
    tars = [layer_tar(items) for items in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
            "config": dict(process or {}),
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    files = {name: config} | {f"{number}/layer.tar": tar for number, tar in enumerate(tars)}
    layer_names = [f"{number}/layer.tar" for number in range(len(tars))]
    files["manifest.json"] = json.dumps([{"Config": name, "RepoTags": ["test:latest"], "Layers": layer_names}]).encode()
    return archive_of(files)


def archive_of(files: Mapping[str, bytes]) -> bytes:
    return layer_tar(Item(path, content) for path, content in files.items())


def blob(files: dict[str, bytes], content: bytes, media_type: str) -> dict[str, Any]:
    """Add a blob; its descriptor."""
    files[f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"] = content
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
