"""Why a machine refuses user namespaces, and what allows them, by distribution (spec package.md §9.6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_SWITCHES = (
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user namespaces (Ubuntu): `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or a profile",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "user namespaces are for root only (Debian before 11, Arch hardened): `sysctl kernel.unprivileged_userns_clone=1`",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "user namespaces are switched off (RHEL 7, hardened systems): `sysctl user.max_user_namespaces=15000`",
    ),
)
_OTHERWISE = (
    "inside a container, start it with user namespaces and mounts allowed (`--security-opt seccomp=unconfined`, or privileged); "
    "otherwise run as root"
)


def namespace_advice(read: Callable[[str], str] | None = None) -> str:
    """One sentence for the machine at hand.  `read` gives the content of a file, "" when there is none."""
    read = read or _content
    for path, refusing, advice in _SWITCHES:
        if read(path).strip() == refusing:
            return advice
    return _OTHERWISE


def _content(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
