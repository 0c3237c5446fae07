"""The draft of an image as the world of scripts: what they ask is answered from it, what they would do is done to it."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import ApkilnError
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.account_files import PackageAccounts
from apkiln.image.scripts.certificate_bundle import certificate_bundle
from apkiln.image.scripts.effects import (
    AddGroup,
    AddMember,
    AddUser,
    Built,
    ChangeMode,
    ChangeOwner,
    Effect,
    EnableUnits,
    MakeDirectory,
    MakeLink,
)
from apkiln.image.scripts.options import NotUnderstood
from apkiln.image.scripts.scene import DraftScene, Scene
from apkiln.image.scripts.sysusers import system_users
from apkiln.image.scripts.tmpfiles import temporary_files
from apkiln.image.scripts.units import enable_units

RULE = "package-scripts"


class DraftWorld:
    """See `walking.World`.  Rule `package-scripts` writes directories, links, modes and owners; other rules the rest."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._accounts = PackageAccounts(draft)
        self._scene = DraftScene(draft)

    @property
    def scene(self) -> Scene:
        return self._scene

    def apply(self, effect: Effect) -> None:
        try:
            self._apply(effect)
        except ApkilnError as fault:
            raise NotUnderstood(fault.message) from None

    def _apply(self, effect: Effect) -> None:
        if isinstance(effect, AddGroup):
            self._accounts.add_group(effect)
        elif isinstance(effect, AddUser):
            self._accounts.add_user(effect)
        elif isinstance(effect, AddMember):
            self._accounts.add_member(effect)
        elif isinstance(effect, MakeDirectory):
            self._make_directory(effect)
        elif isinstance(effect, ChangeOwner):
            self._change_owner(effect)
        elif isinstance(effect, ChangeMode):
            self._change_mode(effect)
        elif isinstance(effect, MakeLink):
            self._make_link(effect)
        elif isinstance(effect, EnableUnits):
            enable_units(self._draft, effect)
        else:
            self._build(effect)

    def _build(self, effect: Built) -> None:
        """What later rules make in any case needs nothing here."""
        if effect is Built.SYSTEM_USERS:
            system_users(self._draft, self._accounts)
        elif effect is Built.TEMPORARY_FILES:
            temporary_files(self._draft, self._accounts)
        elif effect is Built.CERTIFICATE_BUNDLE:
            certificate_bundle(self._draft)

    def _make_directory(self, effect: MakeDirectory) -> None:
        place = self._draft.resolve(effect.path.strip("/"))
        present = self._draft.peek(place) if place else None
        if place and present is None:
            self._draft.put(RULE, Entry(place, EntryType.DIRECTORY, 0o755))
        elif present is not None and not present.directory:
            raise NotUnderstood(f"`{effect.path}` is no directory")
        if place and effect.mode is not None:
            self._draft.change(RULE, place, mode=effect.mode)
        if place and effect.owner:
            self._change_owner(ChangeOwner(effect.path, effect.owner))

    def _change_owner(self, effect: ChangeOwner) -> None:
        user, colon, group = effect.owner.partition(":")
        fields: dict[str, int] = {}
        if user:
            fields["uid"] = self._accounts.user_number(user)
        if group:
            fields["gid"] = self._accounts.group_number(group)
        elif colon and user:
            raise NotUnderstood(f"`{effect.owner}` means the group at login")
        for path in self._targets(effect.path, effect.recursive):
            entry = self._draft.entry(path)
            if entry is not None and any(getattr(entry, name) != number for name, number in fields.items()):
                # The kernel drops these bits when a file gets another owner.
                mode = entry.mode if entry.type is EntryType.DIRECTORY else entry.mode & ~0o6000
                self._draft.change(RULE, path, mode=mode, **fields)

    def _change_mode(self, effect: ChangeMode) -> None:
        for path in self._targets(effect.path, effect.recursive):
            entry = self._draft.entry(path)
            if entry is not None and entry.type is not EntryType.SYMLINK and entry.mode != effect.mode:
                self._draft.change(RULE, path, mode=effect.mode)

    def _targets(self, path: str, recursive: bool) -> Iterable[str]:
        place = self._draft.resolve(path.strip("/"))
        if not place or self._draft.peek(place) is None:
            raise NotUnderstood(f"there is no `{path}`")
        return (place, *(self._draft.below(place) if recursive else ()))

    def _make_link(self, effect: MakeLink) -> None:
        place = self._draft.resolve_parent(effect.path.strip("/"))
        present = self._draft.peek(place)
        if present is not None and present.directory:
            raise NotUnderstood(f"`{effect.path}` is a directory")
        self._draft.put(RULE, Entry(place, EntryType.SYMLINK, 0o777, target=effect.target))
