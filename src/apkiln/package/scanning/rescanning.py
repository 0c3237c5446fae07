"""What analysis says today of a package that was published (spec package.md §15.3, scan).  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import unified_diff

from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk import pkginfo
from apkiln.formats.apk.contents import PackageInfo
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import AnalysisContext
from apkiln.package.analysis.published import PublishedPackage, definition_of
from apkiln.package.analysis.rules import DEFAULT_RULES, AnalysisRules
from apkiln.package.definition.model import PackageDefinition

_VENDORED = "vendored = "


class Change(NamedTuple):
    """One relation that is new or gone."""

    package: str
    """`NAME-VERSION`."""
    field: str
    """`depend`, `provides` or `vendored`."""
    item: str
    added: bool

    @property
    def rule(self) -> str:
        """The kind of the relation: what stands before its colon."""
        return self.item.partition(":")[0] if ":" in self.item else "name"


class Rescan(NamedTuple):
    """One package before and after."""

    published: PackageInfo
    computed: PackageInfo

    def changes(self) -> tuple[Change, ...]:
        """Relations that differ, by field and item."""
        found: list[Change] = []
        for field, one, two in (
            ("depend", self.published.depends, self.computed.depends),
            ("provides", self.published.provides, self.computed.provides),
            ("vendored", vendored(self.published), vendored(self.computed)),
        ):
            name = self.published.name_version
            found += [Change(name, field, item, item in two) for item in sorted(set(one) ^ set(two))]
        return tuple(found)

    def text(self) -> str:
        """`.PKGINFO` as it would be written."""
        return _text(self.computed)

    def diff(self, *, comments: bool) -> str:
        """A unified diff of the two; empty when they say the same.  `comments`: those count, too."""
        one, two = (_lines(_text(info), comments) for info in (self.published, self.computed))
        name = f"{self.published.name_version}.apk/.PKGINFO"
        return "".join(unified_diff(one, two, f"a/{name}", f"b/{name}"))


def vendored(info: PackageInfo) -> tuple[str, ...]:
    """What the comments call vendored."""
    return tuple(comment.removeprefix(_VENDORED) for comment in info.comments if comment.startswith(_VENDORED))


def rescan(
    package: PublishedPackage,
    siblings: Iterable[PublishedPackage] = (),
    definition: PackageDefinition | None = None,
    rules: AnalysisRules = DEFAULT_RULES,
) -> Rescan:
    """Analyse a package again.  `siblings`: the other packages of its build; `definition`: resolved, else the one that the
    package carries.  Raises what reading that raises."""
    info = package.contents.info
    facts = tuple(item.facts for item in siblings)
    context = AnalysisContext(Arch.parse(info.arch), definition or definition_of(package), facts, rules=rules)
    found = conclude(package.facts, context)
    others = tuple(comment for comment in info.comments if not comment.startswith(_VENDORED))
    comments = (*others, *(f"{_VENDORED}{item}" for item in found.vendored))
    return Rescan(info, info._replace(depends=found.depends, provides=found.provides, comments=comments))


def summary(changes: Iterable[Change]) -> tuple[tuple[str, str, int, int], ...]:
    """(field, rule, added, removed) over many packages, sorted."""
    counts = Counter((change.field, change.rule, change.added) for change in changes)
    rows = sorted({(field, rule) for field, rule, _ in counts})
    return tuple((field, rule, counts[field, rule, True], counts[field, rule, False]) for field, rule in rows)


def _text(info: PackageInfo) -> str:
    """In the form of ours, whatever a foreign package had that ours would not write."""
    return "".join(f"{line}\n" for line in pkginfo.lines(info))


def _lines(text: str, comments: bool) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if comments or not line.startswith("#")]


def groups(packages: Iterable[PublishedPackage]) -> Iterator[tuple[PublishedPackage, ...]]:
    """Packages of one build together: those of one origin and version."""
    found: dict[tuple[str, str], list[PublishedPackage]] = {}
    for package in packages:
        info = package.contents.info
        found.setdefault((info.origin or info.name, info.version), []).append(package)
    return (tuple(items) for _, items in sorted(found.items()))
