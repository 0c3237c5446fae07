"""Registries of images: what can be read from one and written to one (OCI distribution spec; supply-chain.md §7).

`system.registry_client.HttpRegistry` does it over HTTP; over `system.memory_registry` it does it in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.protocol import Protocol
from apkiln.formats.oci.documents import Descriptor
from apkiln.system.registry_names import RepositoryName
from apkiln.system.transfer import Write

MANIFEST_LIMIT = 4 << 20
"""Bytes of a manifest or index; registries refuse larger ones (supply-chain.md §7.1)."""


class Document(NamedTuple):
    """A manifest or an index as the registry keeps it."""

    content: bytes
    media_type: str
    digest: Digest
    """Computed from the content, never taken from the registry's word."""


class BlobSource(Protocol):
    """The content of one blob, as often as it is needed."""

    def chunks(self) -> Iterator[bytes]:
        """All bytes from the beginning, in pieces of any size."""


class BlobOutcome(Enum):
    """How a blob came to be in a repository."""

    PRESENT = "present"
    MOUNTED = "mounted"
    """Taken from another repository of the same registry: nothing was sent."""
    UPLOADED = "uploaded"


class WrittenManifest(NamedTuple):
    """What the registry said to a manifest."""

    digest: Digest
    subject_listed: bool
    """The registry lists the manifest among the referrers of its subject by itself (`OCI-Subject`)."""


class RegistryReader(Protocol):
    """Reading.

    Digests are verified; methods raise UnavailableError (`not-found`, `unauthorized`, `denied`, `server-error`,
    `connection-failed`, `connection-lost`, `timeout`, `tls-failed`, `insecure-address`, `insecure-redirect`,
    `forbidden-address`, `foreign-address`, `too-many-redirects`, `registry-refusal`, `bad-answer`) and VerificationError
    `digest-mismatch`.  Secrets never appear in an error.
    """

    def resolve(self, repository: RepositoryName, reference: str) -> Descriptor | None:
        """What a tag, or a digest in text form, names; None when there is no such manifest.  One HEAD request."""

    def read_manifest(self, repository: RepositoryName, reference: str) -> Document:
        """The manifest under a tag or digest, at most `MANIFEST_LIMIT` bytes."""

    def read_blob(self, repository: RepositoryName, blob: Descriptor, write: Write) -> None:
        """Deliver the blob to `write`; on an error a beginning may have been delivered.  Interrupted reads are resumed."""

    def referrers(self, repository: RepositoryName, subject: Digest) -> tuple[Descriptor, ...] | None:
        """What refers to a manifest, by the registry's own list; None when it keeps none (see `registry_referrers`)."""


class RegistryWriter(Protocol):
    """Writing.  Raises as `RegistryReader`, and UnavailableError `quota-exceeded`, `too-large`, `manifest-refused`,
    `blob-missing`, VerificationError `digest-refused` (the registry got other bytes than were sent)."""

    def push_blob(self, repository: RepositoryName, blob: Descriptor, source: BlobSource, mount_from: str = "") -> BlobOutcome:
        """Make sure that a blob is there: looked for, mounted from another repository of this registry, else uploaded.

        A registry that does not mount, or does not let us, gets the blob sent.

        VerificationError `source-mismatch` when `source` does not give the bytes of `blob`; the upload is then cancelled.
        """

    def push_manifest(self, repository: RepositoryName, reference: str, document: Document) -> WrittenManifest:
        """Store a manifest under a tag or its digest; VerificationError `digest-mismatch` when the registry took other bytes."""


class Registry(RegistryReader, RegistryWriter, Protocol):
    """Both."""

    def log_in(self, repository: RepositoryName) -> None:
        """Find out now whether we may push there, as far as the registry tells before a push.  Raises as the other methods."""
