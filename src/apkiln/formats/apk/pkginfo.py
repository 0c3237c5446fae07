"""`.PKGINFO`: what a v2 package says of itself (spec apk.md §2.3, §12.3 "control"; order of writing: package.md §10.1)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.apk import dependency, version
from apkiln.formats.apk.contents import PackageInfo

_NUMBERS = ("size", "builddate", "provider_priority", "replaces_priority")
_SINGLE = frozenset(
    {"pkgname", "pkgver", "arch", "pkgdesc", "url", "origin", "maintainer", "commit", "triggers", "datahash", *_NUMBERS}
)
_REQUIRED = ("pkgname", "pkgver", "arch")
_CONTROL = pattern("[\x00-\x08\x0a-\x1f\x7f]")
_CONTROL_OR_TAB = pattern("[\x00-\x1f\x7f]")
_DATA_HASH = pattern("[0-9a-f]{64}")
_VENDORED = "vendored = "
_PLACE = "control/.PKGINFO"


def parse(content: bytes, *, tolerant: bool = False) -> PackageInfo:
    """Read `.PKGINFO`; every fault of the file is raised together, each with its line.

    Several `license` lines become one expression too.  Keys may come in any order; unknown ones are ignored.  Reasons:
    `pkginfo-not-utf8`, `pkginfo-control-character`, `pkginfo-missing-key`, `pkginfo-repeated-key`, `pkginfo-number`,
    `pkginfo-name`, `pkginfo-version`, `pkginfo-arch`, `pkginfo-data-hash`.  `tolerant`: of a repeated key the last counts,
    versions need not be valid, and `datahash` may be absent.
    """
    faults = FaultCollector.empty()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise _fault("the file is not UTF-8", "pkginfo-not-utf8", 1 + content.count(b"\n", 0, error.start)) from None
    values, comments, lines = _collect(text, faults, tolerant)
    _check(values, lines, faults, tolerant)
    faults.raise_if_any()
    return _info(values, tuple(comments))


def _info(values: dict[str, list[str]], comments: tuple[str, ...]) -> PackageInfo:
    def last(key: str) -> str:
        return values.get(key, [""])[-1]

    def items(key: str) -> tuple[str, ...]:
        return tuple(" ".join(values.get(key, ())).split())

    licences = tuple(item for item in values.get("license", ()) if item)
    return PackageInfo(
        name=last("pkgname"),
        version=last("pkgver"),
        arch=last("arch"),
        description=last("pkgdesc"),
        url=last("url"),
        license=joined_licences(licences),
        origin=last("origin"),
        maintainer=last("maintainer"),
        commit=last("commit"),
        build_date=int(last("builddate") or 0),
        installed_size=int(last("size") or 0),
        provider_priority=int(last("provider_priority") or 0),
        depends=items("depend"),
        provides=items("provides"),
        install_if=items("install_if"),
        replaces=items("replaces"),
        replaces_priority=int(last("replaces_priority") or 0),
        triggers=tuple(last("triggers").split()),
        data_hash=last("datahash"),
        packager=last("packager"),
        comments=comments,
        licenses=licences if len(licences) > 1 else (),
    )


def joined_licences(licences: tuple[str, ...]) -> str:
    """All of them as one expression.  Alternatives get parentheses, or joining changes them."""
    several = len(licences) > 1
    return " AND ".join(f"({text})" if several and " OR " in text else text for text in licences)


def _collect(text: str, faults: FaultCollector, tolerant: bool) -> tuple[dict[str, list[str]], list[str], dict[str, int]]:
    """Values by key, comments, and the line where each key stands last."""
    values: dict[str, list[str]] = {}
    comments: list[str] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if _CONTROL.search(line):
            faults.add(_fault("the line holds a control character", "pkginfo-control-character", number))
        if line.startswith("#"):
            comments.append(line[1:].removeprefix(" "))
            continue
        key, separator, value = line.partition(" = ")
        if not separator:
            continue
        if key in values and key in _SINGLE and not tolerant:
            faults.add(_fault(f"`{key}` stands twice", "pkginfo-repeated-key", number))
        values.setdefault(key, []).append(value)
        lines[key] = number
    return values, comments, lines


def _check(values: dict[str, list[str]], lines: dict[str, int], faults: FaultCollector, tolerant: bool) -> None:
    for key in (*_REQUIRED, *(() if tolerant else ("datahash",))):
        if not values.get(key, [""])[-1]:
            faults.add(_fault(f"`{key}` is missing", "pkginfo-missing-key", 0))
    for key in _NUMBERS:
        if key in values and not _is_number(values[key][-1]):
            faults.add(_fault(f"`{key}` is not a number below 2^63", "pkginfo-number", lines[key]))
    for key, reason, good in (
        ("pkgname", "pkginfo-name", is_safe_name),
        ("arch", "pkginfo-arch", is_safe_name),
        ("pkgver", "pkginfo-version", is_safe_name if tolerant else _is_version),
        ("datahash", "pkginfo-data-hash", _DATA_HASH.fullmatch),
    ):
        text = values.get(key, [""])[-1]
        if text and not good(text):
            faults.add(_fault(f"{text!r} cannot be a `{key}`", reason, lines[key]))


def is_safe_name(text: str) -> bool:
    """Whether `text` may become a component of a path or URL: no `/`, space or control character, no leading `.` or `-`."""
    return bool(text) and text[0] not in ".-" and "/" not in text and " " not in text and not _CONTROL_OR_TAB.search(text)


def _is_version(text: str) -> bool:
    return version.is_valid(text) and is_safe_name(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 1 << 63


def _fault(message: str, reason: str, line: int) -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(member=_PLACE, line=line))


def write(info: PackageInfo) -> bytes:
    """The file, lines in the order of package.md §10.1; lists are written as they stand.

    Refuses, all faults together, what our packages must not say (spec apk.md §12.2): control characters or outer spaces in a
    field (`pkginfo-field`), a name, version, architecture or item against the strict grammar (`pkginfo-name`,
    `pkginfo-version`, `pkginfo-arch`, `pkginfo-dependency`), numbers over 18 digits in a version (`pkginfo-version`), an own
    name among `provides` (`pkginfo-own-name`), a number out of range (`pkginfo-number`).
    """
    faults = FaultCollector.empty()
    written = list(lines(info))
    for line in written:
        if _CONTROL_OR_TAB.search(line) or (" = " in line and line.endswith(" ") and not line.endswith(" = ")):
            faults.add(FormatError(f"{line!r} cannot be a line", reason="pkginfo-field", origin=Origin(member=_PLACE)))
    for fault in _faults_of(info):
        faults.add(fault)
    faults.raise_if_any()
    return "\n".join([*written, ""]).encode()


def lines(info: PackageInfo) -> Iterator[str]:
    """The lines as `write` orders them, unchecked."""
    yield from (f"# {comment}" for comment in info.comments if not comment.startswith(_VENDORED))
    yield f"pkgname = {info.name}"
    yield f"pkgver = {info.version}"
    yield f"arch = {info.arch}"
    yield f"size = {info.installed_size}"
    yield f"origin = {info.origin}"
    yield f"pkgdesc = {info.description}"
    yield f"url = {info.url}"
    yield f"commit = {info.commit}"
    for key, value in (("maintainer", info.maintainer), ("packager", info.packager), ("builddate", info.build_date)):
        if value:
            yield f"{key} = {value}"
    yield from (f"license = {item}" for item in info.licenses or (info.license,) if item)
    yield from (f"depend = {item}" for item in info.depends)
    yield from (f"provides = {item}" for item in info.provides)
    yield from _joined("install_if", info.install_if)
    yield from (f"replaces = {item}" for item in info.replaces)
    yield from (f"# {comment}" for comment in info.comments if comment.startswith(_VENDORED))
    for key, number in (("provider_priority", info.provider_priority), ("replaces_priority", info.replaces_priority)):
        if number:
            yield f"{key} = {number}"
    yield from _joined("triggers", info.triggers)
    if info.data_hash:
        yield f"datahash = {info.data_hash}"


def _joined(key: str, items: tuple[str, ...]) -> Iterator[str]:
    if items:
        yield f"{key} = {' '.join(items)}"


def _faults_of(info: PackageInfo) -> Iterator[FormatError]:
    if not dependency.is_package_name(info.name):
        yield _fault(f"{info.name!r} is not a package name", "pkginfo-name", 0)
    if not version.is_valid(info.version) or version.has_wide_number(info.version):
        yield _fault(f"{info.version!r} is not a version", "pkginfo-version", 0)
    if not is_safe_name(info.arch):
        yield _fault(f"{info.arch!r} is not an architecture", "pkginfo-arch", 0)
    if any(not 0 <= number < 1 << 63 for number in (info.installed_size, info.build_date)):
        yield _fault("a number is out of range", "pkginfo-number", 0)
    if any(not 0 <= number < 1 << 32 for number in (info.provider_priority, info.replaces_priority)):
        yield _fault("a priority is out of range", "pkginfo-number", 0)
    for item in (*info.depends, *info.install_if, *info.replaces):
        yield from _item_faults(item)
    for item in info.provides:
        yield from _provide_faults(item, info.name)


def _item_faults(item: str) -> Iterator[FormatError]:
    try:
        parsed = dependency.parse_dependency(item)
    except FormatError as error:
        yield _fault(f"{item!r}: {error.message}", "pkginfo-dependency", 0)
        return
    if parsed.operator != "><" and version.has_wide_number(parsed.version):
        yield _fault(f"{item!r} holds a number over 18 digits", "pkginfo-dependency", 0)


def _provide_faults(item: str, own_name: str) -> Iterator[FormatError]:
    try:
        name, stated = dependency.provided(item)
    except FormatError as error:
        yield _fault(f"{item!r}: {error.message}", "pkginfo-dependency", 0)
        return
    if not dependency.is_dependency_name(name) or (stated and not version.is_valid(stated)) or version.has_wide_number(stated):
        yield _fault(f"{item!r} is not a name with a version", "pkginfo-dependency", 0)
    elif name == own_name:
        yield _fault(f"`{own_name}` provides its own name", "pkginfo-own-name", 0)
