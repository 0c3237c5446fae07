"""PAX extended header records (POSIX pax; limits of spec apk.md §12.3)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.tar_writer import XATTR_KEYWORD

_XATTR = XATTR_KEYWORD.encode()
_NUMBERS = frozenset({b"size", b"uid", b"gid"})
_TEXTS = frozenset({b"path", b"linkpath", b"uname", b"gname"})


class PaxFault(ValueError):
    """A broken rule; `args` = (message, reason).  The tar reader adds the place."""


class PaxOverride(NamedTuple):
    """What the records say about the next entry; None = nothing."""

    path: str | None = None
    linkpath: str | None = None
    uname: str | None = None
    gname: str | None = None
    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime: int | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()
    further: tuple[tuple[str, str], ...] = ()


def records(body: bytes) -> dict[bytes, bytes]:
    """Keyword → value.  PaxFault: `pax-length`, `pax-newline`, `pax-nul`, `pax-duplicate`, `pax-keyword`."""
    found: dict[bytes, bytes] = {}
    position, end = 0, len(body)
    while position < end:
        space = body.find(b" ", position, position + 20)
        digits = body[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise PaxFault("a PAX record has no length", "pax-length")
        after = position + int(digits)
        equals = body.find(b"=", space, after)
        if after > end or equals < 0:
            raise PaxFault("a PAX record has a wrong length", "pax-length")
        if body[after - 1] != 10:
            raise PaxFault("a PAX record does not end with a newline", "pax-newline")
        _add(found, body[space + 1 : equals], body[equals + 1 : after - 1])
        position = after
    return found


def _add(found: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    if not key or b"\0" in key or b"\n" in key:
        raise PaxFault(f"{key!r} is not a PAX keyword", "pax-keyword")
    if key in found:
        raise PaxFault(f"the PAX keyword {key!r} stands twice", "pax-duplicate")
    if b"\0" in value and not key.startswith(_XATTR):
        raise PaxFault(f"the PAX record {key!r} holds a NUL", "pax-nul")
    found[key] = value


def interpret(found: dict[bytes, bytes]) -> PaxOverride:
    """The records as fields.  PaxFault: `pax-number`, `pax-sparse`, `pax-keyword`."""
    named: dict[str, str | int] = {}
    xattrs: list[tuple[str, bytes]] = []
    further: list[tuple[str, str]] = []
    for key, value in found.items():
        if key in _TEXTS:
            named[key.decode()] = value.decode("utf-8", "surrogateescape")
        elif key in _NUMBERS:
            named[key.decode()] = _number(key, value)
        elif key == b"mtime":
            named["mtime"] = _seconds(value)
        elif key.startswith(_XATTR):
            xattrs.append((_keyword(key[len(_XATTR) :]), value))
        elif key.startswith(b"GNU.sparse"):
            raise PaxFault("sparse files are not read", "pax-sparse")
        else:
            further.append((_keyword(key), value.decode("utf-8", "surrogateescape")))
    return PaxOverride(**named, xattrs=tuple(sorted(xattrs)), further=tuple(sorted(further)))  # type: ignore[arg-type]


def _keyword(key: bytes) -> str:
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise PaxFault(f"{key!r} is not a PAX keyword", "pax-keyword")
    return text


def _number(key: bytes, value: bytes) -> int:
    if not value.isdigit() or len(value) > 18:
        raise PaxFault(f"the PAX record {key!r} is not a number", "pax-number")
    return int(value)


def _seconds(value: bytes) -> int:
    """Whole seconds; a fraction is rounded to the nearest, halves upwards, as the peer's tar library does."""
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 15 or (fraction and not fraction.isdigit()):
        raise PaxFault("the PAX record `mtime` is not a time", "pax-number")
    if whole.startswith(b"-"):
        return int(whole) - (fraction.rstrip(b"0") > b"5")
    return int(whole) + (fraction >= b"5")
