"""From a configuration to services that work: the only place of the web row that knows real stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apkiln.core.errors import UnavailableError
from apkiln.core.secret import Secret
from apkiln.formats.apk.signing import SectionSigner
from apkiln.repository.direct import URL, DirectPath
from apkiln.repository.equipment import Equipment, NamedSigners, Policy, SignerSource
from apkiln.repository.examining import Examiner, ProgramExaminer, RuleExaminer
from apkiln.repository.ledger.actions import KeyChange
from apkiln.repository.ledger.rows import Author
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import BlobStore
from apkiln.system.clock import SystemClock
from apkiln.system.files import DiskFiles
from apkiln.system.ledger_store import LedgerStore
from apkiln.system.process import SystemRunner
from apkiln.system.signer import Signer, load_signer
from apkiln.system.transfer import Transfer
from apkiln.web.configuration import Configuration, RepositoryConfiguration, RuleConfiguration, database_url

_SMALL = 64 * 1024


class SocketSigners:
    """Signers of a signer process, looked up when they are needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def signer(self, name: str) -> SectionSigner:
        from apkiln.system.signer_socket import connect

        return NamedSigners(connect(self._path)).signer(name)


@dataclass(frozen=True, slots=True)
class Stores:
    """What repositories share."""

    ledgers: LedgerStore
    blobs: BlobStore
    signers: SignerSource
    own_keys: Callable[[], tuple[Signer, ...]]
    """Every key that can sign now.  UnavailableError `signer-unavailable`: what is published is served all the same."""
    examiners: tuple[Examiner, ...] = ()


def open_stores(configuration: Configuration, home: Path) -> Stores:
    """Database (migrated), blobs, signers.  Raises what each of them raises."""
    ledgers, blobs = open_keeping(configuration, home)
    signers, keys = _signers(configuration, home)
    return Stores(ledgers, blobs, signers, keys, examiners_of(configuration))


def examiners_of(configuration: Configuration) -> tuple[Examiner, ...]:
    """The policies, built-in rules first."""
    rules = configuration.rules
    found: list[Examiner] = [RuleExaminer(rules.denied_licenses, rules.largest_growth)] if rules != RuleConfiguration() else []
    found += [ProgramExaminer(item.name, item.command, SystemRunner(), item.timeout) for item in configuration.policy]
    return tuple(found)


def open_keeping(configuration: Configuration, home: Path) -> tuple[LedgerStore, BlobStore]:
    """Database (migrated) and blobs, without anybody who signs."""
    from apkiln.system.blob_store_directory import DirectoryBlobs
    from apkiln.system.database import open_ledgers

    blobs: BlobStore
    if configuration.bucket is not None:
        blobs = _bucket_blobs(configuration, home)
    else:
        blobs = DirectoryBlobs(home / configuration.blobs, DiskFiles())
    return open_ledgers(database_url(configuration, home)), blobs


def _signers(configuration: Configuration, home: Path) -> tuple[SignerSource, Callable[[], tuple[Signer, ...]]]:
    if configuration.signer:
        from apkiln.system.signer_socket import connect

        return SocketSigners(home / configuration.signer), lambda: connect(home / configuration.signer)
    paths = dict.fromkeys(home / key for repository in configuration.repository for key in repository.keys)
    keys = tuple(load_signer(path, DiskFiles()) for path in paths)
    return NamedSigners(keys), lambda: keys


def _bucket_blobs(configuration: Configuration, home: Path) -> BlobStore:
    from apkiln.system.blob_store_object import Bucket, open_bucket

    bucket = configuration.bucket
    assert bucket is not None

    def content(name: str) -> str:
        return DiskFiles().read(home / name, _SMALL).decode().strip() if name else ""

    return open_bucket(
        Bucket(
            bucket.name,
            bucket.prefix,
            bucket.endpoint,
            bucket.region,
            content(bucket.access_key_file),
            Secret(content(bucket.secret_key_file)),
        )
    )


def open_service(
    repository: RepositoryConfiguration, stores: Stores, public: Transfer | None = None, public_url: str = URL
) -> RepositoryService:
    """The service of one repository; without `public` it reads back from the stores directly."""
    policy = Policy(
        sign_packages=repository.sign_packages,
        two_persons=repository.two_persons,
        lifetime=repository.lifetime_days * 86_400,
    )
    made: list[RepositoryService] = []
    path = public or DirectPath(lambda: made[0].state, stores.blobs)
    equipment = Equipment(stores.ledgers, stores.blobs, stores.signers, path, public_url, SystemClock(), stores.examiners)
    made.append(RepositoryService(repository.name, equipment, policy))
    made[0].refresh()
    return made[0]


def ensure_created(service: RepositoryService, repository: RepositoryConfiguration, stores: Stores) -> None:
    """Begin the ledger of a repository that has none, with the configured keys (all keys at hand when none is named)."""
    if service.state.current:
        return
    wanted = {Path(key).name.removesuffix(".pem") + ".pub" for key in repository.keys}
    keys = [key for key in stores.own_keys() if not wanted or key.name in wanted]
    if not keys:
        raise UnavailableError(
            f"`{repository.name}` has no key to sign with", reason="signing-key-missing", hint="name one in `keys`"
        )
    changes = [KeyChange(key.name, "active", key.public_key().decode()) for key in keys]
    service.create(Author("configuration", "a new repository"), repository.arches, changes, repository.keep)
