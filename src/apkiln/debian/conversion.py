"""One `.deb` to one `.apk`: a pure function of the file, the plan and the converter's version (spec debian.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from apkiln.core.errors import VerificationError
from apkiln.core.limits import GIB, Limits
from apkiln.core.origin import Origin
from apkiln.debian.accounts import AccountRegistry
from apkiln.debian.applying import apply_steps
from apkiln.debian.certificates import split_bundle
from apkiln.debian.documentation import split_documentation
from apkiln.debian.facts import PackageFacts, package_facts
from apkiln.debian.file_tree import FileTree, build_tree, md5_of, merged_path, with_files
from apkiln.debian.maintainer.steps import Step
from apkiln.debian.maintainer.translating import ScriptOverride, translate_scripts
from apkiln.debian.mapping import MappedPackage
from apkiln.debian.translations import translate
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.deb.md5sums import parse_md5sums, write_md5sums
from apkiln.formats.deb.package import DebControl, DebReader

CONVERTER_VERSION = 4
"""Raise it when the same input gives other bytes: cached conversions are then not used."""
STATUS_DIRECTORY = "var/lib/dpkg/status.d"
"""Where scanners look for the control fields of packages without dpkg (§10)."""
MAXIMUM_DATA = 4 * GIB
"""Bytes of the data of one package, which is held in memory while it is converted."""


@dataclass(frozen=True, slots=True)
class UnpackedDeb:
    """A `.deb` read whole and checked."""

    control: DebControl
    tree: FileTree
    """As Debian ships it, after usr-merge."""


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """Everything that decides the bytes of a package, but the `.deb` itself and the codec."""

    mapped: MappedPackage
    deb_sha256: str
    kind: str = "package"
    """`package`; `documentation` for the part of a package that people read; `certificates` for the part with the bundle of
    authorities; `layout` for the generated base layout; `meta` for a package without files."""
    source: str = ""
    """Name of the Debian package that the files come from; empty for generated ones."""


def unpack(stream: BinaryIO, package: str, limits: Limits) -> UnpackedDeb:
    """Read and check a `.deb`.

    Raises FormatError and ConflictError (`DebReader`, `build_tree`), VerificationError (`deb-md5`).
    """
    reader = DebReader(stream, limits, Origin(package=package))
    control = reader.control()
    tree = build_tree(_members(reader.data()), package, control.newest)
    check_md5sums(control, tree, package)
    return UnpackedDeb(control, tree)


def _members(reader: TarReader) -> Iterator[tuple[Entry, bytes]]:
    for entry in reader:
        yield entry, b"".join(reader.content())


def check_md5sums(control: DebControl, tree: FileTree, package: str) -> None:
    """Compare every file that `md5sums` lists (§11; a check for damage, not of trust).  Raises VerificationError (`deb-md5`)."""
    listed = control.file("md5sums")
    if listed is None:
        return
    actual = md5_of(tree)
    links = {entry.path: entry.target for entry in tree.entries if entry.type is EntryType.HARDLINK}
    for path, digest in parse_md5sums(listed, Origin(package=package, member="control/md5sums")):
        merged = merged_path(path)
        if actual.get(links.get(merged, merged)) != digest:
            raise VerificationError(
                f"`{path}` is not what `md5sums` says",
                reason="deb-md5",
                origin=Origin(package=package, member=f"data/{merged}"),
            )


def facts_of(unpacked: UnpackedDeb, architecture: str, overrides: Mapping[tuple[str, str], ScriptOverride]) -> PackageFacts:
    """The facts of a `.deb`, for pruning, licences and scripts.  `architecture`: of the image, Debian name."""
    translation = translate_scripts(unpacked.control, unpacked.tree, architecture, overrides)
    return package_facts(unpacked.control, unpacked.tree, translation)


class ConvertedTrees(NamedTuple):
    """The files of a `.deb`, cut into packages."""

    main: FileTree
    documentation: FileTree
    """What people read; without entries when there is none."""
    certificates: FileTree
    """The bundle of certificate authorities with its licence; without entries for every package but those that make one."""


def converted_trees(unpacked: UnpackedDeb, steps: Iterable[Step], accounts: AccountRegistry) -> ConvertedTrees:
    """The trees the packages ship: Debian's files, translated effects, and what scanners read (§8, §9, §10)."""
    name = unpacked.control.fields.get("Package")
    newest = unpacked.control.newest
    changed = translate(name, apply_steps(unpacked.tree, steps, accounts, newest, name), newest)
    main, documentation = split_documentation(changed)
    scanned = with_files(main, _status_files(name, unpacked.control, main, newest), newest, name)
    rest, certificates = split_bundle(scanned, STATUS_DIRECTORY)
    return ConvertedTrees(rest, documentation, certificates)


def _status_files(name: str, control: DebControl, tree: FileTree, newest: int) -> Iterator[tuple[Entry, bytes]]:
    """`status.d/<name>` with the control fields, and the digests of the files as they lie in the image."""
    fields = control.file("control") or b""
    yield _file(f"{STATUS_DIRECTORY}/{name}", fields.rstrip(b"\n") + b"\n", newest)
    listed = control.file("md5sums")
    if listed is None:
        return
    actual = md5_of(tree)
    there = {entry.path for entry in tree.entries}
    rows = {merged_path(path): digest for path, digest in parse_md5sums(listed)}
    kept = tuple((path, actual.get(path, digest)) for path, digest in sorted(rows.items()) if path in there)
    yield _file(f"{STATUS_DIRECTORY}/{name}.md5sums", write_md5sums(kept), newest)


def _file(path: str, content: bytes, newest: int) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, 0o644, size=len(content), mtime=newest), content


def package_info(mapped: MappedPackage, build_date: int) -> PackageInfo:
    """The `.PKGINFO` of a conversion, without what the writer computes (size, digest of the data)."""
    return PackageInfo(
        name=mapped.name,
        version=mapped.version,
        arch=mapped.arch,
        description=mapped.description,
        url=mapped.url,
        license=mapped.licence,
        origin=mapped.origin,
        maintainer=mapped.maintainer,
        build_date=build_date,
        depends=mapped.depends,
        provides=mapped.provides,
        replaces=mapped.replaces,
        replaces_priority=mapped.replaces_priority,
        provider_priority=mapped.provider_priority,
        comments=mapped.comments,
        install_if=mapped.install_if,
    )
