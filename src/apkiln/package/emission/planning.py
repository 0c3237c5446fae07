"""What each package of a build will hold, decided before anything is read (spec package.md §10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.payload import ContentReader
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.sbom.model import Document
from apkiln.package.definition.licensing import Licensing, licensing
from apkiln.package.definition.parts import PackagePart, part_named
from apkiln.package.emission.bill import bill, bill_path, write_bill
from apkiln.package.emission.capabilities import with_capabilities
from apkiln.package.emission.normalising import Normaliser
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.emission.secrets import check_secrets
from apkiln.package.output_tree import OutputTree
from apkiln.package.sources.plan import Source
from apkiln.package.sources.planning import plan_sources


@value
class PackagePlan:
    """One package, ready to be read and written."""

    part: PackagePart
    entries: tuple[Entry, ...]
    content: ContentReader
    bill: Document
    notes: tuple[str, ...]


def plan_packages(request: EmissionRequest, trees: Sequence[OutputTree]) -> tuple[PackagePlan, ...]:
    """A plan for each tree, in the order given.

    Raises, all faults together: ConfigurationError `unknown-package` for a tree of no package of the definition,
    `tree-repeated`, `priority-range`, `setcap-not-allowed`, `secret-in-environment`, those of `plan_sources`; those of
    `normalising.Normaliser`.
    """
    faults = FaultCollector.empty()
    plans: list[PackagePlan] = []
    if not request.allow_secrets:
        check_secrets(request.definition, faults)
    planned = plan_sources(request.definition)
    sources = (*planned.sources, *planned.in_guest)
    licences = licensing(request.definition.package.copyright, dict(request.licence_texts))
    for tree in trees:
        part = part_named(request.definition, tree.package)
        if part is None:
            faults.add(_fault(f"the definition makes no package `{tree.package}`", "unknown-package", tree))
        elif any(plan.part.name == tree.package for plan in plans):
            faults.add(_fault(f"there are two trees of `{tree.package}`", "tree-repeated", tree))
        else:
            plans.append(_plan(request, part, tree, licences, sources, faults))
    faults.raise_if_any()
    return tuple(plans)


def _plan(
    request: EmissionRequest,
    part: PackagePart,
    tree: OutputTree,
    licences: Licensing,
    sources: tuple[Source, ...],
    faults: FaultCollector,
) -> PackagePlan:
    document = bill(request, part, licences, sources)
    normaliser = Normaliser(
        tree.package, request.accounts, request.source_date, request.strict_ids, request.keep_user_xattrs, faults
    )
    path = bill_path(f"{part.name}-{request.definition.package.full_version}")
    content = write_bill(document)
    built = [entry for entry in tree.entries if entry.path != path]
    entries = normaliser.entries([*built, Entry(path, EntryType.FILE, 0o644, size=len(content))])
    entries = with_capabilities(entries, part.setcap, request.allow_setcap, faults)

    def read(asked: str) -> Iterable[bytes]:
        return (content,) if asked == path else tree.content(asked)

    notes = (*normaliser.notes, *_licence_notes(part, licences), *_priority_notes(part, faults))
    return PackagePlan(part, entries, read, document, notes)


def _licence_notes(part: PackagePart, licences: Licensing) -> list[str]:
    """Told once, of the main package, whose licences they are."""
    return [f"`{text}` is no SPDX licence and its text is not there" for text in licences.unknown if part.is_main]


def _priority_notes(part: PackagePart, faults: FaultCollector) -> Iterator[str]:
    """What apk would take otherwise than it is written; a fault `priority-range` for what does not fit at all."""
    declared = part.dependencies
    for key, text in (("provider-priority", declared.provider_priority), ("replaces-priority", declared.replaces_priority)):
        number = int(text.text or 0)
        if number < 0:
            yield f"`{key}` {number} counts as 0"
        elif number >= 1 << 32:
            message = f"`{key}` {number} is out of range"
            faults.add(ConfigurationError(message, reason="priority-range", origin=text.origin, hint="apk keeps 32 bits"))


def _fault(message: str, reason: str, tree: OutputTree) -> ConfigurationError:
    return ConfigurationError(message, reason=reason, origin=Origin(package=tree.package))
