"""Image references: `[registry/]repository[:tag][@digest]`."""

from __future__ import annotations

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_NAME = pattern(rf"(?:({_DOMAIN})/)?({_PART}(?:/{_PART})*)")
_TAG = pattern(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST_NAME = 255


class Reference(NamedTuple):
    """Where an image is, or is to be."""

    name: str
    """Registry (if written) and repository, without tag: `registry.example.com:5000/team/app`."""
    tag: str = ""
    digest: Digest | None = None

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Read a reference; UsageError `bad-reference` says which part is wrong.  No default tag or registry is filled in."""
    rest, at, digest_text = text.partition("@")
    name, tag = rest, ""
    if ":" in rest.rpartition("/")[2]:
        name, _, tag = rest.rpartition(":")
        if not _TAG.fullmatch(tag):
            hint = "tags are up to 128 letters, digits, `_`, `.` and `-`, and begin with neither `.` nor `-`"
            raise UsageError(f"`{tag}` in `{text}` is no tag", reason="bad-reference", hint=hint)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        hint = "write `repository:tag` or `registry.example.com/repository:tag`, the repository in lower case"
        raise UsageError(f"`{text}` is no image reference", reason="bad-reference", hint=hint)
    return Reference(name, tag, _digest(text, digest_text) if at else None)


def _digest(text: str, digest: str) -> Digest:
    try:
        return Digest.parse(digest)
    except FormatError as error:
        raise UsageError(f"`{text}` is no image reference: {error.message}", reason="bad-reference", hint=error.hint) from None
