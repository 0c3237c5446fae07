"""Numbers of the users and groups that packages make: fixed per repository, so that they never move (debian.md §8.1 row 4)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from apkiln.core import canonical_json
from apkiln.core.errors import FormatError, InputError
from apkiln.core.origin import Origin
from apkiln.debian.maintainer.static_accounts import FIRST_DYNAMIC, GROUPS, LAST_DYNAMIC, USERS
from apkiln.debian.maintainer.steps import Step


class AccountNumber(NamedTuple):
    """One row of the registry.  Never changes once written."""

    kind: str
    """`user` or `group`."""
    name: str
    number: int


class WantedAccounts(NamedTuple):
    """Names that steps use and whose numbers are not the same on every Debian system."""

    users: tuple[tuple[str, int], ...]
    """(name, number that the package asks for or -1), sorted."""
    groups: tuple[tuple[str, int], ...]


class AccountRegistry:
    """Rows of one repository; grows by `assign`."""

    def __init__(self, rows: Iterable[AccountNumber] = ()) -> None:
        self._numbers: dict[str, dict[str, int]] = {"user": dict(USERS), "group": dict(GROUPS)}
        for row in rows:
            known = self._numbers.get(row.kind)
            if known is None or known.get(row.name, row.number) != row.number or self._taken(row.kind, row.number, row.name):
                raise InputError(f"`{row.kind} {row.name}` contradicts an earlier row", reason="account-number")
            known[row.name] = row.number

    def rows(self) -> tuple[AccountNumber, ...]:
        """Every row that is not the same on all Debian systems, by kind and name."""
        static = {"user": USERS, "group": GROUPS}
        return tuple(
            AccountNumber(kind, name, self._numbers[kind][name])
            for kind in ("group", "user")
            for name in sorted(self._numbers[kind])
            if name not in static[kind]
        )

    def assign(self, wanted: Iterable[WantedAccounts]) -> None:
        """Give numbers to names that have none, in order of name; a user and its group get the same one where both are new.

        Raises InputError (`account-number`) when a number that is asked for is another's, or none is left.
        """
        listed = list(wanted)
        asked = {("user", name): number for item in listed for name, number in item.users if number >= 0}
        asked |= {("group", name): number for item in listed for name, number in item.groups if number >= 0}
        for (kind, name), number in sorted(asked.items()):
            if self._numbers[kind].setdefault(name, number) != number or self._taken(kind, number, name):
                raise InputError(f"{kind} `{name}` cannot have the number {number}", reason="account-number")
        users = {name for item in listed for name, _ in item.users} - self._numbers["user"].keys()
        groups = {name for item in listed for name, _ in item.groups} - self._numbers["group"].keys()
        for name in sorted(users | groups):
            number = self._free(users, groups, name)
            if name in users:
                self._numbers["user"][name] = number
            if name in groups:
                self._numbers["group"][name] = number

    def knows(self, wanted: WantedAccounts) -> bool:
        return all(name in self._numbers["user"] for name, _ in wanted.users) and all(
            name in self._numbers["group"] for name, _ in wanted.groups
        )

    def user(self, name: str) -> int:
        """Number of a user; digits are a number already.  Raises InputError (`unknown-account`)."""
        return self._number("user", name)

    def group(self, name: str) -> int:
        return self._number("group", name)

    def _number(self, kind: str, name: str) -> int:
        if name.isdecimal():
            return int(name)
        number = self._numbers[kind].get(name)
        if number is None:
            raise InputError(f"there is no {kind} `{name}`", reason="unknown-account")
        return number

    def _taken(self, kind: str, number: int, name: str) -> bool:
        return any(other != name and known == number for other, known in self._numbers[kind].items())

    def _free(self, users: set[str], groups: set[str], name: str) -> int:
        kinds = [kind for kind, names in (("user", users), ("group", groups)) if name in names]
        used = {number for kind in kinds for number in self._numbers[kind].values()}
        # The number that the other half has already is the natural one.
        other = next((self._numbers[kind].get(name, -1) for kind in ("user", "group") if kind not in kinds), -1)
        if FIRST_DYNAMIC <= other <= LAST_DYNAMIC and other not in used:
            return other
        both = {number for numbers in self._numbers.values() for number in numbers.values()}
        for number in range(FIRST_DYNAMIC, LAST_DYNAMIC + 1):
            if number not in both:
                return number
        raise InputError("no number is left for another account", reason="account-number")


def wanted_accounts(steps: Iterable[Step]) -> WantedAccounts:
    """The accounts that steps make or name."""
    users: dict[str, int] = {}
    groups: dict[str, int] = {}
    for step in steps:
        match step.verb, step.arguments:
            case "group", (name, *number):
                groups[name] = int(number[0]) if number else groups.get(name, -1)
            case "user", (name, number, group, *_):
                users[name] = int(number) if number else users.get(name, -1)
                groups.setdefault(group, -1)
            case "member", (user, group):
                users.setdefault(user, -1)
                groups.setdefault(group, -1)
            case (("owner" | "owners"), (_, user, group)):
                users.setdefault(user or "root", -1)
                groups.setdefault(group or "root", -1)
    return WantedAccounts(_dynamic(users, USERS), _dynamic(groups, GROUPS))


def _dynamic(names: dict[str, int], static: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((name, names[name]) for name in sorted(names) if name not in static and not name.isdecimal())


def write_accounts(rows: Iterable[AccountNumber]) -> bytes:
    """Canonical JSON lines, one row each."""
    return b"".join(canonical_json.encode(row._asdict()) + b"\n" for row in rows)


def read_accounts(data: bytes, source: str) -> tuple[AccountNumber, ...]:
    """Rows of a registry file.  Raises FormatError (`account-syntax`) with line."""
    rows: list[AccountNumber] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        try:
            row = AccountNumber(**json.loads(line))
            if row.kind not in ("user", "group") or type(row.name) is not str or type(row.number) is not int:
                raise TypeError("types")
        except (ValueError, TypeError) as error:
            raise FormatError(
                "not a row of an account registry", reason="account-syntax", origin=Origin(source, number)
            ) from error
        rows.append(row)
    return tuple(rows)
