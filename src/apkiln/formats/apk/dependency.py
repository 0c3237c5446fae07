"""The dependency language of apk (spec apk.md §9): `[!]name[@tag][op version]`."""

from __future__ import annotations

import re
from functools import lru_cache

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.apk import version as versions


class Dependency(NamedTuple):
    """One parsed item.  Its canonical text is `str(item)`."""

    name: str
    operator: str = ""
    """"" (any version) or one of `=` `<` `<=` `>` `>=` `~` `<~` `>~` `><` (canonical spellings; `><` = identity pin)."""
    version: str = ""
    """Source text of the version, or of the identity (`Q1…`) for `><`; empty when `operator` is empty."""
    conflict: bool = False
    """True for `!name…`: must not be satisfied."""
    tag: str = ""
    """Repository tag without `@`; only in world and on command lines."""

    def __str__(self) -> str:
        tag = f"@{self.tag}" if self.tag else ""
        return f"{'!' if self.conflict else ''}{self.name}{tag}{self.operator}{self.version}"


_ITEM = pattern(r"(!?)([^@<>=~]*)(?:@([^<>=~]*))?([<>=~]*)(.*)", re.DOTALL)
_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+,:/[]-"
_PACKAGE_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_TAG = pattern(r"[A-Za-z0-9_.-]+")
_OPERATORS = {
    frozenset("="): "=",
    frozenset("<"): "<",
    frozenset("<="): "<=",
    frozenset(">"): ">",
    frozenset(">="): ">=",
    frozenset("~"): "~",
    frozenset("~="): "~",
    frozenset("<~"): "<~",
    frozenset("<~="): "<~",
    frozenset(">~"): ">~",
    frozenset(">~="): ">~",
    frozenset("<>"): "><",
    frozenset("<>="): "",
    frozenset("<>~"): "",
    frozenset("<>~="): "",
}
"""An operator is the set of its characters: apk also reads `==`, `=<`, `<=>` (any) and so on."""

_HASH_LENGTHS = {"Q1": 20, "Q2": 32}
_MEMO = 1 << 16


def is_package_name(text: str) -> bool:
    """Whether `text` may name a package (§9): `[A-Za-z0-9][A-Za-z0-9._+-]*`."""
    return _PACKAGE_NAME.fullmatch(text) is not None


def is_dependency_name(text: str) -> bool:
    """Whether `text` may be asked for or provided: package characters and `, : / [ ]`."""
    return bool(text) and not text.strip(_NAME)


@lru_cache(maxsize=_MEMO)
def _parsed(text: str, lenient: bool) -> Dependency:
    if is_dependency_name(text):
        return Dependency(text)
    matched = _ITEM.fullmatch(text)
    assert matched is not None, "the pattern accepts every text"
    bang, name, tag, operator, version = matched.groups()
    if not name and not (lenient and (bang or operator)):
        raise FormatError(f"`{text}` names nothing", reason="bad-dependency")
    if tag is not None and (lenient or not _TAG.fullmatch(tag)):
        raise FormatError(f"`{text}` has a repository tag where none is allowed", reason="bad-tag")
    if not operator:
        if not lenient:
            _check_name(text, name, "")
        return Dependency(name, conflict=bool(bang), tag=tag or "")
    canonical = _OPERATORS[frozenset(operator)]
    _check_version(text, canonical, version, lenient)
    if not lenient:
        _check_name(text, name, operator)
    return Dependency(name, canonical, version if canonical else "", bool(bang), tag or "")


def _check_version(text: str, operator: str, version: str, lenient: bool) -> None:
    if operator == "><" and version:
        if identity_digest(version) is None and not lenient:
            hint = "write `Q1` and 28 base64 digits"
            raise FormatError(f"`{version}` in `{text}` is no identity", reason="bad-identity", hint=hint)
    elif not version:
        raise FormatError(f"`{text}` ends with its operator: a version is missing", reason="bad-version")
    elif not versions.is_valid(version):
        raise FormatError(f"`{version}` in `{text}` is no version", reason="bad-version")


def _check_name(text: str, name: str, operator: str) -> None:
    if is_dependency_name(name):
        return
    if name.endswith("!") and operator:
        bare = name[:-1]
        hint = f"`!=` is not an operator; use the two items `{bare}` and `!{bare}{text[len(name) :]}`"
    else:
        hint = "names consist of letters, digits and `._+-,:/[]`"
    raise FormatError(f"`{name}` is no package or virtual name", reason="bad-name", hint=hint)


def parse_dependency(text: str, *, lenient: bool = False) -> Dependency:
    """Read one item.  FormatError `bad-dependency`, `bad-name`, `bad-version`, `bad-identity` or `bad-tag`.

    Strict (what users write): names keep to the allowed characters, a tag is allowed.  `lenient` (items of an index): any
    name up to the operator is taken, as apk does (`a!=1` asks for a package `a!`, `=1` for one without a name), so is any
    identity, and there are no tags.  Memoised.
    """
    return _parsed(text, lenient)


def parse_dependencies(text: str, *, lenient: bool = False, origin: Origin | None = None) -> tuple[Dependency, ...]:
    """Read items separated by spaces or line ends, in order.  All faults are raised together, located by column and line
    within `text` (added to `origin`'s own when given)."""
    if lenient and origin is None:
        return tuple([_parsed(item, True) for item in text.split()])
    collector = FaultCollector.empty()
    items: list[Dependency] = []
    for matched in re.finditer(r"\S+", text):
        try:
            items.append(_parsed(matched.group(), lenient))
        except FormatError as fault:
            place = _place(text, matched.start(), origin or Origin())
            collector.add(FormatError(fault.message, reason=fault.reason, origin=place, hint=fault.hint))
    collector.raise_if_any()
    return tuple(items)


def kept_dependencies(text: str) -> tuple[Dependency, ...]:
    """What apk keeps of a list with a bad item, for the names it speaks of: items with an invalid version, too, and nothing
    from the first item on that has a tag or lacks its version."""
    kept: list[Dependency] = []
    for item in text.split():
        try:
            kept.append(_parsed(item, True))
        except FormatError:
            matched = _ITEM.fullmatch(item)
            assert matched is not None, "the pattern accepts every text"
            bang, name, tag, operator, version = matched.groups()
            if tag is not None or not version:
                break
            kept.append(Dependency(name, _OPERATORS[frozenset(operator)], version, bool(bang)))
    return tuple(kept)


def _place(text: str, position: int, origin: Origin) -> Origin:
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1)
    first = max(origin.column, 1) if line == 0 else 1
    return Origin(
        origin.source, max(origin.line, 1) + line, first + column, origin.member, origin.offset, origin.package, origin.digest
    )


@lru_cache(maxsize=_MEMO)
def provided(text: str, lenient: bool = False) -> tuple[str, str]:
    """Name and version of one `p` item; the version is empty when it states none.

    An invalid version is kept: such a provide still matches by its valid prefix (spec §19).  `lenient`, as apk reads them:
    a `!` and the kind of operator are passed over, `!x` and `x>1` give `x` and `x=1`, and so does the lack of a name, `=1`
    gives the empty name at 1.  FormatError `bad-provide` for anything but `name` and `name=version`; when lenient, for a tag
    and an operator without a version: apk reads no further in such a list.
    """
    matched = _ITEM.fullmatch(text)
    assert matched is not None, "the pattern accepts every text"
    bang, name, tag, operator, version = matched.groups()
    unusual = bool(bang) or operator not in ("", "=")
    nothing = not name and not (lenient and (bang or operator))
    if nothing or tag is not None or (operator and not version) or (unusual and not lenient):
        raise FormatError(f"`{text}` provides nothing", reason="bad-provide", hint="write `name` or `name=version`")
    return name, version


def hits(dependency: Dependency, version: str, identity: bytes = b"") -> bool:
    """Whether a provide of the item's name at `version` (empty = unversioned), by a package with `identity`, is what the
    item speaks of.  The `!` is not looked at: a hit of a conflict is what must not be."""
    if dependency.operator == "":
        return True
    if dependency.operator == "><":
        digest = identity_digest(dependency.version)
        return digest is not None and bool(identity) and identity[: len(digest)] == digest[: len(identity)]
    return versions.matches(version, dependency.operator, dependency.version)


def satisfies(dependency: Dependency, provided_name: str, provided_version: str, identity: bytes = b"") -> bool:
    """Whether the item holds in the face of this one provide: a positive item needs a hit, a `!` item no hit (§9).

    An unversioned provide is lower than every version: it satisfies `x`, `x<5`, `x<=5` and never `x>=0`, `x=…`, `x~…`.
    """
    if provided_name != dependency.name:
        return dependency.conflict
    return hits(dependency, provided_version, identity) != dependency.conflict


@lru_cache(maxsize=_MEMO)
def identity_digest(text: str) -> bytes | None:
    """Raw digest of `Q1`/`Q2` + base64 or `X1` + hex; None when `text` is no identity of at least 20 bytes."""
    kind, body = text[:2], text[2:]
    try:
        from base64 import b64decode

        raw = bytes.fromhex(body) if kind == "X1" else b64decode(body, validate=True)
    except ValueError:
        return None
    length = 20 if kind == "X1" else _HASH_LENGTHS.get(kind)
    return raw if len(raw) == length else None
