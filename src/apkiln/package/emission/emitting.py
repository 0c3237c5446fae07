"""Packages of one build written and published together (spec package.md §10, §10.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO

from apkiln.core import canonical_json
from apkiln.core.errors import ConflictError, FaultCollector, UsageError, ViolationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import replace, value
from apkiln.formats.apk.package_writer import DataMember, PackageDraft, WrittenPackage, write_around, write_data
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.attestation import dsse
from apkiln.formats.attestation.statement import Resource
from apkiln.formats.deflate.codec import PIECE, Codec
from apkiln.formats.sbom.cyclonedx_writer import write_cyclonedx
from apkiln.package.analysis.concluding import conclude_all
from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.analysis.linters.results import results
from apkiln.package.analysis.observing import Observer
from apkiln.package.emission.information import embedded_definition, information, scripts
from apkiln.package.emission.planning import PackagePlan, plan_packages
from apkiln.package.emission.provenance import provenance, subject
from apkiln.package.emission.publication import Publication
from apkiln.package.emission.request import EmissionRequest, EmittedPackage
from apkiln.package.output_tree import OutputTree
from apkiln.system.files import Files
from apkiln.system.spool import Spools

if TYPE_CHECKING:
    from concurrent.futures import Executor

_CHUNK = 1 << 20
_LARGE = 2 * PIECE
"""Content from which compressing beside the caller pays."""
_THREADS = 2


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
    """Compresses and hashes beside the caller; None: large packages get one of their own.  The bytes do not depend on it."""


class _Member(NamedTuple):
    plan: PackagePlan
    spool: BinaryIO
    data: DataMember
    facts: TreeFacts


def emit(request: EmissionRequest, trees: Sequence[OutputTree], access: EmissionAccess) -> tuple[EmittedPackage, ...]:
    """Write the packages of one build to `DIRECTORY/ARCH/NAME-VERSION.apk`, in the order of `trees`.

    Equal arguments give equal bytes, whatever the order of entries.  Every content is read once.  Nothing is published unless
    all packages are written: then one after the other appears under its name.

    Raises UsageError `no-signer` for provenance without a signer; ViolationError `lint` for findings of required linters; the
    faults of `planning.plan_packages`, `package_writer.write_data` and `write_around`; ConflictError `output-exists` when a
    file of that name with other bytes is there and the request does not allow to replace it.
    """
    if request.provenance and not access.signers:
        raise UsageError("provenance is a signed statement, and there is no key", reason="no-signer", hint="name a signing key")
    plans = plan_packages(request, trees)
    with ExitStack() as stack:
        if access.executor is None and sum(entry.size for plan in plans for entry in plan.entries) > _LARGE:
            from concurrent.futures import ThreadPoolExecutor

            access = replace(access, executor=stack.enter_context(ThreadPoolExecutor(_THREADS)))
        members = [_member(plan, stack.enter_context(access.spools.spool()), access) for plan in plans]
        siblings = tuple(member.facts for member in members)
        guest = tuple(item.record for item in request.guest)
        context = AnalysisContext(request.arch, request.definition, siblings, guest, request.rules, request.lint)
        analyses = conclude_all(context)
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
    subjects: list[Resource] = []
    with Publication(access.files) as publication:
        for member, analysis in zip(members, analyses, strict=True):
            target, written, control = _write(request, member, analysis, definition, access, publication)
            beside = tuple(_beside(request, member, analysis, target, publication))
            subjects.append(subject(written, control))
            notes = (*member.plan.notes, *analysis.notes)
            emitted.append(
                EmittedPackage(target, written.info, written.identity, written.sha256, written.size, analysis, notes, beside)
            )
        if request.provenance and emitted:
            path = directory / f"{emitted[0].info.name_version}.apk.intoto.jsonl"
            payload = provenance(request, subjects, access.codec.name)
            publication.create(path).write(dsse.write(dsse.sign(dsse.IN_TOTO, payload, access.signers)))
            emitted[0] = emitted[0]._replace(beside=(*emitted[0].beside, path))
    return tuple(emitted)


def _write(
    request: EmissionRequest,
    member: _Member,
    analysis: Analysis,
    definition: bytes,
    access: EmissionAccess,
    publication: Publication,
) -> tuple[PurePath, WrittenPackage, str]:
    """The package file, to appear with the others; with the SHA-256 of its control member."""
    part = member.plan.part
    info = information(request, part, analysis)
    target = access.directory / request.arch.apk / f"{info.name_version}.apk"
    output = publication.create(target)
    draft = PackageDraft(info, (), tuple(scripts(part.scriptlets)), ((".melange.yaml", definition),))
    chunks = _copy(member.spool)
    written = write_around(
        draft, member.data, chunks, access.codec, output.write, signers=access.signers, executor=access.executor
    )
    if not request.overwrite:
        _refuse_other_bytes(target, written, access.files)
    offset, length = written.sections[1]
    output.seek(offset)
    control = hashlib.sha256(output.read(length)).hexdigest()
    output.seek(0, 2)
    return target, written, control


def _beside(
    request: EmissionRequest, member: _Member, analysis: Analysis, target: PurePath, publication: Publication
) -> Iterator[PurePath]:
    """Documents about one package."""
    name = target.name.removesuffix(".apk")
    documents = {
        f"{name}.cdx.json": write_cyclonedx(member.plan.bill) if request.cyclonedx else b"",
        f"lint-{name}.json": canonical_json.encode_pretty(results(name, analysis.findings)) if request.lint_results else b"",
    }
    for document, content in documents.items():
        if content:
            path = target.with_name(document)
            publication.create(path).write(content)
            yield path


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
