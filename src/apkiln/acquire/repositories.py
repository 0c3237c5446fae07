"""Repository lines as values, and the addresses of their indexes and packages (spec apk.md §5).

The lines are those of image definitions and command lines, where a path may be relative; `formats.apk.repositories` reads
and writes `/etc/apk/repositories`, where it may not.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from apkiln.core.errors import ApkilnError, FaultCollector, UsageError
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.secret import Secret, redact_url
from apkiln.core.value import replace, value
from apkiln.formats.apk.records import IndexRecord
from apkiln.system.urls import endpoint_of, is_http, local_path

_COMPONENT = pattern(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")


class Layout(Enum):
    """Where the index stands."""

    DIRECTORY = "v2"
    """`<base>/<arch>/APKINDEX.tar.gz`."""
    INDEX = "ndx"
    """The base is the index itself, the packages lie beside it."""


@value
class Trust:
    """What may be left out for one repository."""

    allow_unsigned: bool = False
    """An index without a good signature is taken."""
    allow_sha1: bool = True
    """A signature over SHA-1 counts (the only one that indexes of Alpine up to now carry)."""


NO_SECRET = Secret("")
STRICT = Trust()
UNSIGNED = Trust(allow_unsigned=True)


@value
class Repository:
    """One repository of a run."""

    url: str
    """Base without credentials and trailing slash, as the user wrote it: what may be shown and written."""
    tag: str = ""
    """Without `@`; empty = untagged."""
    number: int = 0
    """Place in the list of repositories; the lower one wins ties (§10.4)."""
    line: str = ""
    """Source text without credentials."""
    layout: Layout = Layout.DIRECTORY
    trust: Trust = STRICT
    location: Secret = NO_SECRET
    """The base with its credentials, for fetching."""

    @property
    def is_local(self) -> bool:
        return not is_http(self.url)

    def index_location(self, arch: str) -> str:
        """Where to fetch the index of `arch`; may hold credentials, never show it."""
        return self._base if self.layout is Layout.INDEX else f"{self._base}/{arch}/APKINDEX.tar.gz"

    def index_url(self, arch: str) -> str:
        """The same address for people."""
        return redact_url(self.index_location(arch))

    def generation_location(self, file: str) -> str:
        """Where the documents of the repository's generation are; may hold credentials."""
        return f"{self._base}/{file}"

    def frozen_location(self, file: str, generation: int) -> str:
        """A document of one generation, where a repository keeps them; may hold credentials."""
        return f"{self._base}@{generation}/{file}"

    def frozen_index_location(self, arch: str, generation: int) -> str:
        """The index of one generation, where a repository keeps them; may hold credentials."""
        return f"{self._base}@{generation}/{arch}/APKINDEX.tar.gz"

    def package_locations(self, record: IndexRecord, arch: str) -> tuple[str, ...]:
        """Where a package may be, best first: under the architecture the record itself names, as apk does, then under
        that of the index, as apko does; the two differ for `noarch` only (§5).  May hold credentials."""
        name = f"{record.name}-{record.version}.apk"
        if self.layout is Layout.INDEX:
            return (f"{self._base.rpartition('/')[0]}/{name}",)
        architectures = dict.fromkeys((record.arch, arch or record.arch))
        return tuple(f"{self._base}/{part}/{name}" for part in architectures if part)

    @property
    def _base(self) -> str:
        return self.location.reveal() or self.url


def parse_repositories(lines: Iterable[str], *, first: int = 0, trust: Trust = STRICT) -> tuple[Repository, ...]:
    """`[ndx|v2] [@tag] URL-or-path [component…]`, one a line, in order of preference; numbers count from `first`.

    Relative paths are allowed, as in image definitions and on the command line.  Empty lines and `#` comments are
    skipped; components multiply a line.  All faults at once: UsageError `bad-repository` (with the number of the line),
    `unsupported-repository` (v3).
    """
    faults = FaultCollector.empty()
    found: list[Repository] = []
    for row, text in enumerate(lines, start=1):
        try:
            for repository in _parse_line(text, trust):
                found.append(replace(repository, number=first + len(found)))
        except ApkilnError as fault:
            faults.add(fault.located(Origin(source=redact_url(text.strip()), line=row)))
    faults.raise_if_any()
    return tuple(found)


def _parse_line(text: str, trust: Trust) -> list[Repository]:
    words = text.split()
    if not words or words[0].startswith("#"):
        return []
    kind = words.pop(0) if len(words) > 1 and words[0] in {"ndx", "v2", "v3"} else ""
    tag = words.pop(0)[1:] if words[0].startswith("@") else ""
    if text.lstrip().startswith("@") and not tag:
        raise _bad("has an empty tag", "write `@name URL`")
    if not words:
        raise _bad("names no repository", "write a URL or a path after the tag")
    address, *components = words
    base = address.rstrip("/")
    _check(kind, base, components)
    layout = Layout.INDEX if kind == "ndx" or (not kind and base.endswith(".tar.gz")) else Layout.DIRECTORY
    if layout is Layout.INDEX and components:
        raise _bad("names an index file and components", "leave the components out")
    line = " ".join(filter(None, (kind, tag and f"@{tag}", redact_url(address), *components)))
    bases = [f"{base}/{component}" for component in components] or [base]
    return [Repository(redact_url(item), tag, 0, line, layout, trust, Secret(item)) for item in bases]


def _check(kind: str, base: str, components: list[str]) -> None:
    if kind == "v3" or base.endswith(".adb"):
        message = "repositories of format v3 cannot be read yet"
        raise UsageError(message, reason="unsupported-repository", hint="use the v2 index of the same repository")
    if is_http(base):
        endpoint_of(base)
    elif not base or local_path(base) is None:
        raise _bad("is neither a path nor an http, https or file URL", "")
    for component in components:
        if not _COMPONENT.fullmatch(component):
            raise _bad(f"has the component `{component}`", "components are names")


def _bad(what: str, hint: str) -> UsageError:
    return UsageError(f"a repository line {what}", reason="bad-repository", hint=hint)
