"""Where sources are found instead of where a definition says: by digest first, then by the beginning of the URI (§9.4)."""

from __future__ import annotations

from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.limits import MIB, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.reader import root

_KEYS = ("digests", "prefixes", "only")
_LIMITS = Limits(document=16 * MIB)


class SourceMap(NamedTuple):
    """Other places for sources.  URIs that no entry matches are taken as they are."""

    digests: tuple[tuple[Digest, str], ...] = ()
    """Digest of a file → URL or absolute path."""
    prefixes: tuple[tuple[str, str], ...] = ()
    """Beginning of a URI → what takes its place; longest first, entries of earlier maps before later ones."""
    only: bool = False
    """The original hosts are never asked."""

    def places(self, uri: str, digests: tuple[Digest, ...] = ()) -> tuple[str, ...]:
        """Where to look for a source, in order, each once; ends with the URI itself unless `only`."""
        known = dict(self.digests)
        found = [known[digest] for digest in digests if digest in known]
        found += [target + uri[len(start) :] for start, target in self.prefixes if uri.startswith(start)]
        return tuple(dict.fromkeys(found if self.only else [*found, uri]))


NO_MAP = SourceMap()


def read_source_map(content: bytes, source: str, directory: PurePath) -> SourceMap:
    """A YAML file with `digests` (`sha256:HEX` or `sha512:HEX` → place), `prefixes` (beginning → place) and `only`; relative
    paths count from `directory`.  Raises ConfigurationError or a FaultGroup: `unknown-key`, `wrong-type`, `bad-digest`."""
    faults = FaultCollector.empty()
    document = compose(content, source, faults, _LIMITS)
    fields = root(document, faults).fields(_KEYS)
    digests: list[tuple[Digest, str]] = []
    listed = fields.get("digests")
    for text, value in listed.members() if listed is not None else ():
        try:
            digests.append((Digest.parse(text), _place(value.text(), directory)))
        except FormatError as error:
            value.fault(error.message, error.reason, error.hint)
    prefixes = [(start, _place(target, directory)) for start, target in fields.pairs("prefixes")]
    faults.raise_if_any()
    return SourceMap(tuple(digests), tuple(sorted(prefixes, key=lambda pair: -len(pair[0]))), fields.boolean("only"))


def merged_maps(maps: tuple[SourceMap, ...]) -> SourceMap:
    """Several maps as one: the first that has an entry decides."""
    digests: dict[Digest, str] = {}
    for one in maps:
        for digest, place in one.digests:
            digests.setdefault(digest, place)
    prefixes = tuple(pair for one in maps for pair in one.prefixes)
    return SourceMap(tuple(digests.items()), prefixes, any(one.only for one in maps))


def _place(text: str, directory: PurePath) -> str:
    if "://" in text or text.startswith("/"):
        return text
    return str(directory / text) + ("/" if text.endswith("/") else "")
