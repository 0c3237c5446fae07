"""A package file read once: verified, with the facts of its contents and the definition it carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apkiln.core.arch import Arch
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.control import ControlSection, read_control
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.policy import COMPAT, PackagePolicy
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.facts import FileFacts, TreeFacts
from apkiln.package.analysis.linters.settings import DEFAULT_SETTINGS, LintSettings
from apkiln.package.analysis.observing import HELD, alike_files, file_facts, walk_key
from apkiln.package.compilation.resolving import parse
from apkiln.package.definition.model import NOWHERE, Package, PackageDefinition
from apkiln.package.definition.parts import part_named

DEFINITION = ".melange.yaml"
"""File of the control section that holds the definition a package was built from."""


@value
class PublishedPackage:
    """What a package file says."""

    contents: PackageContents
    facts: TreeFacts
    definition: bytes
    """The embedded definition; empty when there is none."""


def read_published(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS, policy: PackagePolicy = COMPAT) -> PublishedPackage:
    """Read a whole package from a seekable stream.  Raises what `read_package` raises; signatures are not looked at."""
    control: ControlSection = read_control(stream, limits, policy)
    stream.seek(0)
    receiver = _Receiver()
    contents = read_package(stream, limits, policy, receiver=receiver)
    entries = tuple(sorted((item.entry for item in contents.entries), key=walk_key))
    alike = alike_files(entries)
    files = dict(receiver.facts)
    for item in contents.entries:
        if (item.entry.path.rpartition("/")[2], item.entry.size) in alike:
            files[item.entry.path] = files.get(item.entry.path, FileFacts())._replace(sha256=item.sha256)
    definition = dict(control.other_files).get(DEFINITION, b"")
    return PublishedPackage(contents, TreeFacts(contents.info.name, entries, files), definition)


def lint_published(
    package: PublishedPackage, settings: LintSettings = DEFAULT_SETTINGS, siblings: Iterable[PublishedPackage] = ()
) -> Analysis:
    """The package with the findings of linters.

    Relations and findings follow from its files, those of `siblings` (other packages of its build), and the definition it
    carries; of one that carries none only the name and the version are known.  Raises what reading the definition raises.
    """
    facts = tuple(item.facts for item in siblings)
    context = AnalysisContext(Arch.parse(package.contents.info.arch), definition_of(package), facts, lint=settings)
    return conclude(package.facts, context)


def definition_of(package: PublishedPackage) -> PackageDefinition:
    """The definition a package carries, with the package's own version; a bare one when it carries none or is not part of it."""
    info = package.contents.info
    number, _, epoch = info.version.rpartition("-r")
    version = Text(number or info.version, NOWHERE)
    if package.definition:
        found, _ = parse(package.definition, DEFINITION)
        if part_named(found, info.name) is not None:
            return found._replace(package=found.package._replace(version=version, epoch=int(epoch) if epoch.isdigit() else 0))
    return PackageDefinition(Package(Text(info.name, NOWHERE), version, int(epoch) if epoch.isdigit() else 0))


class _Receiver:
    """Collects the facts of each file as it passes."""

    def __init__(self) -> None:
        self.facts: dict[str, FileFacts] = {}

    def add(self, entry: Entry, content: Iterator[bytes]) -> None:
        if entry.type is not EntryType.FILE or not entry.size:
            return
        whole = entry.size <= HELD
        chunks: list[bytes] = []
        for chunk in content:
            if whole or not chunks:
                chunks.append(chunk)
        facts = file_facts(entry, chunks, whole=whole, alike=False)
        if facts is not None:
            self.facts[entry.path] = facts
