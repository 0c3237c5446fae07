"""Publishing an image: the plan of `publishing_plan` carried out on a registry, and told what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.progress import Reporter
from apkiln.image.publishable import LayerSource
from apkiln.image.publishing_plan import AttachedArtifact, PublishedBlob, PublishPlan, RepositoryPlan
from apkiln.system.parallel import map_in_threads
from apkiln.system.registry import BlobOutcome, BlobSource, Document, Registry
from apkiln.system.registry_names import RepositoryName
from apkiln.system.registry_referrers import add_referrer


class BlobReport(NamedTuple):
    """One blob in one repository."""

    digest: str
    size: int
    outcome: BlobOutcome


class RepositoryReport(NamedTuple):
    """One repository."""

    repository: RepositoryName
    blobs: tuple[BlobReport, ...]
    manifests_written: int
    """Manifests and indexes that were not there yet, attached ones included."""
    tags_moved: tuple[str, ...]
    """Those that named something else before, or nothing."""


def log_in(plan_repositories: tuple[RepositoryName, ...], registry: Registry) -> None:
    """Ask every registry whether it knows us, before work is spent on an image that could not be published."""
    for repository in plan_repositories:
        registry.log_in(repository)


def publish(plan: PublishPlan, registry: Registry, reporter: Reporter, jobs: int) -> tuple[RepositoryReport, ...]:
    """Put everything into every repository, then move the tags.

    What is there already is not sent again: an unchanged image costs one HEAD request for each blob, manifest and tag.
    Raises what `Registry` names and VerificationError `cache-entry-damaged`; no tag was moved then, unless moving tags failed
    itself.
    """
    filled = [_fill(plan, item, registry, reporter, jobs) for item in plan.repositories]
    moved = [_move_tags(plan.image.top, item, registry) for item in plan.repositories]
    return tuple(report._replace(tags_moved=tags) for report, tags in zip(filled, moved, strict=True))


def _fill(plan: PublishPlan, item: RepositoryPlan, registry: Registry, reporter: Reporter, jobs: int) -> RepositoryReport:
    blobs = plan.blobs()
    task = f"push {item.repository}"
    reporter.start(task, sum(blob.descriptor.size for blob in blobs), "bytes")
    try:
        reports = map_in_threads(lambda blob: _push_blob(blob, item, registry, _advance(reporter, task)), blobs, jobs)
    finally:
        reporter.finish(task)
    written = sum(_put_if_absent(document, item.repository, registry)[0] for document in plan.image.documents)
    written += sum(_attach(artifact, item.repository, registry) for artifact in plan.artifacts)
    return RepositoryReport(item.repository, tuple(reports), written, ())


def _push_blob(blob: PublishedBlob, item: RepositoryPlan, registry: Registry, advance: Callable[[int], None]) -> BlobReport:
    counted = _Counted(blob.source, advance)
    try:
        outcome = registry.push_blob(item.repository, blob.descriptor, counted, item.mount_from)
    except VerificationError as error:
        if error.reason == "source-mismatch" and isinstance(blob.source, LayerSource):
            raise blob.source.damage() from error
        raise
    counted.finish(blob.descriptor.size)
    return BlobReport(str(blob.descriptor.digest), blob.descriptor.size, outcome)


def _put_if_absent(document: Document, repository: RepositoryName, registry: Registry) -> tuple[bool, bool]:
    """Whether the manifest was written, and whether the registry then listed it as a referrer."""
    found = registry.resolve(repository, str(document.digest))
    if found is not None:
        return False, False
    return True, registry.push_manifest(repository, str(document.digest), document).subject_listed


def _attach(artifact: AttachedArtifact, repository: RepositoryName, registry: Registry) -> bool:
    written, listed = _put_if_absent(artifact.manifest, repository, registry)
    if not listed and registry.referrers(repository, artifact.subject.digest) is None:
        add_referrer(registry, repository, artifact.subject.digest, artifact.descriptor)
    return written


def _move_tags(top: Document, item: RepositoryPlan, registry: Registry) -> tuple[str, ...]:
    moved = []
    for tag in item.tags:
        found = registry.resolve(item.repository, tag)
        if found is None or found.digest != top.digest:
            registry.push_manifest(item.repository, tag, top)
            moved.append(tag)
    return tuple(moved)


def _advance(reporter: Reporter, task: str) -> Callable[[int], None]:
    return lambda amount: reporter.advance(task, amount)


class _Counted:
    """A source that tells how far it was read; what is read again is not told again."""

    def __init__(self, source: BlobSource, advance: Callable[[int], None]) -> None:
        self._source = source
        self._advance = advance
        self._told = 0

    def chunks(self) -> Iterator[bytes]:
        position = 0
        for chunk in self._source.chunks():
            position += len(chunk)
            self.finish(position)
            yield chunk

    def finish(self, position: int) -> None:
        """Everything up to `position` is done."""
        if position > self._told:
            self._advance(position - self._told)
            self._told = position
