"""One program of several under a common name: links that packages offer, resolved by priority (spec debian.md §8.1 row 2)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.package_data import absolute_path, check_row, fault, package_data, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RULE = "alternatives"
DIRECTORY = "etc/alternatives"
_TEXTS = ("link", "name", "path")


class Offer(NamedTuple):
    """One program for a name."""

    name: str
    link: str
    """Path of the common name."""
    path: str
    """Path of the program."""
    priority: int
    slaves: tuple[tuple[str, str, str], ...]
    """(link, name, path) of what goes with it."""


def alternatives(draft: Draft) -> None:
    """Rule `alternatives`: for each name the offer of the highest priority whose program is there, the first by path of equal
    ones: `LINK` → `/etc/alternatives/NAME` → program, and the same for what goes with it.

    A link's path that is taken by a package's own file stays as it is, with a notice.  Raises FormatError (`package-data`).
    """
    offers: dict[str, list[Offer]] = {}
    for data in package_data(draft, "alternatives"):
        for row in rows(data, "alternatives", _TEXTS, ("priority",)):
            offer = _offer(row, data.origin)
            offers.setdefault(offer.name, []).append(offer)
    for name in sorted(offers):
        there = [offer for offer in offers[name] if draft.file_at(offer.path)]
        if not there:
            continue
        best = min(there, key=lambda offer: (-offer.priority, offer.path))
        _link(draft, best.link, name, best.path)
        for link, slave, path in best.slaves:
            if draft.file_at(path):
                _link(draft, link, slave, path)


def _offer(row: dict[str, Any], origin: Origin) -> Offer:
    slaves = row.get("slaves", [])
    if not isinstance(slaves, list):
        raise fault("`slaves` is not a list", origin)
    for slave in slaves:
        check_row(slave, _TEXTS, (), origin)
    names = [row["name"], *(slave["name"] for slave in slaves)]
    if any(not name or "/" in name or name in (".", "..") for name in names):
        raise fault("a name of an alternative is not one component of a path", origin)
    return Offer(
        row["name"],
        absolute_path(row["link"], origin),
        absolute_path(row["path"], origin),
        row["priority"],
        tuple((absolute_path(item["link"], origin), item["name"], absolute_path(item["path"], origin)) for item in slaves),
    )


def _link(draft: Draft, link: str, name: str, path: str) -> None:
    place = draft.resolve_parent(link)
    if draft.exists(place):
        draft.notice(f"`/{place}` is a file of its own and does not become a link to `/{path}`")
        return
    middle = draft.resolve_parent(f"{DIRECTORY}/{name}")
    if draft.exists(middle):
        draft.notice(f"`/{middle}` is there already and stays")
        return
    draft.put(RULE, Entry(place, EntryType.SYMLINK, 0o777, target=f"/{DIRECTORY}/{name}"))
    draft.put(RULE, Entry(middle, EntryType.SYMLINK, 0o777, target=f"/{path}"))
