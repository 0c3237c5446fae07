"""Steps carried out on the file tree of a package, and what is left to the image that it is put into (spec debian.md §8.1)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from apkiln.core import canonical_json
from apkiln.core.errors import ConflictError, InputError
from apkiln.core.origin import Origin
from apkiln.debian.accounts import AccountRegistry
from apkiln.debian.certificates import certificate_files
from apkiln.debian.file_tree import FileTree, build_tree, merged_path
from apkiln.debian.maintainer.static_accounts import GROUPS, USERS
from apkiln.debian.maintainer.steps import Step
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent

IMAGE_DATA = "usr/share/apkiln"
"""Below it, in `accounts`, `alternatives` and `image-steps`, one JSON file per package tells an image build what to do."""
CAPABILITIES_MAGIC, CAPABILITY_EFFECTIVE = 0x02000000, 1
_CAPABILITY_NAMES = """chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
    net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct
    sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap
    mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"""
_CLAUSE = re.compile(r"(?P<names>[a-z_,]+)(?:=|\+|=\+)(?P<flags>[eip]+)")
CAPABILITIES = tuple(f"cap_{name}" for name in _CAPABILITY_NAMES.split())
"""In the order of their numbers (linux/capability.h)."""


def apply_steps(tree: FileTree, steps: Iterable[Step], accounts: AccountRegistry, newest: int, package: str) -> FileTree:
    """The tree with every step done.  Steps whose path is not there are errors: they were checked against this very tree.

    Raises InputError (`step-path`, `unknown-account`, `step-capability`), ConflictError (`file-conflict`) and FormatError
    (`certificate-invalid`).
    """
    worker = _Worker(tree, accounts, newest, package)
    for step in steps:
        worker.take(step)
    return worker.tree(tree.moved)


class _Worker:
    def __init__(self, tree: FileTree, accounts: AccountRegistry, newest: int, package: str) -> None:
        self._entries = {entry.path: entry for entry in tree.entries}
        self._contents = dict(tree.contents)
        self._accounts = accounts
        self._newest = newest
        self._package = package
        self._users: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, int] = {}
        self._members: dict[tuple[str, str], None] = {}
        self._alternatives: list[dict[str, Any]] = []
        self._presets: dict[str, list[str]] = {}
        self._image_steps: dict[str, None] = {}

    def take(self, step: Step) -> None:
        getattr(self, f"_{step.verb.replace('-', '_')}")(*step.arguments)

    def tree(self, moved: int) -> FileTree:
        for path, content in self._generated():
            self._put(Entry(path, EntryType.FILE, 0o644, mtime=self._newest), content)
        members = [(entry, self._contents.get(entry.path, b"")) for entry in self._entries.values()]
        built = build_tree(members, self._package, self._newest)
        return FileTree(built.entries, built.contents, moved)

    # Files

    def _directory(self, path: str, mode: str) -> None:
        if path not in self._entries:
            self._put(Entry(path, EntryType.DIRECTORY, int(mode, 8), mtime=self._newest))

    def _file(self, path: str, mode: str, content: str) -> None:
        present = self._entries.get(path)
        kept = present.mode if present is not None and present.type is EntryType.FILE else int(mode, 8)
        self._put(Entry(path, EntryType.FILE, kept, mtime=self._newest), content.encode("utf-8", "surrogateescape"))

    def _copy(self, source: str, path: str) -> None:
        entry = self._present(source)
        if entry.type is EntryType.HARDLINK:
            entry = self._present(entry.target)
        if entry.type is EntryType.DIRECTORY:
            raise self._fault(f"`{source}` is a directory and is not copied", "step-path")
        self._put(entry._replace(path=path, mtime=self._newest), self._contents.get(entry.path, b""))

    def _move(self, source: str, path: str) -> None:
        self._copy(source, path)
        self._remove(source)

    def _link(self, path: str, target: str) -> None:
        text = f"/{merged_path(target.lstrip('/'))}" if target.startswith("/") else target
        self._put(Entry(path, EntryType.SYMLINK, 0o777, mtime=self._newest, target=text))

    def _remove(self, path: str) -> None:
        for known in [known for known in self._entries if known == path or known.startswith(f"{path}/")]:
            if any(entry.type is EntryType.HARDLINK and entry.target == known for entry in self._entries.values()):
                raise self._fault(f"`{known}` has other names and is not removed", "step-path")
            del self._entries[known]
            self._contents.pop(known, None)

    def _mode(self, path: str, mode: str) -> None:
        self._change(path, mode=int(mode, 8) & 0o7777)

    def _owner(self, path: str, user: str, group: str) -> None:
        changed: dict[str, Any] = {}
        if user:
            changed |= {"uid": self._accounts.user(user), "uname": "" if user.isdecimal() else user}
        if group:
            changed |= {"gid": self._accounts.group(group), "gname": "" if group.isdecimal() else group}
        entry = self._present(path)
        # As the kernel does it: a file that changes hands loses setuid and setgid.
        mode = entry.mode & 0o1777 if entry.type is EntryType.FILE else entry.mode
        self._change(path, mode=mode, **changed)

    def _owners(self, path: str, user: str, group: str) -> None:
        for known in [known for known in self._entries if known == path or known.startswith(f"{path}/")]:
            self._owner(known, user, group)

    def _capability(self, path: str, text: str) -> None:
        entry = self._present(path)
        others = tuple(item for item in entry.xattrs if item[0] != "security.capability")
        try:
            value = encode_capabilities(text)
        except InputError as fault:
            raise fault.located(Origin(package=self._package, member=f"data/{path}")) from None
        self._change(path, xattrs=tuple(sorted((*others, ("security.capability", value)))))

    def _divert(self, path: str, other: str) -> None:
        """Concerns files of other packages: an image that holds both is refused by its file conflict."""

    def _certificates(self) -> None:
        for entry, content in certificate_files(self._contents, self._newest):
            self._put(entry, content)

    # What the image does

    def _java_certificates(self) -> None:
        self._image_steps["java-certificates"] = None

    def _group(self, name: str, number: str = "") -> None:
        if name in GROUPS:
            return  # every Debian system has it; the base layout ships it
        self._groups[name] = int(number) if number else self._accounts.group(name)

    def _user(self, name: str, number: str, group: str, home: str, shell: str, comment: str) -> None:
        if name in USERS:
            return  # as for groups
        uid = int(number) if number else self._accounts.user(name)
        self._users[name] = {
            "name": name, "uid": uid, "gid": self._accounts.group(group), "home": home, "shell": shell, "comment": comment
        }  # fmt: skip

    def _member(self, user: str, group: str) -> None:
        self._members[user, group] = None

    def _alternative(self, link: str, name: str, path: str, priority: str, *slaves: str) -> None:
        rows = [dict(zip(("link", "name", "path"), slaves[at : at + 3], strict=True)) for at in range(0, len(slaves), 3)]
        self._alternatives.append({"link": link, "name": name, "path": path, "priority": int(priority), "slaves": rows})

    def _service(self, unit: str, kind: str) -> None:
        self._presets.setdefault(kind, []).append(unit)

    def _generated(self) -> Iterator[tuple[str, bytes]]:
        if self._users or self._groups or self._members:
            accounts = {
                "groups": [{"name": name, "gid": self._groups[name]} for name in sorted(self._groups)],
                "users": [self._users[name] for name in sorted(self._users)],
                "members": [{"user": user, "group": group} for user, group in sorted(self._members)],
            }
            yield f"{IMAGE_DATA}/accounts/{self._package}.json", canonical_json.encode(accounts)
        if self._alternatives:
            listed = sorted(self._alternatives, key=lambda item: (item["name"], item["path"]))
            yield f"{IMAGE_DATA}/alternatives/{self._package}.json", canonical_json.encode({"alternatives": listed})
        if self._image_steps:
            steps = canonical_json.encode({"steps": sorted(self._image_steps)})
            yield f"{IMAGE_DATA}/image-steps/{self._package}.json", steps
        for kind, units in sorted(self._presets.items()):
            text = "".join(f"enable {unit}\n" for unit in sorted(set(units)))
            yield f"usr/lib/systemd/{kind}-preset/90-{self._package}.preset", text.encode()

    # Entries

    def _present(self, path: str) -> Entry:
        entry = self._entries.get(path)
        if entry is None:
            raise self._fault(f"`{path}` is not there to be changed", "step-path")
        return entry

    def _change(self, path: str, **fields: Any) -> None:
        entry = self._present(path)
        first = entry.target if entry.type is EntryType.HARDLINK else path
        for known, other in list(self._entries.items()):
            if known == first or (other.type is EntryType.HARDLINK and other.target == first):
                self._entries[known] = other._replace(**fields)

    def _put(self, entry: Entry, content: bytes = b"") -> None:
        present = self._entries.get(entry.path)
        if present is not None and (present.type is EntryType.DIRECTORY) != (entry.type is EntryType.DIRECTORY):
            place = Origin(package=self._package, member=f"data/{entry.path}")
            raise ConflictError("a directory and something else meet on one path", reason="file-conflict", origin=place)
        self._entries[entry.path] = entry
        self._contents.pop(entry.path, None)
        if entry.type is EntryType.FILE:
            self._entries[entry.path] = entry._replace(size=len(content))
            self._contents[entry.path] = content
        directory = parent(entry.path)
        if directory and directory not in self._entries:
            self._put(Entry(directory, EntryType.DIRECTORY, 0o755, mtime=self._newest))

    def _fault(self, message: str, reason: str) -> InputError:
        return InputError(message, reason=reason, origin=Origin(package=self._package))


def encode_capabilities(text: str) -> bytes:
    """The xattr `security.capability` (version 2) for a clause list as setcap takes it, such as `cap_net_raw,cap_net_admin+ep`.

    Raises InputError (`step-capability`).
    """
    permitted = inheritable = 0
    effective = False
    for clause in text.split():
        found = _CLAUSE.fullmatch(clause.lower())
        if found is None:
            raise InputError(f"`{text}` is no list of capabilities", reason="step-capability")
        flags = found["flags"]
        for name in found["names"].split(","):
            if name not in CAPABILITIES:
                raise InputError(f"`{name}` is no capability", reason="step-capability")
            bit = 1 << CAPABILITIES.index(name)
            permitted |= bit if "p" in flags else 0
            inheritable |= bit if "i" in flags else 0
        effective = effective or "e" in flags
    low, high = 0xFFFFFFFF, 32
    magic = CAPABILITIES_MAGIC | (CAPABILITY_EFFECTIVE if effective else 0)
    return struct.pack("<5I", magic, permitted & low, inheritable & low, permitted >> high, inheritable >> high)
