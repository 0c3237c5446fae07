"""What a package may hold, as one value (spec apk.md D6, §12.3 "structure")."""

from __future__ import annotations

from apkiln.core.value import value
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_rules import COMPAT as COMPAT_TAR
from apkiln.formats.archive.tar_rules import STRICT as STRICT_TAR
from apkiln.formats.archive.tar_rules import TarRules

_PRIVILEGED = ("security.", "trusted.")


@value
class PackagePolicy:
    """How a package is read.  `STRICT` is the default everywhere; `COMPAT` is for looking at packages, never for using them."""

    rules: TarRules = STRICT_TAR
    allow_devices: bool = False
    """Device nodes and fifos."""
    allow_special_bits: bool = True
    """setuid and setgid on files."""
    privileged_xattrs: tuple[str, ...] = ("security.capability",)
    """Extended attributes of the `security.` and `trusted.` name spaces that are allowed; all others always are."""

    @property
    def tolerant(self) -> bool:
        return self.rules.tolerant

    def refusal(self, entry: Entry) -> str:
        """The reason why `entry` may not be in a package, or ""."""
        kind = entry.type
        if kind is EntryType.FILE and entry.mode & 0o6000 and not self.allow_special_bits:
            return "special-bits-not-allowed"
        if kind in (EntryType.CHARACTER, EntryType.BLOCK, EntryType.FIFO) and not self.allow_devices:
            return "device-not-allowed"
        for name, _ in entry.xattrs:
            if name.startswith(_PRIVILEGED) and name not in self.privileged_xattrs:
                return "xattr-not-allowed"
        return ""


STRICT = PackagePolicy()
UNTRUSTED = PackagePolicy(allow_special_bits=False, privileged_xattrs=())
"""For packages of unknown people: nothing that gives privileges."""
COMPAT = PackagePolicy(rules=COMPAT_TAR)
"""Inspection: what apk 3 accepts, with reports."""
