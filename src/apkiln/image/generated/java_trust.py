"""Java's trust store, made from the certificate bundle of the image, where a package asks for it (spec debian.md §8.1 row 3)."""

from __future__ import annotations

import hashlib

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.certificates import BUNDLES, JAVA_STORE
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.package_data import fault, package_data

RULE = "java-trust-store"
STEP = "java-certificates"


def java_trust_store(draft: Draft, epoch: int) -> None:
    """Rule `java-trust-store`: every certificate of the first bundle that exists, named by its SHA-256, dated `epoch`.

    Nothing is written when no package asks, when a package ships the store, or when there is no bundle.  Raises FormatError
    (`package-data`, `certificate-invalid`).
    """
    wanted = False
    for data in package_data(draft, "image-steps"):
        steps = data.value.get("steps")
        if not isinstance(steps, list) or any(step != STEP for step in steps):
            raise fault(f"`steps` is not a list of known steps: {STEP}", data.origin)
        wanted = wanted or bool(steps)
    bundle = next((path for path in BUNDLES if draft.file_at(path)), "") if wanted else ""
    if not bundle or draft.file_at(JAVA_STORE):
        return
    from apkiln.formats.java_keystore import trusted_entry, write_keystore
    from apkiln.formats.x509_subject import pem_certificates

    certificates = {hashlib.sha256(item).hexdigest(): item for item in pem_certificates(draft.read(bundle))}
    store = write_keystore(trusted_entry(f"debian-{name}", certificates[name], epoch) for name in sorted(certificates))
    draft.put(RULE, Entry(draft.resolve_parent(JAVA_STORE), EntryType.FILE, 0o644, mtime=epoch), store)
