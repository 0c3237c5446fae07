"""All rules in their order: the planned tree of packages becomes the tree of the image (spec image.md §5.1).  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from apkiln.core.arch import Arch
from apkiln.core.value import value
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.generated.accounts import PASSWD, accounts, homes, numeric_user
from apkiln.image.generated.alternatives import alternatives
from apkiln.image.generated.apk_database import apk_database
from apkiln.image.generated.architecture import architecture
from apkiln.image.generated.base import base_directories, database_link, device_nodes
from apkiln.image.generated.busybox import busybox_links, is_busybox
from apkiln.image.generated.certificates import certificate_paths, certificates
from apkiln.image.generated.configuration_copy import configuration_copy
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.java_trust import java_trust_store
from apkiln.image.generated.keys import build_keys, runtime_keys
from apkiln.image.generated.manifest import BaseAccount, manifest
from apkiln.image.generated.os_release import os_release
from apkiln.image.generated.package_accounts import package_accounts
from apkiln.image.generated.paths import LocalTree, apply_paths
from apkiln.image.generated.presence import remark_on_absence
from apkiln.image.generated.repositories import repositories
from apkiln.image.generated.services import services
from apkiln.image.generated.sidecars import sidecars
from apkiln.image.generated.world import world
from apkiln.image.grouping import is_layered
from apkiln.image.plan import ArchitecturePlan
from apkiln.image.planned_tree import PlannedTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.image.scripts.effects import ScriptReport
    from apkiln.image.scripts.replacing import RunUncovered
    from apkiln.image.scripts.sandboxed import ScriptRoom, UncoveredScript
    from apkiln.system.script_sandbox import TreeItem

WriteLibraryCache = Callable[[Draft, Arch], None]
"""Runs the rule `library-cache`; given by the caller because it reads ELF files of packages, which is worth remembering."""
WriteSbom = Callable[[Draft], None]
"""Runs the rule `image-sbom`."""


@value
class CompletionInputs:
    """What the rules need beside the packages."""

    configuration: ImageConfiguration
    plan: ArchitecturePlan
    keys: tuple[tuple[str, bytes], ...]
    """Name and content of each key of `contents.keyring`."""
    local: LocalTree
    """Local files that `paths` copies."""
    allow_missing_bundle: bool = False
    base: BaseAccount | None = None
    """What is known of the base image."""
    base_repositories: tuple[str, ...] = ()
    """Lines of its `/etc/apk/repositories`."""
    base_packages: int = 0
    """How many of the first packages of the plan are its own: their scripts ran when it was made."""
    scripts: str = ""
    """What becomes of package scripts: see `scripts.replacing.replace_scripts`."""
    script_room: ScriptRoom | None = None
    """Where scripts can be run, for `sandbox`."""


@value
class CompletedTree:
    """The tree of the image and what is said about it."""

    draft: Draft
    user: str
    """`run-as` with user names as numbers."""
    notices: tuple[str, ...]
    scripts: tuple[ScriptReport, ...] = ()
    """What became of the scripts of packages."""


def complete_tree(
    tree: PlannedTree, inputs: CompletionInputs, write_library_cache: WriteLibraryCache, write_sbom: WriteSbom
) -> CompletedTree:
    """Run every rule.  Raises what the rules raise; nothing is written anywhere."""
    configuration, plan = inputs.configuration, inputs.plan
    draft = Draft(tree)
    base_directories(draft)
    architecture(draft, plan.arch)
    build_keys(draft, inputs.keys)
    world(draft, plan.world)
    repositories(draft, configuration.contents, inputs.base_repositories)
    database_link(draft)
    package_accounts(draft)
    scripts = _replace_scripts(draft, tree, inputs, write_library_cache)
    accounts(draft, configuration.accounts)
    homes(draft)
    os_release(draft, configuration.os_release)
    user = numeric_user(configuration.accounts.run_as, draft.read(PASSWD)) if configuration.accounts.run_as else ""
    tags = _requested_tags(plan.world)
    installed = [
        (package.record.name, package.record.version, tags.get(package.record.name, package.tag)) for package in plan.packages
    ]
    configuration_copy(draft, configuration, plan.arch, installed, user)
    apply_paths(draft, configuration.paths, inputs.local, layered=is_layered(configuration.layering))
    alternatives(draft)
    java_trust_store(draft, plan.epoch)
    additional = configuration.certificates.additional
    provided = _provided_certificates(tree, configuration)
    certificates(draft, additional, provided, plan.epoch, allow_missing_bundle=inputs.allow_missing_bundle)
    sidecars(draft, plan.epoch)
    runtime_keys(draft, configuration.contents.runtime_keyring, plan.epoch)
    services(draft, configuration.entrypoint)
    busybox_links(draft, _busybox_packages(plan))
    device_nodes(draft)
    write_library_cache(draft, plan.arch)
    remark_on_absence(draft)
    write_sbom(draft)
    apk_database(draft, tree.plan, {package.record.name: package.tag for package in plan.packages if package.tag})
    manifest(draft, tree.sha256, inputs.base)
    return CompletedTree(draft, user, tuple(draft.notices), scripts)


def _requested_tags(world: Iterable[str]) -> dict[str, str]:
    """Tag by name, where a request has one: the package may have come from a repository without it."""
    tagged = [text for text in world if "@" in text]
    if not tagged:
        return {}
    from apkiln.formats.apk.dependency import parse_dependency

    return {item.name: item.tag for item in map(parse_dependency, tagged)}


def _replace_scripts(
    draft: Draft, tree: PlannedTree, inputs: CompletionInputs, write_library_cache: WriteLibraryCache
) -> tuple[ScriptReport, ...]:
    packages = [package.files for package in tree.plan.packages[inputs.base_packages :]]
    if not any(package.head.scripts for package in packages):
        return ()
    from apkiln.image.scripts.replacing import replace_scripts

    run: RunUncovered | None = None
    room = inputs.script_room
    if room is not None:
        from apkiln.image.scripts.sandboxed import run_scripts

        def show() -> Iterable[TreeItem]:
            return _runnable_tree(draft, tree, inputs.plan, write_library_cache)

        def run(scripts: tuple[UncoveredScript, ...]) -> tuple[ScriptReport, ...]:
            return run_scripts(draft, scripts, show, room)

    return replace_scripts(draft, packages, inputs.scripts, run)


def _runnable_tree(
    draft: Draft, tree: PlannedTree, plan: ArchitecturePlan, write_library_cache: WriteLibraryCache
) -> Iterator[TreeItem]:
    """The tree with what later rules make and programs need to run; `draft` stays as it is."""
    from apkiln.image.exports.finished_tree import FinishedTree
    from apkiln.image.scripts.sandboxed import tree_items

    before = draft.saved()
    busybox_links(draft, _busybox_packages(plan))
    write_library_cache(draft, plan.arch)
    finished = FinishedTree(draft, tree)
    items = list(tree_items(finished.entries, finished.content))
    try:
        yield from items
    finally:
        draft.restore(before)


def _provided_certificates(tree: PlannedTree, configuration: ImageConfiguration) -> tuple[str, ...]:
    """Certificate files of the packages that provide one of the configured names."""
    wanted = frozenset(configuration.certificates.providers)
    if not wanted:
        return ()
    found: list[str] = []
    for package in tree.plan.packages:
        provides = {item.partition("=")[0] for item in package.files.head.info.provides}
        if wanted & provides:
            found += [place for _, place in package.winning()]
    return certificate_paths(found)


def _busybox_packages(plan: ArchitecturePlan) -> list[str]:
    records = [package.record for package in plan.packages]
    return sorted(record.name for record in records if is_busybox(record.name, record.provides))
