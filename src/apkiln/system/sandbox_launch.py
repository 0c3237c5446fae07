"""Prepares a mount namespace and becomes bubblewrap.  Started as a script of its own, with one JSON argument; imports
nothing of the product, because it must start in milliseconds and runs between `fork` and the sandboxed program.

Argument members: `bubblewrap` (argv), `status` (descriptor), `root`, `scratch` (empty host directory), `overlay` (bool),
`scratch_size` (bytes), `mount_points` (names of directories to make in an overlay root), `user_namespace` (bool), `user`,
`group` (ids to take before bubblewrap starts, or null), `limits` ([[resource number, value]…]).  The prepared root
appears at `scratch`/root.  Failure: one line on standard error that starts with `sandbox: `, exit 125, and
`{"launch-error": TEXT}` on the descriptor `status`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_REC_PRIVATE = 0x4000 | 0x40000
MS_BIND_REC = 0x1000 | 0x4000


class Refused(Exception):
    """A system call that the machine does not allow."""


def main(argument: str) -> None:
    """Prepare and replace this process; returns only by raising Refused or OSError."""
    plan: dict[str, Any] = json.loads(argument)
    _unshare(bool(plan["user_namespace"]))
    _mount("none", "/", "", MS_REC_PRIVATE, "")
    _prepare_root(plan)
    _lower_limits(plan["limits"])
    _take_ids(plan)
    os.execv(plan["bubblewrap"][0], plan["bubblewrap"])


def _prepare_root(plan: dict[str, Any]) -> None:
    scratch = plan["scratch"]
    _mount("tmpfs", scratch, "tmpfs", 0, f"mode=0755,size={plan['scratch_size'] or '50%'}")
    for name in ("root", "upper", "work"):
        os.mkdir(f"{scratch}/{name}", 0o755)
    if not plan["overlay"]:
        _mount(plan["root"], f"{scratch}/root", "", MS_BIND_REC, "")
        return
    # The upper directory becomes the root's own directory: a root directory only its owner may enter must stay so.
    os.chmod(f"{scratch}/upper", os.stat(plan["root"]).st_mode & 0o7777)
    os.symlink(plan["root"], f"{scratch}/lower")
    extended = "userxattr," if plan["user_namespace"] else ""
    # Through a symlink without `:` and `,`, so that no character of the root's path can end the option.
    options = f"{extended}lowerdir={scratch}/lower,upperdir={scratch}/upper,workdir={scratch}/work"
    _mount("overlay", f"{scratch}/root", "overlay", 0, options)
    for name in plan["mount_points"]:
        # Here, because a command that is not root could not make them; direct children only, so no link is followed.
        if not os.path.lexists(f"{scratch}/root/{name}"):
            os.mkdir(f"{scratch}/root/{name}", 0o755)


def _unshare(user_namespace: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc().unshare(CLONE_NEWNS | (CLONE_NEWUSER if user_namespace else 0)) != 0:
        raise Refused(f"unshare: {os.strerror(ctypes.get_errno())}")
    if user_namespace:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as stream:
                stream.write(text)


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


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _report(argument: str, fault: Exception) -> None:
    os.write(json.loads(argument)["status"], json.dumps({"launch-error": str(fault)}).encode() + b"\n")
    sys.stderr.write(f"sandbox: {fault}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (Refused, OSError) as fault:
        _report(sys.argv[1], fault)
        sys.exit(125)
