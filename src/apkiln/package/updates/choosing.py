"""From what upstream offers to the version that is next (spec package.md §16)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apkiln.core.errors import ApkilnError, ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.version import has_wide_number, is_valid, sort_key
from apkiln.formats.re2.matching import Expression
from apkiln.formats.re2.replacing import replace_all
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition.model import Monitor, Update

_PRERELEASE = re.compile(r"_(alpha|beta|pre|rc)")
_LOOKS_EARLY = re.compile(r"(?i)(alpha|beta|preview|nightly|snapshot|dev|[-_.]?rc[-_.]?[0-9])")


class Offer(NamedTuple):
    """One version as upstream names it."""

    tag: str
    commit: str = ""
    """Where it is known."""
    prerelease: bool = False
    """Upstream says so."""


class Version(NamedTuple):
    """An offer that apk can read."""

    version: str
    offer: Offer


class Choice(NamedTuple):
    """What came of the offers."""

    newer: tuple[Version, ...]
    """All above the current version, lowest first."""
    chosen: Version | None
    """The newest of them, or, where updates go one by one, the next; None when there is none."""
    unreadable: tuple[str, ...] = ()
    """Tags that passed all filters and are no versions."""


def choose(update: Update, monitor: Monitor, current: str, offers: Sequence[Offer]) -> Choice:
    """Filters and rewriting in the order of the specification; the order of the offers does not count.

    Raises ConfigurationError `bad-regular-expression`.
    """
    ignored = tuple(_expression(pattern) for pattern in update.ignore_regex_patterns)
    rewriting = tuple((_expression(item.match), item.replace.text) for item in update.version_transform)
    found: dict[str, Version] = {}
    unreadable: list[str] = []
    for offer in sorted(offers):
        if any(pattern.search(offer.tag) for pattern in ignored) or not _passes(monitor, offer.tag):
            continue
        version = _version(offer.tag, update, monitor, rewriting)
        if any(pattern.search(version) for pattern in ignored):
            continue
        if not is_valid(version) or has_wide_number(version):
            unreadable += [] if _LOOKS_EARLY.search(offer.tag) else [offer.tag]
        elif update.enable_prerelease_tags or not (offer.prerelease or _PRERELEASE.search(version)):
            found.setdefault(version, Version(version, offer))
    above = (one for one in found.values() if sort_key(one.version) > sort_key(current))
    newer = sorted(above, key=lambda one: (sort_key(one.version), one.version))
    chosen = (newer[0] if update.require_sequential else newer[-1]) if newer else None
    return Choice(tuple(newer), chosen, tuple(unreadable))


def _passes(monitor: Monitor, tag: str) -> bool:
    prefix, contains = monitor.filter_prefix.text or monitor.filter.text, monitor.filter_contains.text
    return tag.startswith(prefix) and contains in tag


def _version(tag: str, update: Update, monitor: Monitor, rewriting: Sequence[tuple[Expression, str]]) -> str:
    version = tag.removeprefix(monitor.strip_prefix.text)
    if monitor.strip_suffix.text:
        version = version.removesuffix(monitor.strip_suffix.text)
    if update.version_separator.text:
        version = version.replace(update.version_separator.text, ".")
    for expression, replacement in rewriting:
        version = replace_all(expression, replacement, version)
    return version


def _expression(text: Text) -> Expression:
    try:
        return Expression(text.text)
    except ApkilnError as error:
        raise ConfigurationError(error.message, reason="bad-regular-expression", origin=text.origin) from error
