"""Entries of an output tree as a package has them: owners, times, attributes (spec package.md §10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent
from apkiln.package.emission.request import GuestAccounts

_REFUSED = {EntryType.FIFO: "a fifo", EntryType.BLOCK: "a block device", EntryType.CHARACTER: "a character device"}
_ACL_HEADER, _ACL_ENTRY = 4, 8
_TRIVIAL_ACL = _ACL_HEADER + 3 * _ACL_ENTRY
"""Owner, group and others: what the mode says already."""
_OVERFLOW = 65534
"""What the kernel shows of an id that has no counterpart inside a sandbox."""
_OF_THE_DESKTOP = ("user.xdg.", "user.mime_type", "user.com.apple.", "user.DOSATTRIB")


@dataclass(slots=True)
class Normaliser:
    """Sets right the entries of one package; what it changed in a way that a reader should know is noted."""

    package: str
    accounts: GuestAccounts
    source_date: int
    strict_ids: bool
    keep_user_xattrs: bool
    faults: FaultCollector
    notes: dict[str, None] = field(default_factory=dict)
    _owners: dict[tuple[int, int], tuple[int, int, str, str]] = field(default_factory=dict)
    """Ids of the tree → ids and names of the package."""

    def entries(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Every entry, parents that are missing added, in the order given.

        Faults, FormatError: `device-not-allowed` for devices and fifos, `unknown-id` when strict about ids.
        """
        kept = [self._entry(entry) for entry in entries if not self._is_refused(entry)]
        return (*self._missing_parents(kept), *kept)

    def file(self, path: str, size: int) -> Entry:
        """An entry of root's that the emission adds."""
        return self._entry(Entry(path, EntryType.FILE, 0o644, size=size))

    def _entry(self, entry: Entry) -> Entry:
        owner = self._owners.get((entry.uid, entry.gid)) or self._owner(entry)
        return Entry(
            entry.path,
            entry.type,
            entry.mode & 0o7777,
            *owner,
            entry.size,
            self.source_date,
            entry.target,
            entry.device,
            tuple(pair for pair in sorted(entry.xattrs) if self._is_kept(*pair)) if entry.xattrs else (),
        )

    def _owner(self, entry: Entry) -> tuple[int, int, str, str]:
        """Kept for all files of the same ids, unless they are refused: then each file is named."""
        users, groups = dict(self.accounts.users), dict(self.accounts.groups)
        before = len(self.faults.faults)
        uid = self._id(entry, entry.uid, self.accounts.build_user, users, "user")
        gid = self._id(entry, entry.gid, self.accounts.build_group, groups, "group")
        owner = (uid, gid, users.get(uid, ""), groups.get(gid, ""))
        if len(self.faults.faults) == before:
            self._owners[entry.uid, entry.gid] = owner
        return owner

    def _id(self, entry: Entry, number: int, build: int, known: dict[int, str], what: str) -> int:
        """Numbers that the build gave on purpose stay, also where the guest has no name for them; those of the build user and
        those that have no meaning outside the sandbox become root's."""
        if number in (0, build):
            return 0
        if number in known:
            return number
        if self.strict_ids:
            message = f"`{entry.path}` belongs to {what} {number}, which the build environment does not know"
            self.faults.add(FormatError(message, reason="unknown-id", origin=self._place(entry)))
        kept = number != _OVERFLOW
        self.notes[f"files belong to the unknown {what} {number}" + ("" if kept else ", and become root's")] = None
        return number if kept else 0

    def _is_kept(self, name: str, content: bytes) -> bool:
        if name.startswith("user."):
            return self.keep_user_xattrs and not name.startswith(_OF_THE_DESKTOP)
        if name in ("system.posix_acl_access", "system.posix_acl_default"):
            return len(content) > _TRIVIAL_ACL
        return name == "security.capability"

    def _is_refused(self, entry: Entry) -> bool:
        what = _REFUSED.get(entry.type)
        if what is not None:
            message = f"a package may not ship {what}: `{entry.path}`"
            self.faults.add(FormatError(message, reason="device-not-allowed", origin=self._place(entry)))
        return what is not None

    def _missing_parents(self, entries: list[Entry]) -> Iterator[Entry]:
        present = {entry.path for entry in entries}
        for entry in entries:
            above = parent(entry.path)
            while above and above not in present:
                present.add(above)
                yield self._entry(Entry(above, EntryType.DIRECTORY, 0o755))
                above = parent(above)

    def _place(self, entry: Entry) -> Origin:
        return Origin(package=self.package, member=f"data/{entry.path}")
