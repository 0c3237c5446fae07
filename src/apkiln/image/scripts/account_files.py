"""Users and groups that packages make in their scripts or list in `sysusers.d` (rule `account-files`).

Numbers are given as the programs give them: by the order of packages alone, so that equal images get equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.accounts import GROUP, PASSWD, RULE, SHADOW
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.effects import AddGroup, AddMember, AddUser
from apkiln.image.scripts.options import NotUnderstood

_SYSTEM = range(100, 1000)
_USERS = range(1000, 60000)
_NOBODY = "65533"
"""What busybox gives users without a group when there is no `nogroup`."""
_FORBIDDEN = frozenset(":\n\r\0")


class PackageAccounts:
    """The account files of a draft while scripts change them."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def add_group(self, wanted: AddGroup) -> None:
        """Raises NotUnderstood when the number is taken."""
        rows = self._rows(GROUP)
        if any(row[0] == wanted.name for row in rows):
            return
        _check(wanted.name)
        used = _numbers(rows)
        if wanted.gid is not None and wanted.gid in used:
            raise NotUnderstood(f"the group number {wanted.gid} of `{wanted.name}` is taken")
        gid = wanted.gid if wanted.gid is not None else _free(wanted.system, wanted.downwards, used)
        self._append(GROUP, f"{wanted.name}:x:{gid}:")

    def add_user(self, wanted: AddUser) -> None:
        """Raises NotUnderstood when the number is taken, or the group does not exist."""
        users = self._rows(PASSWD)
        if any(row[0] == wanted.name for row in users):
            return
        for text in (wanted.name, wanted.gecos, wanted.home, wanted.shell):
            _check(text)
        used = _numbers(users)
        if wanted.uid is not None and wanted.uid in used:
            raise NotUnderstood(f"the user number {wanted.uid} of `{wanted.name}` is taken")
        own = wanted.own_group and not wanted.group
        taken = used | _numbers(self._rows(GROUP)) if own else used
        uid = wanted.uid if wanted.uid is not None else _free(wanted.system, wanted.downwards, taken)
        if own:
            self.add_group(AddGroup(wanted.name, uid if wanted.gid is None else wanted.gid))
        gid = self._group_number(wanted.group or (wanted.name if own else "nogroup"))
        self._append(PASSWD, f"{wanted.name}:x:{uid}:{gid}:{wanted.gecos}:{wanted.home}:{wanted.shell}")
        if self._draft.file_at(SHADOW):
            self._append(SHADOW, f"{wanted.name}:!:::::::")

    def add_member(self, wanted: AddMember) -> None:
        """Raises NotUnderstood when the group does not exist."""
        rows = self._rows(GROUP)
        found = [row for row in rows if row[0] == wanted.group and len(row) >= 4]
        if not found:
            raise NotUnderstood(f"there is no group `{wanted.group}`")
        _check(wanted.user)
        members = [member for member in found[0][3].split(",") if member]
        if wanted.user not in members:
            found[0][3] = ",".join((*members, wanted.user))
            self._write(GROUP, "".join(":".join(row) + "\n" for row in rows))

    def user_number(self, name: str) -> int:
        """The number of a user, or the number that `name` is.  Raises NotUnderstood."""
        return self._number(PASSWD, name, lambda row: row[2])

    def group_number(self, name: str) -> int:
        """As `user_number`, of a group."""
        return self._number(GROUP, name, lambda row: row[2])

    def _number(self, path: str, name: str, field: Callable[[list[str]], str]) -> int:
        for row in self._rows(path):
            if row[0] == name and len(row) > 2 and row[2].isdecimal():
                return int(field(row))
        if name.isdecimal():
            return int(name)
        raise NotUnderstood(f"there is no `{name}` in `/{path}`")

    def _group_number(self, name: str) -> str:
        for row in self._rows(GROUP):
            if row[0] == name and len(row) > 2:
                return row[2]
        if name == "nogroup":
            return _NOBODY
        if name.isdecimal():
            return name
        raise NotUnderstood(f"there is no group `{name}`")

    def _rows(self, path: str) -> list[list[str]]:
        if not self._draft.file_at(path):
            return []
        return [line.split(":") for line in self._draft.read(path).decode("utf-8", "surrogateescape").splitlines() if line]

    def _append(self, path: str, line: str) -> None:
        before = self._draft.read(path).decode("utf-8", "surrogateescape") if self._draft.file_at(path) else ""
        if before and not before.endswith("\n"):
            before += "\n"
        self._write(path, f"{before}{line}\n")

    def _write(self, path: str, text: str) -> None:
        place = self._draft.resolve(path)
        entry = self._draft.entry(place) or Entry(place, EntryType.FILE, 0o644)
        self._draft.put(RULE, entry, text.encode("utf-8", "surrogateescape"))


def _free(system: bool, downwards: bool, used: frozenset[int]) -> int:
    numbers: Iterable[int] = _SYSTEM if system else _USERS
    if system and downwards:
        numbers = reversed(_SYSTEM)
    for number in numbers:
        if number not in used:
            return number
    raise NotUnderstood("no number is left for the account")


def _numbers(rows: Iterable[list[str]]) -> frozenset[int]:
    return frozenset(int(row[2]) for row in rows if len(row) > 2 and row[2].isdecimal())


def _check(text: str) -> None:
    if not text.isprintable() or _FORBIDDEN & set(text):
        raise NotUnderstood(f"{text!r} cannot stand in an account file")
