"""Users and groups that packages need, in `/etc/passwd` and `/etc/group` (spec debian.md §8.1 row 4)."""

from __future__ import annotations

from apkiln.core.errors import ConflictError
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.accounts import GROUP, PASSWD
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.package_data import check_number, package_data, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RULE = "package-accounts"


def package_accounts(draft: Draft) -> None:
    """Rule `package-accounts`: groups, users and memberships that packages ask for, after those that are there, by name.

    Raises FormatError (`package-data`) and ConflictError (`account-conflict`): a name with another number, a number with
    another name.
    """
    groups = _Table(draft, GROUP)
    users = _Table(draft, PASSWD)
    members: list[tuple[str, str]] = []
    for data in package_data(draft, "accounts"):
        for row in rows(data, "groups", ("name",), ("gid",)):
            groups.add(row["name"], check_number(row["gid"], data.origin), f"x:{row['gid']}:", data.origin)
        for row in rows(data, "users", ("name", "home", "shell", "comment"), ("uid", "gid")):
            users.add(row["name"], check_number(row["uid"], data.origin), _user_fields(row), data.origin)
        members += [(row["user"], row["group"]) for row in rows(data, "members", ("user", "group"))]
    changed = [groups.join(user, group) for user, group in sorted(members)]
    for table in (groups, users):
        table.write(always=any(changed) and table is groups)


def _user_fields(row: dict[str, Any]) -> str:
    return f"x:{row['uid']}:{row['gid']}:{row['comment']}:{row['home']}:{row['shell']}"


class _Table:
    """An account file: its lines, and those to be added."""

    def __init__(self, draft: Draft, path: str) -> None:
        self._draft = draft
        self._path = path
        text = draft.read(path).decode("utf-8", "surrogateescape") if draft.exists(path) else ""
        self._lines = text.splitlines()
        self._added: dict[str, str] = {}
        fields = [line.split(":") for line in self._lines]
        self._numbers = {item[0]: int(item[2]) for item in fields if len(item) > 3 and item[2].isdecimal()}

    def add(self, name: str, number: int, rest: str, origin: Origin) -> None:
        known = self._numbers.get(name)
        taken = next((other for other, value in self._numbers.items() if value == number and other != name), "")
        if (known is not None and known != number) or taken:
            message = f"`{name}` cannot have the number {number}" + (f", which is `{taken}`'s" if taken else f", it has {known}")
            raise ConflictError(message, reason="account-conflict", origin=origin)
        if known is None:
            self._numbers[name] = number
            self._added[name] = f"{name}:{rest}"

    def join(self, user: str, group: str) -> bool:
        """Put a user into the list of a group; a group that is not there has no members.  Whether anything changed."""
        if group in self._added:
            line = self._added[group]
            self._added[group] = line + (user if line.endswith(":") else f",{user}")
            return True
        for number, line in enumerate(self._lines):
            fields = line.split(":")
            if fields[0] == group and len(fields) >= 4 and user not in fields[3].split(","):
                fields[3] = ",".join(filter(None, (*fields[3].split(","), user)))
                self._lines[number] = ":".join(fields)
                return True
        return False

    def write(self, *, always: bool) -> None:
        if not self._added and not always:
            return
        lines = [*self._lines, *(self._added[name] for name in sorted(self._added))]
        content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        place = self._draft.resolve(self._path)
        self._draft.put(RULE, self._draft.entry(place) or Entry(place, EntryType.FILE, 0o644), content)
