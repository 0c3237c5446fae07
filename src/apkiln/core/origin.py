"""Where a fault lies: a file position, an archive member, a package, a URL."""

from __future__ import annotations

from apkiln.core.value import replace, value


@value
class Origin:
    """The place an error or a value comes from.  Every field may be absent; the text form shows those that are known."""

    source: str = ""
    """File path, URL or other name of the document (never with credentials)."""
    line: int = 0
    """Line, from 1; 0 = unknown."""
    column: int = 0
    """Column in characters, from 1; 0 = unknown."""
    member: str = ""
    """Archive section or entry, for example `control/.PKGINFO` or `data/usr/bin/x`."""
    offset: int = -1
    """Byte offset inside the source or member; -1 = unknown."""
    package: str = ""
    """`name-version` of the package concerned."""
    digest: str = ""
    """Digest, in its text form, of the object concerned."""

    def __str__(self) -> str:
        place = self.source
        if self.line:
            place += f":{self.line}" + (f":{self.column}" if self.column else "")
        parts = [place] if place else []
        if self.member:
            parts.append(self.member)
        if self.offset >= 0:
            parts.append(f"byte {self.offset}")
        if self.package:
            parts.append(f"package {self.package}")
        if self.digest:
            parts.append(self.digest)
        return ", ".join(parts)

    def filled(self, other: Origin) -> Origin:
        """This origin with its unknown fields taken from `other`; used when a caller knows more than the callee."""
        return replace(
            self,
            source=self.source or other.source,
            line=self.line or (other.line if not self.source else 0),
            column=self.column or (other.column if not self.source else 0),
            member=self.member or other.member,
            offset=self.offset if self.offset >= 0 else other.offset,
            package=self.package or other.package,
            digest=self.digest or other.digest,
        )
