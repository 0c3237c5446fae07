"""Fill the source cache with what a plan names, in parallel; nothing unverified gets a name there (spec package.md §9.4)."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.errors import ApkilnError, FaultGroup, VerificationError
from apkiln.core.secret import redact_url
from apkiln.package.sources.access import SourceAccess
from apkiln.package.sources.cached_checkouts import cached_checkout
from apkiln.package.sources.cached_files import cached_file
from apkiln.package.sources.plan import FetchedSources, FetchSource, GitSource, Material, Source, SourcePlan


def fetch_sources(plan: SourcePlan, access: SourceAccess) -> FetchedSources:
    """Every source of the plan, in the cache and verified.  What is there already is verified again and not fetched.

    Raises the one fault, or a FaultGroup with those of all sources: VerificationError `source-digest-mismatch` (the file is
    kept in `rejected/`), `unpinned-source`, those of `GitRepositories.export`; UnavailableError as `Transfer.fetch`.
    """
    if not access.allow_unpinned:
        _refuse_unpinned(plan)
    access.files.make_directory(access.cache)
    groups: dict[str, list[Source]] = {}
    for source in plan.sources:
        groups.setdefault(source.cache_name, []).append(source)
    access.reporter.start("sources", len(groups), "sources")
    done = _all_attempts(list(groups.values()), access)
    access.reporter.finish("sources")
    faults = [fault for fault in done if isinstance(fault, ApkilnError)]
    if faults:
        raise faults[0] if len(faults) == 1 else FaultGroup(faults)
    materials = {name: found for name, found in zip(groups, done, strict=True) if isinstance(found, Material)}
    return FetchedSources(
        str(access.cache), tuple(materials[source.cache_name]._replace(source=source) for source in plan.sources)
    )


def _all_attempts(groups: list[list[Source]], access: SourceAccess) -> list[Material | ApkilnError]:
    if len(groups) < 2 or access.jobs < 2:
        return [_attempt(group, access) for group in groups]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(access.jobs) as pool:
        return list(pool.map(lambda group: _attempt(group, access), groups))


def _refuse_unpinned(plan: SourcePlan) -> None:
    faults = [
        VerificationError(
            f"`{_shown(source)}` is not pinned: anything may come out",
            reason="unpinned-source",
            origin=source.origin,
            hint="give `expected-sha256` or `expected-commit`; `--allow-unpinned` takes it as it is",
        )
        for source in plan.unpinned
    ]
    if faults:
        raise faults[0] if len(faults) == 1 else FaultGroup(faults)


def _shown(source: Source) -> str:
    return redact_url(source.uri if isinstance(source, FetchSource) else source.repository)


def _attempt(group: Sequence[Source], access: SourceAccess) -> Material | ApkilnError:
    first = group[0]
    try:
        with access.files.lock(access.cache / f".{first.cache_name}.lock"):
            if isinstance(first, FetchSource):
                found = cached_file(first, access)
            else:
                found = cached_checkout([one for one in group if isinstance(one, GitSource)], access)
        access.reporter.advance("sources", 1)
        return found
    except ApkilnError as error:
        if error.origin.source != first.origin.source:
            error.details = (*error.details, f"wanted by {first.origin}")
        return error.located(first.origin)
