"""Judges for reports about repositories: each case on a repository service in memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import cache
from typing import Any

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.direct import URL, DirectPath
from apkiln.repository.equipment import Equipment, NamedSigners, Policy
from apkiln.repository.front import found
from apkiln.repository.ledger.actions import DeclaredPackage, KeyChange, Manifest
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import Step
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import BlobStore, MemoryBlobs, pieces
from apkiln.system.clock import ManualClock
from apkiln.system.ledger_store import LedgerStore, MemoryLedgers
from apkiln.system.signer import RsaSigner, generate_key_pair

Row = dict[str, Any]
_AUTHOR = Author("score")


@cache
def _signer() -> RsaSigner:
    return generate_key_pair("score.rsa.pub", 2048).signer


def _service(name: str, arch: str, ledgers: LedgerStore, blobs: BlobStore) -> RepositoryService:
    box: list[RepositoryService] = []
    public = DirectPath(lambda: box[0].state, blobs)
    equipment = Equipment(ledgers, blobs, NamedSigners([_signer()]), public, URL, ManualClock(), jobs=1)
    box.append(RepositoryService(name, equipment, Policy(sign_packages=False)))
    key = KeyChange(_signer().name, "active", _signer().public_key().decode())
    box[0].create(_AUTHOR, [arch], [key])
    return box[0]


def _package(name: str, version: str, arch: str, content: bytes) -> bytes:
    """A package with one file."""
    info = PackageInfo(name=name, version=version, arch=arch, license="MIT", origin=name, build_date=1)
    entries = (Entry("content", EntryType.FILE, size=len(content)),)
    out, spool = io.BytesIO(), io.BytesIO()
    write_package(PackageDraft(info, entries), lambda _: iter([content]), canonical_codec(), spool, out.write)
    return out.getvalue()


def _publish(service: RepositoryService, name: str, version: str, arch: str, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    declared = DeclaredPackage(arch, name, version, digest, len(data))
    opened = service.open(_AUTHOR, Manifest(files=(declared,)))
    service.upload(digest, pieces(data))
    done = service.commit(_AUTHOR, opened.number)
    return "" if done.step is Step.LIVE else f"refused: {done.findings}"


def publish_layout(given: Row, expected: Row) -> str:
    """The uploader's file name has no say; the package's own does."""
    info = given["pkginfo"]
    service = _service("os", info["arch"], MemoryLedgers(), MemoryBlobs())
    data = _package(info["pkgname"], info["pkgver"], info["arch"], b"x")
    wrong = _publish(service, info["pkgname"], info["pkgver"], info["arch"], data)
    if wrong:
        return wrong
    answers = {path: found(service.state, path, 0).status for path in (*expected["served_at"], *expected["not_served_at"])}
    bad = [path for path in expected["served_at"] if answers[path] != 200]
    bad += [path for path in expected["not_served_at"] if answers[path] == 200]
    return f"{answers}" if bad else ""


def http_paths(given: Row, expected: Row) -> str:
    """Every spelling of a path is the same file."""
    arch, file = given["file"].split("/")
    name, _, version = file.removesuffix(".apk").partition("-")
    service = _service("repo", arch, MemoryLedgers(), MemoryBlobs())
    wrong = _publish(service, name, version, arch, _package(name, version, arch, b"x"))
    answers = [found(service.state, path.removeprefix("/repo/"), 0) for path in given["requests"]]
    statuses, bodies = [answer.status for answer in answers], {answer.blob for answer in answers}
    return "" if not wrong and statuses == expected["status"] and len(bodies) == 1 else f"{wrong} {statuses} {bodies}"


def mirror(given: Row, expected: Row) -> str:
    """Repositories on one store, each with its own bytes under the same file name."""
    ledgers, blobs = MemoryLedgers(), MemoryBlobs()
    services: dict[str, RepositoryService] = {}
    labels: dict[str, str] = {}
    for path, label in given["upstream"].items():
        repository, arch, file = path.rsplit("/", 2)
        name, _, version = file.removesuffix(".apk").partition("-")
        service = services.setdefault(repository, _service(repository, arch, ledgers, blobs))
        data = _package(name, version, arch, label.encode())
        labels[hashlib.sha256(data).hexdigest()] = label
        wrong = _publish(service, name, version, arch, data)
        if wrong:
            return wrong
    bodies = []
    for path in given["requests"]:
        repository, rest = next((name, path.removeprefix(f"{name}/")) for name in services if path.startswith(f"{name}/"))
        bodies.append(labels.get(found(services[repository].state, rest, 0).blob, "nothing"))
    return "" if bodies == expected["bodies"] else f"{bodies}"


def http_client(given: Row, expected: Row) -> str:
    """A client judges by identity, whatever the content type; the server's own type is the neutral one."""
    from apkiln.acquire.access import Access
    from apkiln.acquire.packages import SelectedPackage, acquire_packages
    from apkiln.acquire.repositories import parse_repositories
    from apkiln.formats.apk.index import record_of
    from apkiln.formats.apk.package import read_package
    from apkiln.system.memory_files import MemoryFiles
    from apkiln.system.memory_server import MemoryServer, Resource, memory_transfer
    from apkiln.system.memory_store import MemoryStore

    data = _package("a", "1-r0", "x86_64", b"x")
    record = record_of(read_package(io.BytesIO(data)))
    accepted = []
    for response in given["responses"]:
        kind = response["content_type"]
        headers = (("content-type", kind),) if kind else ()
        server = MemoryServer({f"https://example.com/{response['path']}": Resource(data, headers=headers)})
        access = Access(MemoryStore(), memory_transfer(server), MemoryFiles())
        repository = parse_repositories(["https://example.com"])[0]
        try:
            accepted.append(len(acquire_packages([SelectedPackage(record, repository)], access)) == 1)
        except ApkilnError:
            accepted.append(False)
    service = _service("os", "x86_64", MemoryLedgers(), MemoryBlobs())
    wrong = _publish(service, "a", "1-r0", "x86_64", data)
    sent = found(service.state, "x86_64/a-1-r0.apk", 0).content_type
    if wrong or accepted != expected["client_accepts"] or sent != expected["server_sends"]:
        return f"{wrong} accepts {accepted}, sends {sent}"
    return ""


def sync(given: Row, expected: Row) -> str:
    """A copy that compares content: a file of the same name and size that is another one is replaced, before the index is."""
    from pathlib import PurePosixPath

    from apkiln.repository.copying import copy_repository
    from apkiln.repository.initialising import initialise
    from apkiln.repository.publishing import Workshop, add_packages
    from apkiln.system.memory_files import MemoryFiles

    file = next(name for name in given["remote"] if name.endswith(".apk"))
    name, _, version = file.removesuffix(".apk").partition("-")
    old, new = _twins(name, version)
    files, here, there = MemoryFiles(), PurePosixPath("/local"), PurePosixPath("/remote")
    initialise(here, files, key_name="score.rsa", architectures=["x86_64"])
    files.put(f"/new/{file}", new)
    add_packages(here, [PurePosixPath(f"/new/{file}")], [], Workshop(files))
    files.put(f"{there}/x86_64/{file}", old)
    plan = copy_repository(here, there, Workshop(files))
    done = [path.rpartition("/")[2] for path in plan.uploads if not path.endswith(".pub")]
    same = files.snapshot()[f"{there}/x86_64/{file}"] == new
    return "" if same and done == expected["uploads"] else f"copies {done}, the file is {'new' if same else 'old'}"


def _twins(name: str, version: str) -> tuple[bytes, bytes]:
    """Two packages of one name, version and size with different content."""
    by_size: dict[int, bytes] = {}
    for number in range(1000):
        data = _package(name, version, "x86_64", hashlib.sha256(b"%d" % number).digest())
        if len(data) in by_size:
            return by_size[len(data)], data
        by_size[len(data)] = data
    raise AssertionError("no two packages of one size")


def wish(given: Row, expected: Row) -> str:
    """A filtered view: what a policy blocks is in no index, so that another version is chosen; its file is 403 with the rule."""
    from apkiln.formats.apk.index import read_index
    from apkiln.repository.filtering import FilteredView, ViewPolicy

    arch, file = given["request"].split("/")
    name, _, version = file.removesuffix(".apk").partition("-")
    service = _service("os", arch, MemoryLedgers(), MemoryBlobs())
    for number in ("0", version):
        wrong = _publish(service, name, number, arch, _package(name, number, arch, number.encode()))
        if wrong:
            return wrong
    view = FilteredView("os/filtered", service, lambda: ViewPolicy(blocked=((name, version, given["policy"]),)))
    text = read_index(view.answer(f"{arch}/APKINDEX.tar.gz", 0).body).text.decode()
    answer = view.answer(given["request"], 0)
    listed = [line for line in text.splitlines() if line.startswith("V:")]
    told = answer.status == 403 and given["policy"] in answer.body.decode()
    return "" if told and listed == ["V:0"] else f"{answer.status} {answer.body!r}, lists {listed}"


JUDGES: dict[str, Callable[[Row, Row], str]] = {
    "publish-layout": publish_layout,
    "http-paths": http_paths,
    "mirror": mirror,
    "sync": sync,
    "wish": wish,
    "http-client": http_client,
}
