"""apk's own directory: the installed database, scripts, triggers and the lock (spec image.md §5.1 step 2, §5.3)."""

from __future__ import annotations

from collections.abc import Mapping

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.base import database_directory
from apkiln.image.generated.draft import Draft
from apkiln.rootfs.database import installed_database, scripts_archive, triggers_text
from apkiln.rootfs.tree_plan import TreePlan

RULE = "apk-database"


def installed_path(draft: Draft) -> str:
    """Where the installed database is."""
    return draft.resolve_parent(f"{database_directory(draft)}/installed")


def apk_database(draft: Draft, plan: TreePlan, tags: Mapping[str, str]) -> None:
    """Rule `apk-database`: written after every rule that touches a path of a package.  `tags`: package → repository tag."""
    installed = installed_database(plan, changes(draft), tags)
    for name, content, mode in (
        ("installed", installed, 0o644),
        ("lock", b"", 0o600),
        ("scripts.tar", scripts_archive(plan), 0o644),
        ("triggers", triggers_text(plan), 0o644),
    ):
        path = draft.resolve_parent(f"{database_directory(draft)}/{name}")
        draft.put(RULE, Entry(path, EntryType.FILE, mode), content)


def changes(draft: Draft) -> dict[str, Entry | None]:
    """What became of the packages' paths that rules wrote or removed."""
    taken: dict[str, Entry | None] = {
        path: node.entry for path, node in draft.nodes.items() if draft.packages.peek(path) is not None
    }
    return taken | dict.fromkeys(draft.removed)
