"""The keyring package: every key that a client may trust, so that a rotation reaches those who installed it (spec §8)."""

from __future__ import annotations

import io
from collections.abc import Sequence

from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import Codec, canonical_codec
from apkiln.repository.generations import hex_digest
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.actions import DeclaredPackage, Manifest
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import RepositoryState, Step, Transaction
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import pieces

KEY_DIRECTORY = "etc/apk/keys"


def publish_keyring(service: RepositoryService, author: Author, name: str) -> Transaction:
    """Publish the keyring package of the keys as they are now; nothing new when that was done.  Raises as the service."""
    state = service.refresh()
    signers = [service.equipment.signers.signer(key) for key in state.signing_keys()]
    data = keyring_package(state, name, canonical_codec(), signers)
    declared = DeclaredPackage(NOARCH, name, keyring_version(state), hex_digest(data), len(data))
    opened = service.open(author, Manifest(files=(declared,)))
    if service.missing(opened):
        service.upload(declared.sha256, pieces(data))
    return service.commit(author, opened.number)


def keyring_version(state: RepositoryState) -> str:
    """Grows with every change of keys."""
    changes = sum(1 for item in state.transactions.values() if item.step is Step.LIVE and item.manifest.keys)
    return f"1.{changes}-r0"


def keyring_package(state: RepositoryState, name: str, codec: Codec, signers: Sequence[SectionSigner]) -> bytes:
    """A package with every key that a client may trust, for `/etc/apk/keys`; equal states give equal bytes."""
    keys = {key.name: key.pem.encode() for key in state.keys.values() if key.state != "revoked"}
    date = max((key.changed // 1000 for key in state.keys.values()), default=0)
    parents = (KEY_DIRECTORY.rsplit("/", depth)[0] for depth in range(KEY_DIRECTORY.count("/"), -1, -1))
    entries = [Entry(path, EntryType.DIRECTORY, 0o755, uname="root", gname="root", mtime=date) for path in parents]
    entries += [
        Entry(f"{KEY_DIRECTORY}/{file}", EntryType.FILE, 0o644, uname="root", gname="root", size=len(data), mtime=date)
        for file, data in sorted(keys.items())
    ]
    info = PackageInfo(
        name=name,
        version=keyring_version(state),
        arch="noarch",
        description=f"keys of the repository {state.repository}",
        license="CC0-1.0",
        origin=name,
        build_date=date,
    )
    written = bytearray()
    draft = PackageDraft(info, tuple(entries))
    write_package(draft, lambda path: [keys[path.rpartition("/")[2]]], codec, io.BytesIO(), written.extend, signers=signers)
    return bytes(written)
