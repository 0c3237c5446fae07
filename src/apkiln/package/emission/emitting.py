"""Packages of one build written and published together (spec package.md §10, §10.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from apkiln.core.errors import ConflictError, FaultCollector, ViolationError
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.package_writer import DataMember, PackageDraft, WrittenPackage, write_around, write_data
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.deflate.codec import Codec
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.analysis.observing import Observer
from apkiln.package.emission.information import embedded_definition, information, scripts
from apkiln.package.emission.planning import PackagePlan, plan_packages
from apkiln.package.emission.request import EmissionRequest, EmittedPackage
from apkiln.package.output_tree import OutputTree
from apkiln.system.files import Files
from apkiln.system.spool import Spools

if TYPE_CHECKING:
    from concurrent.futures import Executor

_CHUNK = 1 << 20


@value
class EmissionAccess:
    """The objects that packages are written with."""

    files: Files
    directory: PurePath
    """Packages go to its subdirectory of the architecture's name."""
    spools: Spools
    codec: Codec
    signers: Sequence[SectionSigner] = ()
    executor: Executor | None = None
    """Compresses beside the caller; the bytes do not depend on it."""


class _Member(NamedTuple):
    plan: PackagePlan
    spool: BinaryIO
    data: DataMember
    facts: TreeFacts


def emit(request: EmissionRequest, trees: Sequence[OutputTree], access: EmissionAccess) -> tuple[EmittedPackage, ...]:
    """Write the packages of one build to `DIRECTORY/ARCH/NAME-VERSION.apk`, in the order of `trees`.

    Equal arguments give equal bytes, whatever the order of entries.  Every content is read once.  Nothing is published unless
    all packages are written: then one after the other appears under its name.

    Raises ViolationError `lint` for findings of required linters; the faults of `planning.plan_packages`,
    `package_writer.write_data` and `write_around`; ConflictError `output-exists` when a file of that name with other bytes is
    there and the request does not allow to replace it.
    """
    plans = plan_packages(request, trees)
    with ExitStack() as stack:
        members = [_member(plan, stack.enter_context(access.spools.spool()), access) for plan in plans]
        siblings = tuple(member.facts for member in members)
        guest = tuple(item.record for item in request.guest)
        context = AnalysisContext(request.arch, request.definition, siblings, guest, request.rules, request.lint)
        analyses = [conclude(member.facts, context) for member in members]
        _refuse_findings(request, members, analyses)
        return _publish(request, members, analyses, access)


def _member(plan: PackagePlan, spool: BinaryIO, access: EmissionAccess) -> _Member:
    observer = Observer(plan.part.name, plan.entries)
    data = write_data(plan.entries, observer.reader(plan.content), access.codec, spool, executor=access.executor)
    return _Member(plan, spool, data, observer.facts())


def _refuse_findings(request: EmissionRequest, members: Sequence[_Member], analyses: Sequence[Analysis]) -> None:
    """ViolationError `lint` for each finding that is required not to be, all packages together."""
    faults = FaultCollector.empty()
    version = request.definition.package.full_version
    for member, analysis in zip(members, analyses, strict=True):
        part = member.plan.part
        for finding in analysis.findings:
            if finding.required:
                message = f"`{part.name}` {finding.message} [{finding.linter}]"
                place = part.origin.filled(Origin(package=f"{part.name}-{version}"))
                faults.add(ViolationError(message, reason="lint", origin=place, hint=finding.explain, details=finding.paths[:20]))
    faults.raise_if_any()


def _publish(
    request: EmissionRequest, members: Sequence[_Member], analyses: Sequence[Analysis], access: EmissionAccess
) -> tuple[EmittedPackage, ...]:
    directory = access.directory / request.arch.apk
    access.files.make_directory(directory)
    definition = embedded_definition(request)
    emitted: list[EmittedPackage] = []
    with ExitStack() as stack:
        for member, analysis in zip(members, analyses, strict=True):
            info = information(request, member.plan.part, analysis)
            target = directory / f"{info.name_version}.apk"
            output = stack.enter_context(access.files.create(target, replace=True))
            draft = PackageDraft(info, (), tuple(scripts(member.plan.part.scriptlets)), ((".melange.yaml", definition),))
            written = write_around(draft, member.data, _copy(member.spool), access.codec, output.write, signers=access.signers)
            if not request.overwrite:
                _refuse_other_bytes(target, written, access.files)
            emitted.append(
                EmittedPackage(target, written.info, written.identity, written.sha256, written.size, analysis, member.plan.notes)
            )
    return tuple(emitted)


def _refuse_other_bytes(target: PurePath, written: WrittenPackage, files: Files) -> None:
    """A version that was published keeps its bytes."""
    status = files.status(target)
    if status is None:
        return
    digest = hashlib.sha256()
    with files.open(target) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if digest.digest() != written.sha256:
        raise ConflictError(
            f"`{target}` exists already with other content",
            reason="output-exists",
            origin=Origin(source=str(target), package=written.info.name_version),
            hint="raise the epoch, or replace it with `--overwrite`",
        )


def _copy(spool: BinaryIO) -> Iterator[bytes]:
    spool.seek(0)
    while chunk := spool.read(_CHUNK):
        yield chunk
