"""What packages ask of the image that they are put into, as JSON files of their own below `/usr/share/apkiln`.

    accounts/PACKAGE.json       {"groups": [{"name", "gid"} …], "users": [{"name", "uid", "gid", "home", "shell", "comment"} …],
                                 "members": [{"user", "group"} …]}
    alternatives/PACKAGE.json   {"alternatives": [{"link", "name", "path", "priority", "slaves": [{"link", "name", "path"} …]} …]}
    image-steps/PACKAGE.json    {"steps": [NAME …]}

Packages that are imported from other distributions carry them instead of scripts (spec debian.md §8.1).  A package can ship
any file anyway, so this gives it no power that it does not have; what it says is still checked like any other input.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from apkiln.core.errors import FormatError
from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.image.generated.draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "usr/share/apkiln"
MAXIMUM_FILE = MIB
_LARGEST_ID = 65533


class PackageData(NamedTuple):
    """One file."""

    package: str
    """Name of the package that ships it."""
    origin: Origin
    value: dict[str, Any]


def package_data(draft: Draft, kind: str) -> Iterator[PackageData]:
    """The files of one kind, by path.  Raises FormatError (`package-data`) with package and path."""
    directory = f"{DIRECTORY}/{kind}"
    if not draft.exists(directory):
        return
    for path in draft.children(directory):
        if not path.endswith(".json") or not draft.file_at(path):
            continue
        package = draft.packages.package(path)
        origin = Origin(member=path, package=package)
        content = draft.read(path)
        try:
            value = json.loads(content) if len(content) <= MAXIMUM_FILE else None
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise fault("the file is not a JSON object", origin)
        yield PackageData(package, origin, value)


def rows(data: PackageData, key: str, texts: tuple[str, ...], numbers: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The objects of a list, with these fields checked.  Raises FormatError (`package-data`)."""
    found = data.value.get(key, [])
    if not isinstance(found, list):
        raise fault(f"`{key}` is not a list", data.origin)
    for row in found:
        check_row(row, texts, numbers, data.origin)
    return found


def check_row(row: Any, texts: tuple[str, ...], numbers: tuple[str, ...], origin: Origin) -> None:
    """Fields of one object: texts without control characters and colons, whole numbers."""
    if not isinstance(row, dict):
        raise fault("a row is not an object", origin)
    for name in texts:
        text = row.get(name)
        if not isinstance(text, str) or paths.CONTROL.search(text) or ":" in text:
            raise fault(f"`{name}` is not a plain text", origin)
    for name in numbers:
        if type(row.get(name)) is not int:
            raise fault(f"`{name}` is not a whole number", origin)


def absolute_path(text: str, origin: Origin) -> str:
    """An absolute path as the tree has it.  Raises FormatError (`package-data`)."""
    if not text.startswith("/") or paths.fault(text[1:]):
        raise fault(f"`{text}` is not an absolute path", origin)
    return text[1:]


def check_number(number: int, origin: Origin) -> int:
    """A number of a user or group that a package may make: neither root nor the last two, which have a meaning."""
    if not 1 <= number <= _LARGEST_ID:
        raise fault(f"{number} is no number for an account of a package", origin)
    return number


def fault(message: str, origin: Origin) -> FormatError:
    return FormatError(message, reason="package-data", origin=origin)
