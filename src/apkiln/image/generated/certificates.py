"""Certificate authorities of the definition and of packages, in the bundles that programs read (spec image.md §5.6).

Each additional certificate becomes a file below `/usr/local/share/ca-certificates`; its text and that of the providing
packages is appended to every bundle that exists, and to Java's trust store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import NamedContent
from apkiln.image.generated.draft import Draft

RULE = "certificates"
DIRECTORY = "usr/local/share/ca-certificates"
BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "var/lib/ecs/deps/execute-command/certs/tls-ca-bundle.pem",
    "kaniko/ssl/certs/ca-certificates.crt",
)
JAVA_STORE = "etc/ssl/certs/java/cacerts"
_NAME = pattern(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SUFFIXES = (".crt", ".pem")


class Certificate(NamedTuple):
    """One certificate in its two forms."""

    alias: str
    """Name in the Java store."""
    pem: bytes
    """The text as given."""
    der: bytes

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the DER form."""
        return hashlib.sha256(self.der).hexdigest()


def certificates(
    draft: Draft, additional: Iterable[NamedContent], provided: Iterable[str], epoch: int, *, allow_missing_bundle: bool = False
) -> None:
    """Rule `certificates`.  `provided`: paths that packages with a configured provided name ship.

    Raises ConfigurationError (`certificate-name`, `certificate-invalid`, `certificate-several`), FormatError
    (`certificate-invalid`, of a package's file) and ConfigurationError (`no-certificate-bundle`); all faults at once.
    """
    faults = FaultCollector.empty()
    inline = _inline(draft, additional, epoch, faults)
    wanted = inline + _from_packages(draft, provided, epoch, faults)
    faults.raise_if_any()
    if not wanted:
        return
    found = [path for path in BUNDLES if draft.file_at(path)]
    if not found and not draft.file_at(JAVA_STORE) and inline and not allow_missing_bundle:
        raise ConfigurationError(
            "certificates are configured, but no package ships a certificate bundle",
            reason="no-certificate-bundle",
            hint="add `ca-certificates-bundle` to the packages",
        )
    for path in found:
        _append_to_bundle(draft, path, wanted, epoch)
    if draft.file_at(JAVA_STORE):
        _add_to_java_store(draft, wanted, epoch)


def certificate_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Of a package's paths those that are certificate files in the local directory, sorted."""
    return tuple(sorted(path for path in paths if path.startswith(DIRECTORY + "/") and path.endswith(_SUFFIXES)))


def parse_certificate(text: bytes) -> bytes:
    """DER form of exactly one PEM certificate.  Raises FormatError (`certificate-invalid`, `certificate-several`)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    blocks = text.count(b"-----BEGIN ")
    if blocks > 1:
        raise FormatError(f"one certificate is expected, {blocks} PEM blocks are there", reason="certificate-several")
    try:
        return x509.load_pem_x509_certificate(text).public_bytes(Encoding.DER)
    except ValueError as cause:
        raise FormatError("there is no PEM certificate", reason="certificate-invalid") from cause


def remark_on_expiry(draft: Draft, what: str, der: bytes, epoch: int) -> None:
    """A notice of a certificate that was no longer valid at the time of the image.  It is added all the same, as apko does:
    what trusts it has a clock of its own."""
    from cryptography import x509

    end = x509.load_der_x509_certificate(der).not_valid_after_utc
    if end.timestamp() < epoch:
        draft.notice(f"{what} has expired: it was valid until {end.date().isoformat()}")


def _inline(draft: Draft, additional: Iterable[NamedContent], epoch: int, faults: FaultCollector) -> list[Certificate]:
    found = []
    for item in additional:
        try:
            if not _NAME.fullmatch(item.name):
                raise ConfigurationError(f"`{item.name}` cannot be a certificate's name", reason="certificate-name")
            der = parse_certificate(item.content.encode())
        except ApkilnError as fault:
            faults.add(ConfigurationError(f"certificate `{item.name}`: {fault.message}", reason=fault.reason, origin=item.origin))
            continue
        remark_on_expiry(draft, f"{item.origin}: certificate `{item.name}`", der, epoch)
        certificate = Certificate(f"{item.name}-{hashlib.sha256(der).hexdigest()}", item.content.encode(), der)
        path = draft.resolve_parent(f"{DIRECTORY}/{certificate.alias}.crt")
        draft.put(RULE, Entry(path, EntryType.FILE, mtime=epoch), certificate.pem, origin=item.origin)
        found.append(certificate)
    return found


def _from_packages(draft: Draft, provided: Iterable[str], epoch: int, faults: FaultCollector) -> list[Certificate]:
    found = []
    for path in sorted(set(provided)):
        text = draft.read(path)
        try:
            der = parse_certificate(text)
        except FormatError as fault:
            place = Origin(member=path, package=draft.packages.package(path))
            faults.add(FormatError(fault.message, reason=fault.reason, origin=place))
            continue
        remark_on_expiry(draft, f"certificate `/{path}` of {draft.packages.package(path)}", der, epoch)
        found.append(Certificate(f"pkg-{hashlib.sha256(der).hexdigest()}", text, der))
    return found


def _append_to_bundle(draft: Draft, path: str, wanted: list[Certificate], epoch: int) -> None:
    """Append the texts as given, a line end after each."""
    content = draft.read(path)
    for certificate in wanted:
        if content and not content.endswith(b"\n"):
            content += b"\n"
        content += certificate.pem + b"\n"
    _replace(draft, path, content, epoch)


def _add_to_java_store(draft: Draft, wanted: list[Certificate], epoch: int) -> None:
    from apkiln.formats.java_keystore import add_certificates

    try:
        store = add_certificates(draft.read(JAVA_STORE), [(item.alias, item.der) for item in wanted], epoch)
    except ApkilnError as fault:
        raise fault.located(Origin(member=JAVA_STORE)) from None
    _replace(draft, JAVA_STORE, store, epoch)


def _replace(draft: Draft, path: str, content: bytes, epoch: int) -> None:
    place = draft.resolve(path)
    entry = draft.entry(place)
    assert entry is not None, f"{path} was looked up before"
    draft.put(RULE, entry._replace(type=EntryType.FILE, target="", mtime=epoch), content)
