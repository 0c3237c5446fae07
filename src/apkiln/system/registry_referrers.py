"""What refers to a manifest, on every kind of registry: by its own list, or by the tag that stands in for it.

The tag `sha256-<hex>` names an index of all referrers that clients keep up to date themselves where the registry does not
(OCI distribution spec, "Referrers tag schema"; supply-chain.md §3.1 D, §7.1).
"""

from __future__ import annotations

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, FormatError, UnavailableError, VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, describe, encode_index
from apkiln.formats.oci.parsing import parse_index
from apkiln.system.registry import Document, Registry, RegistryReader
from apkiln.system.registry_names import RepositoryName

_TRIES = 5


def fallback_tag(subject: Digest) -> str:
    """The tag under which clients list the referrers of a manifest."""
    return f"{subject.algorithm[:32]}-{subject.hex[:64]}"


def list_referrers(
    reader: RegistryReader, repository: RepositoryName, subject: Digest, artifact_type: str = ""
) -> tuple[Descriptor, ...]:
    """What refers to `subject`, filtered by artifact type when one is given.

    Only "there is none" is an empty answer: whatever fails is raised as by the reader, FormatError `bad-document` included.
    """
    own = reader.referrers(repository, subject)
    found = own if own is not None else _tagged(reader, repository, subject)
    return tuple(row for row in found if artifact_type in {"", row.artifact_type})


def add_referrer(registry: Registry, repository: RepositoryName, subject: Digest, referrer: Descriptor) -> None:
    """Add a row to the tag's index and see that it stays: somebody else may do the same at the same time.

    ConflictError `referrers-contended` when it does not stay after several tries.
    """
    for _ in range(_TRIES):
        rows = _tagged(registry, repository, subject)
        if any(row.digest == referrer.digest for row in rows):
            return
        content = encode_index(Index((*rows, referrer)))
        document = Document(content, media_types.INDEX, describe(media_types.INDEX, content).digest)
        registry.push_manifest(repository, fallback_tag(subject), document)
    if any(row.digest == referrer.digest for row in _tagged(registry, repository, subject)):
        return
    message = f"others keep changing `{fallback_tag(subject)}`, the list of what refers to the image"
    raise ConflictError(message, reason="referrers-contended", origin=Origin(source=str(repository)), hint="run again")


def _tagged(reader: RegistryReader, repository: RepositoryName, subject: Digest) -> tuple[Descriptor, ...]:
    tag = fallback_tag(subject)
    try:
        document = reader.read_manifest(repository, tag)
    except UnavailableError as fault:
        if fault.reason == "not-found":
            return ()
        raise
    origin = Origin(source=f"{repository}:{tag}")
    if document.media_type not in media_types.INDEXES:
        message = f"`{tag}` is not a list of referrers but `{document.media_type}`"
        raise VerificationError(message, reason="not-referrers", origin=origin)
    try:
        return parse_index(document.content, origin).manifests
    except FormatError as error:
        raise error.located(origin) from None
