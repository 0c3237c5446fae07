"""Where each page is: links for templates, and the pieces of a path back again.  Pure.

    /                                             every repository
    /-/style.css, /-/icon.svg                     what pages look like
    /REPOSITORY/                                  one repository
    /REPOSITORY/-/packages[/NAME[/VERSION/ARCH[/files]]]
    /REPOSITORY/-/generations[/N], /-/differences?from=&to=
    /REPOSITORY/-/transactions[/N], /-/incidents, /-/withdrawn, /-/keys

No repository can be called `-`, and no architecture, so nothing a client fetches is hidden by a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode

from apkiln.repository.ledger.packages import Key

MARK = "-"
"""The first part of the path of every page below a repository."""
_LITERAL = "+~:"


def page(repository: str, *parts: object, query: Mapping[str, object] | None = None) -> str:
    """A page of a repository; without parts the repository's own.  Values of the query that are empty or 0 are left out."""
    path = "/".join(quote(str(part), safe=_LITERAL) for part in parts)
    place = f"/{quote(repository)}/{MARK}/{path}" if path else f"/{quote(repository)}/"
    found = {name: value for name, value in (query or {}).items() if value}
    return f"{place}?{urlencode(found)}" if found else place


def version(repository: str, key: Key) -> str:
    """The page of one package file."""
    return page(repository, "packages", key.name, key.version, key.arch)


def file(repository: str, arch: str, name: str, view: str = "") -> str:
    """What a client fetches, of the current generation or of a view such as `@5`."""
    return f"/{quote(repository)}{quote(view, safe='@')}/{quote(arch)}/{quote(name, safe=_LITERAL)}"


def parts(path: str) -> tuple[str, ...] | None:
    """The parts of a path below a repository as it came (still quoted), without the mark; None for what is no page."""
    if path in ("", MARK, f"{MARK}/"):
        return ()
    begin, *rest = path.split("/")
    found = tuple(unquote(part, errors="replace") for part in rest)
    if begin != MARK or any(part in ("", ".", "..") or "\0" in part for part in found):
        return None
    return found
