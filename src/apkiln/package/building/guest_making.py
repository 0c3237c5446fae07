"""Roots out of packages: each package unpacked once, and what rules add to this set of packages in a tree of its own, on top.

A root of packages that were together before costs one row of the store (table `guests`); a new set of known packages costs
its rules; a new package its unpacking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from apkiln import __version__
from apkiln.acquire.access import Access
from apkiln.acquire.packages import AcquiredPackage, SelectedPackage, acquire_packages, open_package
from apkiln.core import canonical_json
from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.plan import ArchitecturePlan
from apkiln.image.resolving import ResolveOptions, resolve
from apkiln.package.building.guest import MOUNT_POINTS, RULES, GuestTrees, decode_trees, encode_trees, names_by_number
from apkiln.package.building.guest_request import GuestSources, accounts_of, guest_configuration
from apkiln.package.definition.model import Environment
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.segments import Segment, SegmentWriter, content_positions, load_segment, open_content, read_content
from apkiln.rootfs.tree_plan import TreePlan
from apkiln.system.trees import Trees, TreeWriter

if TYPE_CHECKING:
    from apkiln.core.arch import Arch
    from apkiln.formats.deflate.codec import Codec
    from apkiln.image.generated.draft import Draft
    from apkiln.image.planned_tree import PlannedTree

_CHUNK = 1 << 20
_TABLE = "guests"
_DIRECTORY_RULE = "build-directories"


@value
class ResolvedGuest:
    """Which packages make a root."""

    plan: ArchitecturePlan
    selected: tuple[SelectedPackage, ...]
    """In install order."""
    environment: Environment
    notices: tuple[str, ...] = ()


def resolve_guest(environment: Environment, sources: GuestSources, arch: Arch, access: Access) -> ResolvedGuest:
    """Solve the packages of a resolved environment.  Raises what `image.resolving.resolve` raises."""
    configuration = guest_configuration(environment, sources, arch)
    options = ResolveOptions(arch, ignore_signatures=sources.ignore_signatures)
    resolution = resolve(configuration, "", options, access)
    (found,) = resolution.architectures
    return ResolvedGuest(found.plan, found.selected, environment, resolution.notices)


def guest_key(guest: ResolvedGuest, owners: str) -> str:
    """Name of the root: equal for equal packages, accounts and rules.  `owners`: a word for how the cache keeps ids."""
    packages = [[item.record.name_version, item.record.arch, item.record.identity.hex()] for item in guest.plan.packages]
    accounts = guest.environment.accounts
    described = [
        [RULES, __version__, owners, guest.plan.arch.apk, list(guest.plan.world)],
        packages,
        [[user.username, user.uid, user.gid, user.shell, user.homedir] for user in accounts.users],
        [[group.groupname, group.gid, list(group.members)] for group in accounts.groups],
    ]
    return hashlib.sha256(canonical_json.encode(described)).hexdigest()


def make_guest(guest: ResolvedGuest, trees: Trees, owners: str, access: Access) -> GuestTrees:
    """The trees of a root, made as far as they are missing.  Raises what acquiring packages, planning and the rules raise."""
    key = guest_key(guest, owners)
    row = access.store.get(_TABLE, key)
    if row is not None:
        found = decode_trees(row)
        if all(trees.find(name) for name in found.keys):
            return found
    made = _Maker(guest, trees, owners, access).make(f"root-{key}")
    access.store.put(_TABLE, key, encode_trees(made))
    return made


class _Maker:
    def __init__(self, guest: ResolvedGuest, trees: Trees, owners: str, access: Access) -> None:
        self.guest = guest
        self.trees = trees
        self.owners = owners
        self.access = access

    def make(self, key: str) -> GuestTrees:
        from apkiln.image.planned_tree import PlannedTree

        store = self.access.store
        segments = self._segments()
        plan = plan_tree([segment.files for segment in segments])
        keys = [self._package_tree(plan, position, segment) for position, segment in enumerate(segments)]
        tree = PlannedTree(
            plan,
            lambda position, path: read_content(store, segments[position], path),
            lambda position, path: open_content(store, segments[position], path),
        )
        draft = self._draft(tree)
        if self.trees.find(key) is None:
            with self.trees.build(key) as writer:
                _write_rules(draft, tree, writer)
        accounts = [names_by_number(draft.read(name)) if draft.file_at(name) else () for name in ("etc/passwd", "etc/group")]
        loader = bool(draft.file_at("sbin/ldconfig"))
        return GuestTrees((key, *reversed(keys)), accounts[0], accounts[1], _shell(draft), loader)

    def _segments(self) -> tuple[Segment, ...]:
        from apkiln.formats.deflate.codec import canonical_codec

        codec, store = canonical_codec(), self.access.store
        acquired = acquire_packages(self.guest.selected, self.access, lambda _: SegmentWriter(store, codec), check_stored=False)
        return tuple(_segment(package, codec, self.access) for package in acquired)

    def _package_tree(self, plan: TreePlan, position: int, segment: Segment) -> str:
        """Key of the tree of what this package has in the root."""
        package = plan.packages[position]
        directories = [item.directory.path for item in plan.directories if position in item.packages]
        usual = not package.excluded and not package.moved
        usual = usual and len(directories) == len(segment.files.directories)
        described = [RULES, self.owners, segment.key, [] if usual else [package.excluded, package.moved, directories]]
        key = "package-" + hashlib.sha256(canonical_json.encode(described)).hexdigest()
        if self.trees.find(key) is None:
            with self.trees.build(key) as writer:
                self._unpack(plan, position, segment, directories, writer)
        return key

    def _unpack(self, plan: TreePlan, position: int, segment: Segment, directories: Sequence[str], writer: TreeWriter) -> None:
        shipped = {item.path: item for item in segment.files.directories}
        owned = {item.directory.path: item.directory for item in plan.directories}
        for path in directories:
            writer.add(shipped.get(path, owned[path]).entry(), ())
        places = dict(plan.packages[position].winning())
        found = {item.entry.path: (item, where) for item, where in content_positions(self.access.store, segment)}
        first: dict[str, str] = {}
        with self._raw(segment) as stream:
            for path, place in places.items():
                source, where = found[segment.files.content_entry(path).entry.path]
                name = first.setdefault(source.entry.path, place)
                if name != place:
                    writer.add(source.entry._replace(path=place, type=EntryType.HARDLINK, size=0, target=name), ())
                elif source.entry.type is EntryType.FILE:
                    writer.add(source.entry._replace(path=place), _checked(stream, where.content, source))
                else:
                    writer.add(source.entry._replace(path=place), ())

    def _raw(self, segment: Segment) -> BinaryIO:
        stream = self.access.store.open(segment.data.raw, segment.data.raw_size)
        assert stream is not None, "a segment that was found has its bytes"
        return stream

    def _draft(self, tree: PlannedTree) -> Draft:
        from apkiln.image.completing import CompletionInputs, complete_tree
        from apkiln.image.configuration.model import Contents, ImageConfiguration, PackageRequest
        from apkiln.image.library_facts import LibraryFacts

        # Without repositories and keys: nothing in the root depends on where its packages came from.
        contents = Contents(packages=tuple(PackageRequest(text) for text in self.guest.plan.world))
        configuration = ImageConfiguration(contents=contents, accounts=accounts_of(self.guest.environment))
        inputs = CompletionInputs(configuration, self.guest.plan, (), {}, scripts="report")
        libraries = LibraryFacts(self.access.store, tree)
        draft = complete_tree(tree, inputs, libraries.write_cache, lambda _: None).draft
        for path in MOUNT_POINTS:
            place = draft.resolve(path)
            if place and not draft.exists(place):
                draft.put(_DIRECTORY_RULE, Entry(place, EntryType.DIRECTORY, 0o755))
        return draft


def _segment(package: AcquiredPackage, codec: Codec, access: Access) -> Segment:
    found = load_segment(access.store, package.digest.value, codec.name)
    if found is not None:
        return found
    from apkiln.formats.apk.package import read_package

    with open_package(package, access) as stream, SegmentWriter(access.store, codec) as writer:
        return writer.finish(read_package(stream, access.limits, sink=writer, expected=package.record))


def _checked(stream: BinaryIO, begin: int, item: ContentEntry) -> Iterator[bytes]:
    """Content of a FILE in pieces; VerificationError `cache-entry-damaged` after the last one when it is another."""
    digest = hashlib.sha256()
    stream.seek(begin)
    missing = item.entry.size
    while missing and (piece := stream.read(min(_CHUNK, missing))):
        digest.update(piece)
        missing -= len(piece)
        yield piece
    if digest.digest() != item.sha256:
        message = "the cache does not have the content that its digest names"
        hint = "run `apkiln cache clean`, which removes what is damaged"
        raise VerificationError(message, reason="cache-entry-damaged", origin=Origin(member=item.entry.path), hint=hint)


def _write_rules(draft: Draft, tree: PlannedTree, writer: TreeWriter) -> None:
    """What rules wrote, with the directories above it as they are; a hard link to a file of a package becomes a file."""
    nodes = draft.nodes
    for path in sorted({above for node in nodes for above in _above(node)} | {""} - nodes.keys()):
        entry = draft.entry(path) if path else None
        if entry is not None:
            writer.add(entry, ())
    for item in tree.plan.directories:
        if item.directory.path not in nodes and len(item.packages) > 1:
            writer.add(item.directory.entry(), ())
    links: list[Entry] = []
    for path in sorted(nodes):
        node = nodes[path]
        if node.entry.type is EntryType.HARDLINK:
            links.append(node.entry)
        elif node.entry.type is EntryType.FILE:
            writer.add(node.entry, (node.content,) if node.content is not None else tree.chunks(node.source))
        else:
            writer.add(node.entry, ())
    for entry in links:
        if entry.target in nodes:
            writer.add(entry, ())
        else:
            writer.add(entry._replace(type=EntryType.FILE, target=""), tree.chunks(entry.target))


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _shell(draft: Draft) -> str:
    """dash, which Debian has as `/bin/sh`, knows no `pipefail` (spec package.md §4.11); bash and busybox do.  Empty when there
    is none."""
    found = draft.file_at("bin/sh").rpartition("/")[2]
    if found != "dash":
        return "/bin/sh" if found else ""
    # A link of that name may lead to a busybox, which is no bash.
    if draft.file_at("bin/bash").rpartition("/")[2] == "bash":
        return "/bin/bash"
    return "/bin/busybox sh" if draft.file_at("bin/busybox") else "/bin/sh"
