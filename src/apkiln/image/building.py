"""The image builder: a resolved plan becomes layers, documents and bills of materials in the store (DESIGN §2, "doing").

Order: packages → segments → who owns which path → rules → parts of the layer → digests → documents.  Everything decided
lies in pure modules; what was done before is found in the store and not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import PurePath, PurePosixPath

from apkiln.acquire.access import Access
from apkiln.acquire.packages import AcquiredPackage, acquire_packages, open_package
from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, Platform, describe, encode_configuration, encode_index
from apkiln.formats.oci.layout import Image, assemble, index_of
from apkiln.image.bills import BillRequest, Bills, BuiltBill, index_bills
from apkiln.image.completing import CompletedTree, CompletionInputs, complete_tree
from apkiln.image.configuration.model import ImageConfiguration, SbomSettings
from apkiln.image.documents import BuiltLayer, image_annotations, image_configuration
from apkiln.image.finished import FinishedArchitecture, FinishedImage
from apkiln.image.grouping import group_notices, group_packages, places_of
from apkiln.image.layer_making import LayerMaker, Lower
from apkiln.image.library_facts import LibraryFacts
from apkiln.image.local_files import read_local_files
from apkiln.image.plan import ArchitecturePlan
from apkiln.image.planned_tree import PlannedTree
from apkiln.image.resolving import Resolution, ResolvedArchitecture, listed_keys
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.segments import Segment, SegmentWriter, load_segment, open_content, read_content
from apkiln.rootfs.tree_plan import OwnershipPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor

    from apkiln.image.base.opening import Base
    from apkiln.image.scripts.sandboxed import ScriptRoom
    from apkiln.system.script_sandbox import ScriptMachine

DEFAULT_POLICY = OwnershipPolicy()
HERE = PurePosixPath(".")
UNNAMED = BillRequest("image", SbomSettings())


@value
class BuildOptions:
    """What decides about the image beside the definition and the plan."""

    codec: Codec
    ownership: OwnershipPolicy = DEFAULT_POLICY
    vcs_url: str = ""
    """`url@commit` found beside the definition; empty = none."""
    directory: PurePath = HERE
    """Of the definition: what `from` in `paths` is relative to."""
    allow_missing_bundle: bool = False
    bills: BillRequest = UNNAMED
    sbom_formats: tuple[str, ...] = ("spdx",)
    """Documents to make beside the image; empty = none.  The one inside is always made."""
    scripts: str = ""
    """In place of the definition's `scripts`."""
    script_machine: ScriptMachine | None = None
    """Where scripts run if they are to."""


class BuiltArchitecture(NamedTuple):
    """One image of the index, complete in the store."""

    arch: Arch
    image: Image
    layers: tuple[BuiltLayer, ...]
    segments: tuple[Segment, ...]
    """In install order."""
    tree: CompletedTree
    bill: BuiltBill
    notices: tuple[str, ...]
    planned: PlannedTree
    """The packages' part of `tree`, for reading contents."""


@value
class BuiltImage:
    """The whole image."""

    architectures: tuple[BuiltArchitecture, ...]
    index: Index
    bills: tuple[tuple[str, bytes], ...]
    """Bills of materials beside the image: file name and content."""
    epoch: int = 0
    """Unix seconds that date the whole."""

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(item.image for item in self.architectures)

    def finished(self) -> FinishedImage:
        """What is published of it."""
        finished = [
            FinishedArchitecture(item.arch, item.image, tuple(built.layer for built in item.layers), item.notices)
            for item in self.architectures
        ]
        return FinishedImage(tuple(finished), self.index, self.bills)


def build_image(configuration: ImageConfiguration, resolution: Resolution, options: BuildOptions, access: Access) -> BuiltImage:
    """Build every architecture of the plan.

    Raises ConfigurationError (`unsupported-format`) and what acquiring, planning and the rules raise: see
    `acquire.packages.acquire_packages`, `rootfs.ownership.plan_tree` and the modules of `image.generated`.
    """
    if configuration.format not in ("", "tar"):
        message = f"layers of format `{configuration.format}` cannot be made"
        hint = "`--output type=erofs,dest=FILE` writes the tree as one file system"
        raise ConfigurationError(message, reason="unsupported-format", hint=hint)
    built = tuple(_build(configuration, item, resolution, options, access) for item in resolution.architectures)
    epoch = resolution.plan.epoch
    index = index_of((item.image for item in built), image_annotations(configuration, epoch, options.vcs_url))
    bills = [item.bill for item in built]
    digest = describe(media_types.INDEX, encode_index(index)).digest
    whole = index_bills(access.store, options.bills, digest, bills, options.sbom_formats, epoch)
    return BuiltImage(built, index, (*(file for bill in bills for file in bill.files), *whole), epoch)


def _build(
    configuration: ImageConfiguration,
    resolved: ResolvedArchitecture,
    resolution: Resolution,
    options: BuildOptions,
    access: Access,
) -> BuiltArchitecture:
    plan = resolved.plan
    with _Threads(access.jobs) as threads:
        new = _segments(resolved, resolution, options.codec, access, threads)
        lower = _lower(resolved.base, access)
        segments, old = (*lower.segments, *new), len(lower.segments)
        tree = _planned_tree(resolved.base, new, options, access)
        bills = Bills(access.store, plan, tree, options.bills, lower.below.digest if lower.below else None)
        completed = _complete(configuration, resolved, resolution, options, access, tree, bills)
        groups = group_packages([segment.files for segment in new], configuration.layering)
        shifted = tuple(tuple(old + position for position in group) for group in groups)
        upper = LayerMaker(access.store, options.codec, tree, completed.draft, segments, old).make(shifted)
    image = _image(configuration, plan, (*lower.layers, *upper), lower, completed.user, options.vcs_url)
    layers = (*lower.layers, *upper)
    places = (*lower.places, *(len(lower.layers) + place for place in places_of(groups, len(new))))
    digests = [item.layer.digests for item in layers]
    bill = bills.beside(completed.draft, image.descriptor.digest, digests, places, options.sbom_formats)
    said = (*lower.notices, *map(str, tree.plan.notices), *group_notices(groups), *_script_notices(completed), *completed.notices)
    return BuiltArchitecture(plan.arch, image, layers, segments, completed, bill, (*said, *bills.notices), tree)


def file_sizes(
    resolved: ResolvedArchitecture, resolution: Resolution, codec: Codec, access: Access
) -> tuple[tuple[str, int], ...]:
    """(path, bytes) of every file of the packages, each path once, with the size of what lies there in the end.

    Packages are acquired as for a build.  Raises what acquiring and `rootfs.ownership.plan_tree` raise.
    """
    with _Threads(access.jobs) as threads:
        segments = _segments(resolved, resolution, codec, access, threads)
    from apkiln.formats.archive.entry import EntryType

    tree = _planned_tree(resolved.base, segments, BuildOptions(codec), access)
    paths = dict.fromkeys(path for segment in segments for path in segment.files.paths)
    entries = ((path, tree.entry(path)) for path in paths)
    return tuple((path, entry.size) for path, entry in entries if entry is not None and entry.type is EntryType.FILE)


def _script_notices(completed: CompletedTree) -> tuple[str, ...]:
    if not completed.scripts:
        return ()
    from apkiln.image.scripts.replacing import script_notices

    return script_notices(completed.scripts)


def _lower(base: Base | None, access: Access) -> Lower:
    if base is None:
        return Lower()
    from apkiln.image.base.layering_upon import lower_part

    return lower_part(base, access.store)


def _planned_tree(base: Base | None, segments: tuple[Segment, ...], options: BuildOptions, access: Access) -> PlannedTree:
    """Who owns which path, with the contents at hand."""
    if base is not None:
        from apkiln.image.base.layering_upon import tree_upon

        return tree_upon(base, segments, options.ownership, access.store)
    return PlannedTree(
        plan_tree([segment.files for segment in segments], options.ownership),
        lambda position, path: read_content(access.store, segments[position], path),
        lambda position, path: open_content(access.store, segments[position], path),
    )


class _Threads:
    """Threads for compressing, made when the first piece of work comes."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._stack = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def executor(self) -> Executor:
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = self._stack.enter_context(ThreadPoolExecutor(self._jobs))
        return self._executor


def _segments(
    resolved: ResolvedArchitecture, resolution: Resolution, codec: Codec, access: Access, threads: _Threads
) -> tuple[Segment, ...]:
    """The segment of each package, in install order.

    A stored package is not hashed here: of what is used, the compressed segment is compared with the layer's digest, and
    every single file that a rule reads with its own.
    """
    acquired = acquire_packages(
        resolved.selected,
        access,
        lambda _: SegmentWriter(access.store, codec, threads.executor()),
        keyring=resolution.keyring,
        check_stored=False,
    )
    return tuple(_segment(package, codec, access, threads) for package in acquired)


def _segment(package: AcquiredPackage, codec: Codec, access: Access, threads: _Threads) -> Segment:
    found = load_segment(access.store, package.digest.value, codec.name)
    if found is not None:
        return found
    from apkiln.formats.apk.package import read_package

    with (
        open_package(package, access) as stream,
        SegmentWriter(access.store, codec, threads.executor()) as writer,
    ):
        contents = read_package(stream, access.limits, sink=writer, expected=package.record)
        return writer.finish(contents)


def _complete(
    configuration: ImageConfiguration,
    resolved: ResolvedArchitecture,
    resolution: Resolution,
    options: BuildOptions,
    access: Access,
    tree: PlannedTree,
    bills: Bills,
) -> CompletedTree:
    base = resolved.base
    account = None
    if base is not None:
        from apkiln.image.base.layering_upon import account_of

        account = account_of(base, tree)
    inputs = CompletionInputs(
        configuration,
        resolved.plan,
        tuple((key.name, key.pem) for key in listed_keys(configuration, resolution.keyring)),
        read_local_files(access.files, options.directory, configuration.paths, access.limits),
        options.allow_missing_bundle,
        account,
        base.repositories if base is not None else (),
        len(base.records) if base is not None else 0,
        options.scripts or configuration.scripts,
        _script_room(options, plan_epoch=resolved.plan.epoch),
    )
    libraries = LibraryFacts(access.store, tree)
    return complete_tree(tree, inputs, libraries.write_cache, bills.write_inside)


def _script_room(options: BuildOptions, plan_epoch: int) -> ScriptRoom | None:
    if options.script_machine is None:
        return None
    from apkiln.image.scripts.sandboxed import ScriptRoom

    return ScriptRoom(options.script_machine, plan_epoch)


def _image(
    configuration: ImageConfiguration,
    plan: ArchitecturePlan,
    layers: Sequence[BuiltLayer],
    lower: Lower,
    user: str,
    vcs_url: str,
) -> Image:
    own = layers[len(lower.layers) :]
    described = image_configuration(configuration, plan.arch, own, plan.epoch, user, vcs_url, lower.below)
    measured = [item.layer.digests for item in layers]
    descriptors = [Descriptor(digests.media_type, digests.digest, digests.size) for digests in measured]
    annotations = image_annotations(configuration, plan.epoch, vcs_url, lower.below)
    return assemble(encode_configuration(described), descriptors, Platform.of(plan.arch), annotations)
