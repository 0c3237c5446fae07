"""Identities in text, and the comparison of a package with the record that promised it (spec apk.md §2.2, §12.1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk import dependency
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.control import ControlSection
from apkiln.formats.apk.records import IndexRecord


class _Difference(NamedTuple):
    field: str
    package: str
    record: str


def identity_text(identity: bytes) -> str:
    """`Q1` and base64 of a SHA-1, `Q2` and base64 of a SHA-256."""
    return ("Q1" if len(identity) == 20 else "Q2") + b64encode(identity).decode()


def check_control(control: ControlSection, expected: IndexRecord | None) -> None:
    """Compare what is known before the payload.

    VerificationError: `identity-mismatch`; `record-mismatch`, whose details list every field that differs.  A package
    `noarch` may be listed under the architecture of its index (`--rewrite-arch`).
    """
    if expected is None:
        return
    if control.identity != expected.identity[:20]:
        message = f"the package is {identity_text(control.identity)}, the index promised {identity_text(expected.identity)}"
        raise VerificationError(message, reason="identity-mismatch", origin=Origin(member="control"))
    differences = list(_differences(control.info, expected))
    if differences:
        names = ", ".join(f"`{item.field}`" for item in differences)
        details = [f"{item.field}: package {item.package!r}, index {item.record!r}" for item in differences]
        raise VerificationError(
            f"`.PKGINFO` and the index differ in {names}",
            reason="record-mismatch",
            origin=Origin(member="control/.PKGINFO"),
            details=details,
        )


def check_size(size: int, expected: IndexRecord | None) -> None:
    """VerificationError `size-mismatch` when the file is not as long as the index promised."""
    if expected is not None and size != expected.size:
        raise VerificationError(f"the package has {size} bytes, the index promised {expected.size}", reason="size-mismatch")


def _differences(info: PackageInfo, record: IndexRecord) -> Iterator[_Difference]:
    for field in ("name", "version"):
        if getattr(info, field) != getattr(record, field):
            yield _Difference(field, getattr(info, field), getattr(record, field))
    if info.arch != record.arch and info.arch != "noarch":
        yield _Difference("arch", info.arch, record.arch)
    for field in ("depends", "provides", "install_if"):
        items: tuple[str, ...] = getattr(info, field)
        listed: str = getattr(record, field)
        if items != tuple(listed.split(" ")) and _canonical(items) != _canonical(listed.split()):
            yield _Difference(field, " ".join(items), listed)


def _canonical(items: tuple[str, ...] | list[str]) -> list[str]:
    """Items in their one spelling, sorted, each once: the order has no meaning, and apk spells `a=>1` as `a>=1`."""
    return sorted({_spelling(item) for item in items})


def _spelling(item: str) -> str:
    try:
        return str(dependency.parse_dependency(item, lenient=True))
    except FormatError:
        return item
