"""`/etc/ssl/certs/ca-certificates.crt` as `update-ca-certificates` makes it: the certificates that `/etc/ca-certificates.conf`
lists, and the local ones of packages."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.certificates import BUNDLES, certificate_paths
from apkiln.image.generated.certificates import DIRECTORY as LOCAL
from apkiln.image.generated.draft import Draft

RULE = "certificate-bundle"
BUNDLE = BUNDLES[0]
CONFIGURATION = "etc/ca-certificates.conf"
SHARED = "usr/share/ca-certificates"


def certificate_bundle(draft: Draft) -> None:
    """Rule `certificate-bundle`: a bundle that a package ships stays and gets what it lacks; else one is made."""
    before = draft.read(BUNDLE) if draft.file_at(BUNDLE) else b""
    missing = [text for text in _certificates(draft) if text.strip() not in before]
    if not missing:
        return
    if before and not before.endswith(b"\n"):
        before += b"\n"
    place = draft.resolve(BUNDLE)
    content = before + b"".join(text if text.endswith(b"\n") else text + b"\n" for text in missing)
    draft.put(RULE, draft.entry(place) or Entry(place, EntryType.FILE), content)


def _certificates(draft: Draft) -> Iterator[bytes]:
    for path in (*_listed(draft), *certificate_paths(draft.below(draft.resolve(LOCAL)))):
        if draft.file_at(path):
            yield draft.read(path)


def _listed(draft: Draft) -> list[str]:
    """Of the shared certificates those that the list names; `!` before a name switches it off.  Without a list, all."""
    if not draft.file_at(CONFIGURATION):
        return [path for path in draft.below(draft.resolve(SHARED)) if path.endswith(".crt")]
    lines = draft.read(CONFIGURATION).decode("utf-8", "replace").splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "!"))]
    return [f"{SHARED}/{name}" for name in names]
