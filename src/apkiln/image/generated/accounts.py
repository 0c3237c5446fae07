"""Users and groups: `/etc/passwd`, `/etc/group`, `/etc/shadow`, `/etc/gshadow`, homes (spec image.md §5.1 step 7).

Lines of packages stay byte for byte; ours are appended.  A file that a package ships keeps its mode, owner and time.
"""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import ConfigurationError, FaultCollector, InputError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import Accounts, Group, User
from apkiln.image.generated.draft import Draft

RULE = "account-files"
PASSWD = "etc/passwd"
GROUP = "etc/group"
SHADOW = "etc/shadow"
GSHADOW = "etc/gshadow"
GECOS = "Account created by apko"
"""The peer's words: an image moved over from it keeps its passwd byte for byte."""
_NO_HOME = "/dev/null"
_SHADOW_MODE = 0o640


class Account(NamedTuple):
    """A line of passwd, as far as images need it."""

    name: str
    uid: int
    gid: int
    home: str


def accounts(draft: Draft, wanted: Accounts) -> None:
    """Rule `account-files`: groups, users, shadow entries; an empty passwd where there is none.

    Raises ConfigurationError (`user-without-name`, `user-is-root`, `account-name`, `unknown-group`), all faults at once.
    """
    _check(draft, wanted)
    _append(draft, GROUP, [_group_line(group) for group in wanted.groups])
    _add_members(draft, wanted.users)
    _append(draft, PASSWD, [_user_line(user) for user in wanted.users], always=True)
    _append(draft, SHADOW, [f"{user.username}:!:::::::" for user in wanted.users], mode=_SHADOW_MODE)
    if wanted.gshadow:
        lines = [f"{group.groupname}:!::{','.join(group.members)}" for group in wanted.groups]
        _append(draft, GSHADOW, lines, mode=_SHADOW_MODE)


def homes(draft: Draft) -> None:
    """Rule `home-directories`: 0700, owned by its user, for every user of passwd whose home is missing."""
    for account in read_passwd(_text(draft, PASSWD)):
        path = account.home.strip("/")
        if account.home == _NO_HOME or not path:
            continue
        place = draft.resolve(path)
        if place and not draft.exists(place):
            draft.put("home-directories", Entry(place, EntryType.DIRECTORY, 0o700, account.uid, account.gid))


def numeric_user(run_as: str, passwd: bytes) -> str:
    """`run-as` for the image configuration: a user name of passwd becomes its uid, everything else stays as written.

    `user:group` keeps its second part.
    """
    user, colon, group = run_as.partition(":")
    known = {account.name: account.uid for account in reversed(read_passwd(passwd))}
    return f"{known.get(user, user)}{colon}{group}"


def read_passwd(text: bytes) -> tuple[Account, ...]:
    """The lines of passwd that name a user with numeric ids, in order; others are none of our business and skipped."""
    found = []
    for line in text.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[0] and fields[2].isdecimal() and fields[3].isdecimal():
            found.append(Account(fields[0], int(fields[2]), int(fields[3]), fields[5]))
    return tuple(found)


def _user_line(user: User) -> str:
    return f"{user.username}:x:{user.uid}:{user.group_id}:{GECOS}:{user.home}:{user.login_shell}"


def _group_line(group: Group) -> str:
    return f"{group.groupname}:x:{group.gid}:{','.join(group.members)}"


def _text(draft: Draft, path: str) -> bytes:
    return draft.read(path) if draft.exists(path) else b""


def _append(draft: Draft, path: str, lines: Iterable[str], *, mode: int = 0o644, always: bool = False) -> None:
    """`lines` at the end of a file, which is made when there are any (`always`: made in any case)."""
    addition = "".join(f"{line}\n" for line in lines).encode()
    present = draft.exists(path)
    if not addition and (present or not always):
        return
    before = _text(draft, path)
    if before and not before.endswith(b"\n"):
        before += b"\n"
    _write(draft, path, before + addition, mode)


def _write(draft: Draft, path: str, content: bytes, mode: int) -> None:
    place = draft.resolve(path)
    draft.put(RULE, draft.entry(place) or Entry(place, EntryType.FILE, mode), content)


def _add_members(draft: Draft, users: Iterable[User]) -> None:
    """Put users with supplementary groups into the member lists of `/etc/group`."""
    wanted = [(name, user.username) for user in users for name in user.groups]
    if not wanted:
        return
    lines = [line.split(":") for line in _text(draft, GROUP).decode("utf-8", "surrogateescape").splitlines()]
    for group, member in wanted:
        for fields in lines:
            if fields[0] == group and len(fields) >= 4 and member not in fields[3].split(","):
                fields[3] = ",".join(filter(None, (*fields[3].split(","), member)))
    _write(draft, GROUP, "".join(":".join(fields) + "\n" for fields in lines).encode("utf-8", "surrogateescape"), 0o644)


def _check(draft: Draft, wanted: Accounts) -> None:
    faults = FaultCollector.empty()
    for user in wanted.users:
        if not user.username:
            faults.add(_fault("a user needs a name", "user-without-name", user.origin))
        if user.uid == 0:
            faults.add(_fault(f"user `{user.username}` may not have uid 0", "user-is-root", user.origin))
        for text in (user.username, user.homedir, user.shell):
            _check_text(text, user.origin, faults)
    for group in wanted.groups:
        for text in (group.groupname, *group.members):
            _check_text(text, group.origin, faults)
    known = {line.split(b":")[0].decode("utf-8", "replace") for line in _text(draft, GROUP).splitlines()}
    known |= {group.groupname for group in wanted.groups}
    for user in wanted.users:
        for name in user.groups:
            if name not in known:
                message = f"user `{user.username}` names the group `{name}`, which does not exist"
                faults.add(_fault(message, "unknown-group", user.origin))
    faults.raise_if_any()


def _check_text(text: str, origin: Origin, faults: FaultCollector) -> None:
    """Colons and line ends would forge further fields or lines."""
    if ":" in text or "\n" in text or "\r" in text or "\0" in text:
        faults.add(_fault(f"{text!r} cannot stand in an account file", "account-name", origin))


def _fault(message: str, reason: str, origin: Origin) -> InputError:
    return ConfigurationError(message, reason=reason, origin=origin)
