"""`/etc/apkiln/manifest.json` read back: the paths that rules of this product generated (see `image.generated.manifest`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import EntryType
from apkiln.image.audit.expectation import Expectation
from apkiln.image.audit.findings import Violation

PATH = "etc/apkiln/manifest.json"
OWN_RULE = "apkiln-manifest"
VERSION = 1
_TYPES = {kind.name.lower(): kind for kind in EntryType}

_ANYWHERE = ""
RULES: dict[str, str] = {
    "account-files": r"etc/(passwd|group|shadow|gshadow)",
    "alternatives": _ANYWHERE,
    "apk-arch": r"etc/apk/arch",
    "apk-database": r"((usr/)?lib/apk/db|usr/share/apkiln/database)/(installed|triggers|lock|scripts\.tar(\.gz)?)",
    "apk-database-link": r"lib/apk",
    "apk-keys": r"etc/apk/keys/[^/]+",
    "apk-repositories": r"etc/apk/repositories",
    "apk-world": r"etc/apk/world",
    "apkiln-lock": r"etc/apkiln/lock\.json",
    "apkiln-manifest": r"etc/apkiln/manifest\.json",
    "base-directories": r"^$",
    "base-image": _ANYWHERE,
    "busybox-links": _ANYWHERE,
    "certificate-bundle": r"etc/ssl/certs/ca-certificates\.crt|etc/ssl/cert\.pem|etc/pki/.*",
    "certificates": r"usr/local/share/ca-certificates/[^/]+\.crt",
    "checksum-sidecars": r"(.*/)?\.[^/]+\.sha256",
    "configuration-copy": r"etc/apko\.json",
    "device-nodes": r"dev/(console|null|random|urandom|zero)",
    "home-directories": r"^$",
    "image-sbom": r"var/lib/db/sbom/apkiln-image\.spdx\.json",
    "java-trust-store": r"etc/ssl/certs/java/cacerts",
    "library-cache": r"etc/ld\.so\.cache",
    "os-release": r"(etc|usr/lib)/os-release",
    "package-accounts": r"etc/(passwd|group)",
    "package-scripts": _ANYWHERE,
    "paths-directive": _ANYWHERE,
    "runtime-keys": r"etc/apk/keys/[^/]+",
    "service-tree": r"sv/[^/]+/run",
    "systemd-units": r"etc/systemd/system/.+",
    "tmpfiles": _ANYWHERE,
}
"""Every rule of this product, with the paths it may generate apart from directories (a full-match pattern; "" = any).  A
manifest cannot excuse a stray file by naming another rule for it, or a rule that does not exist.  What `base-image` answers
for must lie in the layers that the manifest says are the base's."""
BASE_RULE = "base-image"
_ONLY_LINKS = frozenset({"alternatives", "busybox-links"})
"""Rules that make nothing but symlinks and the directories these need: where, a package's list says."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """What the manifest says, by path."""

    generated: dict[str, Expectation]
    overrides: dict[str, Expectation]
    """Final state of paths that a package ships and a rule changed; `answers` is the rule."""
    overridden: dict[str, str]
    """Path → name of the package that ships it."""
    violations: tuple[Violation, ...]
    """`unknown-rule`, `rule-domain`, `generated-twice`."""
    base_layers: tuple[str, ...] = ()
    """diffIDs of the layers of the base image."""


def read_accounting(content: bytes) -> Accounting:
    """Decode the manifest.  Raises FormatError `bad-accounting` for anything that is not exactly its shape."""
    try:
        document = json.loads(content)
        if document["version"] != VERSION:
            raise _bad(f"its version is {document['version']!r}, this program knows {VERSION}")
        rows = [(group["rule"], entry) for group in document["rules"] for entry in group["entries"]]
        violations: list[Violation] = []
        generated = _by_path(rows, violations)
        overrides = _by_path([(row["by"], row) for row in document["overrides"]], violations, check_domain=False)
        overridden = {row["path"]: str(row["package"]) for row in document["overrides"]}
        base_layers = tuple(str(text) for text in document.get("base", {"layers": []})["layers"])
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise _bad(f"{type(cause).__name__}: {cause}") from cause
    return Accounting(generated, overrides, overridden, tuple(violations), base_layers)


def _by_path(
    rows: list[tuple[str, dict[str, Any]]], violations: list[Violation], *, check_domain: bool = True
) -> dict[str, Expectation]:
    found: dict[str, Expectation] = {}
    for rule, row in rows:
        path = row["path"]
        if path in found:
            violations.append(Violation("generated-twice", path, found[path].answers, rule))
        found[path] = _expectation(rule, row)
        pattern = RULES.get(rule)
        if pattern is None:
            violations.append(Violation("unknown-rule", path, "a rule of this program", rule))
        elif check_domain and not _in_domain(rule, pattern, path, row["type"]):
            violations.append(Violation("rule-domain", path, f"a path of `{rule}`", path))
    return found


def _in_domain(rule: str, pattern: str, path: str, kind: str) -> bool:
    if kind == "directory":
        return True
    if rule in _ONLY_LINKS and kind != "symlink":
        return False
    return not pattern or re.fullmatch(pattern, path) is not None


def _expectation(rule: str, row: dict[str, Any]) -> Expectation:
    kind = _TYPES[row["type"]]
    device = row.get("device")
    return Expectation(
        rule,
        # A hard link is looked at as the file it is a name of.
        type=EntryType.FILE if kind is EntryType.HARDLINK else kind,
        mode=int(row["mode"], 8),
        uid=int(row["uid"]),
        gid=int(row["gid"]),
        size=row.get("size"),
        sha256=_sha256(rule, row, kind),
        target=row["target"] if kind is EntryType.SYMLINK else None,
        joined_with=row["target"] if kind is EntryType.HARDLINK else None,
        device=_device(device) if device is not None else None,
        xattrs=tuple(sorted((name, bytes.fromhex(value)) for name, value in row.get("xattrs", {}).items())),
    )


def _sha256(rule: str, row: dict[str, Any], kind: EntryType) -> bytes | None:
    """The digest of a file; only the manifest itself cannot state one."""
    if kind is not EntryType.FILE or (rule == OWN_RULE and row["path"] == PATH):
        return None
    return bytes.fromhex(row["sha256"])


def _device(text: str) -> tuple[int, int]:
    major, _colon, minor = text.partition(":")
    return int(major), int(minor)


def _bad(why: str) -> FormatError:
    return FormatError(f"the accounting of the image cannot be used: {why}", reason="bad-accounting", origin=Origin(member=PATH))
