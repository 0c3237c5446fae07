"""What a base image's own apk database says, laid against its tree: which paths are whose, and which differ from their record.

Pure.  Records stay word for word in the new database; a path that the base changed after its package was installed is told
of in the accounting (rule `base-image`), never quietly taken for the package's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.attributes import attributes_digest
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.installed import InstalledPackage, InstalledPath, write_installed
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.image.audit.claims import Claim, directory_owner
from apkiln.image.audit.layered_tree import LayeredTree
from apkiln.rootfs.installed_text import DatabaseLines
from apkiln.rootfs.package_files import PackageFiles, PackageHead

DATABASES = ("usr/lib/apk/db", "lib/apk/db", "usr/share/apkiln/database")
"""Where apk keeps its database, the newer place first."""


class BaseDatabase(NamedTuple):
    """The apk database of a base image."""

    packages: tuple[InstalledPackage, ...]
    scripts: Mapping[bytes, tuple[tuple[str, bytes], ...]] = {}
    """Identity of a package → its scripts."""
    triggers: Mapping[bytes, tuple[str, ...]] = {}
    """Identity of a package → its trigger globs."""


class ChangedPath(NamedTuple):
    """A path of a package that differs from its record."""

    path: str
    package: str
    """Name."""


@value
class BaseContents:
    """The tree of a base image by owner.  Paths are real: no symlink of the tree leads through them."""

    packages: tuple[PackageFiles, ...]
    """In the order of the database."""
    rest: PackageFiles
    """What no package owns; see `PackageFiles.of_tree`."""
    changed: tuple[ChangedPath, ...]
    notices: tuple[str, ...]
    """About recorded paths that the base does not have."""


def base_contents(tree: PackageFiles, database: BaseDatabase) -> BaseContents:
    """Sort the paths of a base image by owner."""
    return _Sorting(tree, database).result()


class _Sorting:
    def __init__(self, tree: PackageFiles, database: BaseDatabase) -> None:
        self._tree = tree
        self._database = database
        self._files = {item.entry.path: item for item in tree.entries()}
        self._directories = {item.path: item for item in tree.directories}
        self._layered = LayeredTree()
        directories = [ContentEntry(item.entry()) for item in tree.directories]
        self._layered.apply([*directories, *tree.entries()], 1)
        self._owned: set[str] = set()
        self._changed: dict[str, ChangedPath] = {}
        self._claims: dict[str, list[Claim]] = {}
        self._absent: dict[str, list[str]] = {}

    def result(self) -> BaseContents:
        packages = tuple(self._package(package) for package in self._database.packages)
        self._compare_directories()
        rest = [item for path, item in self._files.items() if path not in self._owned]
        directories = tuple(item for path, item in self._directories.items() if path not in self._claims)
        others = PackageFiles.of_tree(self._tree.head.sha256, tuple(_joined(rest, self._tree)), directories)
        notices = tuple(f"the base image lacks {_listed(lost)} of {name}" for name, lost in self._absent.items())
        return BaseContents(packages, others, tuple(self._changed[path] for path in sorted(self._changed)), notices)

    def _package(self, package: InstalledPackage) -> PackageFiles:
        directories = [(item, self._layered.resolve(item.path)) for item in package.directories if item.path]
        present = [(item, path) for item, path in directories if path in self._directories]
        files = [(item, self._layered.real_path(item.path)) for item in package.files]
        held = [(item, path) for item, path in files if path in self._files]
        self._tell_absent(package, [*directories, *files], len(present) + len(held))
        for item, path in present:
            assert path is not None
            self._claims.setdefault(path, []).append(_claim(package, item))
        items = dict(sorted((path, self._owned_file(package, item, path)) for item, path in held))
        return PackageFiles(
            self._head(package),
            tuple(items),
            tuple((path, item.entry.target) for path, item in items.items() if item.entry.type is EntryType.SYMLINK),
            tuple({path: self._directories[path] for _, path in present if path}.values()),
            (),
            lambda: tuple(_joined(items.values(), self._tree)),
            _lines(package, [item for item, _ in present], [item for item, _ in held]),
        )

    def _tell_absent(self, package: InstalledPackage, all_paths: Iterable[tuple[InstalledPath, str | None]], found: int) -> None:
        paths = tuple(all_paths)
        if len(paths) != found:
            lost = [item.path for item, path in paths if path not in self._files and path not in self._directories]
            self._absent[package.record.name_version] = lost or ["paths of another type"]

    def _owned_file(self, package: InstalledPackage, recorded: InstalledPath, path: str) -> ContentEntry:
        """The file as it is, with the checksum that the database has; one that differs is noted."""
        self._owned.add(path)
        item, content = self._files[path], self._tree.content_entry(path)
        if _differs(recorded, content, cut_sha256="S" in package.record.flags):
            self._changed[path] = ChangedPath(path, package.record.name)
        return item._replace(sha1=recorded.digest) if item.entry.type is not EntryType.HARDLINK else item

    def _compare_directories(self) -> None:
        for path, claims in self._claims.items():
            owner, found = directory_owner(claims), self._directories[path]
            attributes = attributes_digest(found.xattrs)
            if (owner.mode, owner.uid, owner.gid, owner.xattrs) != (found.mode, found.uid, found.gid, attributes):
                self._changed[path] = ChangedPath(path, owner.name)

    def _head(self, package: InstalledPackage) -> PackageHead:
        record = package.record
        info = PackageInfo(
            record.name,
            record.version,
            record.arch,
            record.description,
            record.url,
            record.license,
            record.origin,
            record.maintainer,
            record.commit,
            record.build_date,
            record.installed_size,
            record.provider_priority,
            tuple(record.depends.split()),
            tuple(record.provides.split()),
            tuple(record.install_if.split()),
            tuple(record.replaces.split()),
            record.replaces_priority,
            self._database.triggers.get(record.identity, ()),
        )
        scripts = self._database.scripts.get(record.identity, ())
        return PackageHead(info, record.identity, b"", record.size, (), scripts, ())


def _differs(recorded: InstalledPath, found: ContentEntry, *, cut_sha256: bool) -> bool:
    entry = found.entry
    mode = recorded.mode if entry.type is EntryType.SYMLINK else entry.mode
    actual = found.sha256[:20] if cut_sha256 and entry.type is EntryType.FILE else found.sha1
    attributes = b"" if entry.type is EntryType.SYMLINK else attributes_digest(entry.xattrs)
    here = (mode, entry.uid, entry.gid, actual, attributes)
    return here != (recorded.mode, recorded.uid, recorded.gid, recorded.digest, recorded.xattrs)


def _claim(package: InstalledPackage, item: InstalledPath) -> Claim:
    record = package.record
    return Claim(
        item.path, record.name_version, record.name, record.origin, record.replaces_priority,
        True, item.mode, item.uid, item.gid, item.xattrs,
    )  # fmt: skip


def _joined(items: Iterable[ContentEntry], tree: PackageFiles) -> Iterable[ContentEntry]:
    """`items` with every hard link that names one of them; a link to a stranger's file becomes a file of its own."""
    heirs: dict[str, str] = {}
    for item in sorted(items, key=lambda item: item.entry.path):
        if item.entry.type is EntryType.FILE:
            heirs[item.entry.path] = item.entry.path
            yield item
        elif item.entry.type is not EntryType.HARDLINK:
            yield item
        elif item.entry.target in heirs:
            yield item._replace(entry=item.entry._replace(target=heirs[item.entry.target]))
        else:
            heirs[item.entry.target] = item.entry.path
            content = tree.content_entry(item.entry.path)
            yield content._replace(entry=content.entry._replace(path=item.entry.path))


def _lines(package: InstalledPackage, directories: list[InstalledPath], files: list[InstalledPath]) -> DatabaseLines:
    """The record as the base has it, without its repository tag, which the writer of the database adds."""
    bare = package.record._replace(repository_tag="")
    root = [item for item in package.directories if not item.path]
    head = write_installed([InstalledPackage(bare, tags=package.tags)])[:-1]
    whole = write_installed([InstalledPackage(bare, (*root, *directories), tuple(files), package.tags)])[:-1]
    return DatabaseLines(head, whole[len(head) :])


def _listed(lost: list[str]) -> str:
    first = ", ".join(f"`{path}`" for path in lost[:3])
    return f"{first} and {len(lost) - 3} more paths" if len(lost) > 3 else first
