"""What packages are made from, and what came out."""

from __future__ import annotations

from pathlib import PurePath

from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.records import IndexRecord
from apkiln.package.analysis.conclusion import Analysis
from apkiln.package.analysis.linters.settings import DEFAULT_SETTINGS, LintSettings
from apkiln.package.analysis.rules import DEFAULT_RULES, AnalysisRules
from apkiln.package.definition.model import PackageDefinition


class GuestPackage(NamedTuple):
    """A package installed where the build ran."""

    record: IndexRecord
    """As its verified index has it."""
    repository: str = ""
    """URI of its repository, without credentials."""
    sha256: str = ""
    """Hex digest of the package file; empty = not known."""


class Material(NamedTuple):
    """Something the build was made from that is no package: a source archive, a commit, a pipeline file, the definition."""

    uri: str
    digests: tuple[tuple[str, str], ...]
    """(`sha256`|`sha512`|`gitCommit`, hex), sorted."""
    name: str = ""
    purl: str = ""


class GuestAccounts(NamedTuple):
    """Names by number, from `etc/passwd` and `etc/group` of the guest."""

    users: tuple[tuple[int, str], ...] = ((0, "root"),)
    groups: tuple[tuple[int, str], ...] = ((0, "root"),)
    build_user: int = 1000
    """Files of this user, who runs the steps, become root's."""
    build_group: int = 1000


class BuildFacts(NamedTuple):
    """How the build went, for its provenance."""

    runner: str = ""
    """Name and version."""
    impurities: tuple[str, ...] = ()
    """Why the result may depend on more than the materials (network in a step, an unpinned source); empty = hermetic."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Further inputs by name, sorted: options, variables file, network mode."""
    internal_parameters: tuple[tuple[str, str], ...] = ()
    """Limits and the like, by name, sorted."""
    by_products: tuple[tuple[str, str], ...] = ()
    """(name, SHA-256 hex) of logs and reports."""
    invocation: str = ""
    started: int | None = None
    """Unix seconds; None leaves both times out, which keeps the statement reproducible."""
    finished: int | None = None


@value
class EmissionRequest:
    """Everything but the files that decides about the bytes of packages."""

    definition: PackageDefinition
    """Resolved for `arch`, in the form of `compilation.embedding.embedded`."""
    arch: Arch
    source_date: int = 0
    """Unix seconds: the time of every entry, and the build date."""
    namespace: str = "unknown"
    guest: tuple[GuestPackage, ...] = ()
    """All packages of the guest; `.melange.yaml` gets them as `NAME=VERSION`."""
    accounts: GuestAccounts = GuestAccounts()
    definition_path: str = ""
    """Path of the definition in its repository."""
    definition_digest: str = ""
    """SHA-256 hex of the file."""
    git_commit: str = ""
    """Commit of the definition's repository; empty = not known."""
    git_repository: str = ""
    """URL of the definition's repository."""
    definition_licence: str = "NOASSERTION"
    """Licence of the definition itself."""
    licence_texts: tuple[tuple[str, str], ...] = ()
    """(`license-path` of a copyright entry, content), for those the workspace holds."""
    organization: str = ""
    """Who makes the documents; empty = the namespace."""
    document_base: str = ""
    """Base URI of the namespaces of documents; empty = `bill.BASE`."""
    materials: tuple[Material, ...] = ()
    facts: BuildFacts = BuildFacts()
    strip_origin: bool = False
    """Subpackages name themselves as their origin."""
    strict_ids: bool = False
    """A user or group that the guest does not know is a fault; otherwise its number stays, with a remark."""
    keep_user_xattrs: bool = True
    """Extended attributes of the `user.` name space stay, but for those that desktops set."""
    allow_setcap: bool = False
    """Capabilities beyond the five harmless ones."""
    allow_secrets: bool = False
    """Environment variables named like secrets may go into packages."""
    lint: LintSettings = DEFAULT_SETTINGS
    rules: AnalysisRules = DEFAULT_RULES
    provenance: bool = False
    """Write a statement of how the packages came about beside the main one."""
    builder: str = ""
    """URI that names the builder; empty = `provenance.BUILDER`."""
    cyclonedx: bool = False
    """Write the bills of materials as CycloneDX documents beside the packages, too."""
    lint_results: bool = False
    """Write findings as JSON documents beside the packages."""
    overwrite: bool = False
    """A file of the same name with other bytes is replaced; otherwise it is a ConflictError `output-exists`."""


class EmittedPackage(NamedTuple):
    """A package that was published."""

    path: PurePath
    info: PackageInfo
    identity: bytes
    """SHA-1 of the control member."""
    sha256: bytes
    """Of the whole file."""
    size: int
    analysis: Analysis
    notes: tuple[str, ...] = ()
    """Remarks on what was set right."""
    beside: tuple[PurePath, ...] = ()
    """Further documents that were written for it."""
