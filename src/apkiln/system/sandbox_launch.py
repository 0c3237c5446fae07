"""Prepares a mount namespace and becomes bubblewrap.  Started as a script of its own, with one argument (a dictionary by
`marshal`, in base 64); imports nothing of the product and few modules at all, because it must start in milliseconds and runs
between `fork` and the sandboxed program.

Argument members: `bubblewrap` (argv), `status` (descriptor), `root`, `scratch` (empty host directory), `overlay` (bool),
`scratch_size` (bytes), `mount_points` (names of directories to make in an overlay root), `user_namespace` (bool), `user`,
`group` (ids to take before bubblewrap starts, or null), `limits` ([[resource number, value]…]), `layers` (directories below
`root`, uppermost first), `kept` (directory for what is written, or ""), `covered` ([[source, kept]…], shown at
`scratch`/coveredN), `shown` (paths to show at `scratch`/shownN), `mapping` ({"uid_map": [[inside, outside, count]…],
"gid_map": …, "programs": [newuidmap, newgidmap] or []}, or null for one id), `join` (files that take `0`), `emulator` (a line
for binfmt_misc, or "").  The prepared root appears at `scratch`/root.  With a member `only` (argv) nothing is mounted and
this program becomes that one.  Failure: one line on standard error that starts with `sandbox: `, exit 125, and
`{"launch-error": TEXT}` on the descriptor `status`.
"""

from __future__ import annotations

import binascii
import ctypes
import marshal
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
KILL = 9
MS_REC_PRIVATE = 0x4000 | 0x40000
MS_BIND_REC = 0x1000 | 0x4000


class Refused(Exception):
    """A system call that the machine does not allow."""


def main(argument: str) -> None:
    """Prepare and replace this process; returns only by raising Refused or OSError."""
    plan: dict[str, Any] = marshal.loads(binascii.a2b_base64(argument))
    os.umask(0o022)
    for path in plan["join"]:
        _write(path, "0")
    if plan["mapping"]:
        _unshare_with(plan["mapping"])
    else:
        _unshare(bool(plan["user_namespace"]))
    if "only" in plan:
        os.execv(plan["only"][0], plan["only"])
    _mount("none", "/", "", MS_REC_PRIVATE, "")
    _prepare_root(plan)
    _lower_limits(plan["limits"])
    _take_ids(plan)
    os.execv(plan["bubblewrap"][0], plan["bubblewrap"])


def _prepare_root(plan: dict[str, Any]) -> None:
    scratch = plan["scratch"]
    _mount("tmpfs", scratch, "tmpfs", 0, f"mode=0755,size={plan['scratch_size'] or '50%'}")
    os.mkdir(f"{scratch}/root", 0o755)
    if plan["emulator"]:
        os.mkdir(f"{scratch}/formats", 0o755)
        _mount("binfmt_misc", f"{scratch}/formats", "binfmt_misc", 0, "")
        _write(f"{scratch}/formats/register", plan["emulator"])
    for number, source in enumerate(plan["shown"]):
        # Reached here with all rights: the ids of the command may not be able to walk to it.
        _make_place(f"{scratch}/shown{number}", os.path.isdir(source))
        _mount(source, f"{scratch}/shown{number}", "", MS_BIND_REC, "")
    for number, (source, kept) in enumerate(plan["covered"]):
        os.mkdir(f"{scratch}/covered{number}", 0o755)
        fresh = not os.path.isdir(f"{kept}/upper")
        _overlay(plan, f"covered{number}", [source], kept)
        if fresh and plan["user"] is not None:
            os.chown(f"{scratch}/covered{number}", plan["user"], plan["group"])
    if not plan["overlay"]:
        _mount(plan["root"], f"{scratch}/root", "", MS_BIND_REC, "")
        return
    _overlay(plan, "root", [plan["root"], *plan["layers"]], plan["kept"])
    for name in plan["mount_points"]:
        # Here, because a command that is not root could not make them; direct children only, so no link is followed.
        if not os.path.lexists(f"{scratch}/root/{name}"):
            os.mkdir(f"{scratch}/root/{name}", 0o755)


def _make_place(path: str, directory: bool) -> None:
    if directory:
        os.mkdir(path, 0o755)
    else:
        _write(path, "")


def _overlay(plan: dict[str, Any], name: str, lower: list[str], kept: str) -> None:
    """Mount at `scratch`/NAME what is in `lower`, the first uppermost, changes going to `kept` or being forgotten.

    Through symlinks of short names without `:` and `,`: no character of a path can end an option, and all fit into a page.
    """
    os.chdir(plan["scratch"])
    os.mkdir(f".{name}", 0o755)
    for number, directory in enumerate(lower):
        os.symlink(directory, f".{name}/{number}")
    if kept:
        os.symlink(kept, f".{name}/kept")
    else:
        os.mkdir(f".{name}/kept", 0o755)
    if not os.path.isdir(f".{name}/kept/upper"):
        os.mkdir(f".{name}/kept/work", 0o755)
        os.mkdir(f".{name}/kept/upper", 0o755)
        # It becomes the root's own directory: a root directory only its owner may enter must stay so.
        os.chmod(f".{name}/kept/upper", os.stat(lower[0]).st_mode & 0o7777)
    os.chdir(f".{name}")
    extended = "userxattr," if plan["user_namespace"] else ""
    options = f"{extended}lowerdir={':'.join(map(str, range(len(lower))))},upperdir=kept/upper,workdir=kept/work"
    _mount("overlay", f"{plan['scratch']}/{name}", "overlay", 0, options)
    os.chdir("/")


def _unshare_with(mapping: dict[str, Any]) -> None:
    """New namespaces in which many ids exist.  A child in the old ones writes the mapping: inside nobody may any more."""
    ready, begin = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(begin)
        os.read(ready, 1)
        os._exit(_map_ids(parent, mapping))
    os.close(ready)
    if _libc().unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        os.kill(child, KILL)
        os.waitpid(child, 0)
        raise Refused(f"unshare: {os.strerror(number)}")
    os.close(begin)
    _pid, status = os.waitpid(child, 0)
    if status != 0:
        raise Refused("map ids: refused")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _map_ids(process: int, mapping: dict[str, Any]) -> int:
    """0 when both mappings are in force."""
    for name, program in zip(("uid_map", "gid_map"), mapping["programs"] or ("", ""), strict=True):
        words = [str(number) for row in mapping[name] for number in row]
        if program:
            status = os.spawnv(os.P_WAIT, program, [program, str(process), *words])
            if status != 0:
                return 1
        else:
            lines = [" ".join(map(str, row)) for row in mapping[name]]
            try:
                _write(f"/proc/{process}/{name}", "\n".join(lines))
            except OSError:
                return 1
    return 0


def _unshare(user_namespace: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc().unshare(CLONE_NEWNS | (CLONE_NEWUSER if user_namespace else 0)) != 0:
        raise Refused(f"unshare: {os.strerror(ctypes.get_errno())}")
    if user_namespace:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            _write(f"/proc/self/{name}", text)


def _lower_limits(limits: list[list[int]]) -> None:
    for number, value in limits:
        _soft, hard = resource.getrlimit(number)
        lowered = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (lowered, lowered))


def _take_ids(plan: dict[str, Any]) -> None:
    if plan["user"] is not None:
        os.setgroups([])
        os.setgid(plan["group"])
        os.setuid(plan["user"])


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(options))
    if _libc().mount(*arguments) != 0:
        raise Refused(f"mount {kind or 'bind'}: {os.strerror(ctypes.get_errno())}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as stream:
        stream.write(text)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _report(argument: str, fault: Exception) -> None:
    import json

    os.write(marshal.loads(binascii.a2b_base64(argument))["status"], json.dumps({"launch-error": str(fault)}).encode() + b"\n")
    sys.stderr.write(f"sandbox: {fault}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (Refused, OSError) as fault:
        _report(sys.argv[1], fault)
        sys.exit(125)
