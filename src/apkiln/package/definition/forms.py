"""Checks of single texts: each gives what is wrong with a text, or nothing (spec package.md §2.2, §3)."""

from __future__ import annotations

from apkiln.core.pattern import pattern

PACKAGE_NAME = pattern(r"[a-zA-Z\d][a-zA-Z\d+_.-]*")
_DURATION = pattern(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART = pattern(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_CPE_FIELD = pattern(r"[a-z\d][a-z\d+_.-]*")
_CAPABILITY = pattern(r"CAP_[A-Z_]+")
_INTEGER = pattern(r"[-+]?\d{1,18}")

KERNEL_CAPABILITIES = (
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
)
"""Linux capabilities by number, without their `cap_`."""


def package_name(text: str) -> str:
    return "" if PACKAGE_NAME.fullmatch(text) else f"`{text}` is no package name"


def duration(text: str) -> str:
    return "" if not text or _DURATION.fullmatch(text) else f"`{text}` is no duration; write `30m` or `1h30m`"


def nanoseconds(text: str) -> int:
    """The length of a duration that `duration` accepts; an empty text is 0."""
    if not text:
        return 0
    from fractions import Fraction

    total = sum((Fraction(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text)), Fraction(0))
    return int(-total if text.startswith("-") else total)


def cpe_field(text: str) -> str:
    return "" if not text or _CPE_FIELD.fullmatch(text) else f"`{text}` is no CPE value: lower-case letters, digits, `+_.-`"


def process_capability(text: str) -> str:
    return "" if _CAPABILITY.fullmatch(text) else f"`{text}` is no capability; write `CAP_NET_ADMIN`"


def file_capabilities(text: str) -> str:
    """Capability names of `setcap`, separated by commas."""
    for name in text.split(","):
        known = name.strip().lower().removeprefix("cap_") in KERNEL_CAPABILITIES and name.strip().startswith("cap_")
        if not known:
            return f"`{name.strip()}` is no capability of a file; write `cap_net_bind_service`"
    return ""


def priority(text: str) -> str:
    return "" if not text or _INTEGER.fullmatch(text) else f"`{text}` is no whole number"


def dependency(text: str) -> str:
    from apkiln.core.errors import ApkilnError
    from apkiln.formats.apk.dependency import parse_dependency

    try:
        parse_dependency(text)
    except ApkilnError as error:
        return error.message
    return ""


def local_path(text: str) -> str:
    """A path that stays inside the workspace."""
    outside = text.startswith("/") or ".." in text.split("/") or "\0" in text
    return f"`{text}` leaves the workspace" if outside else ""


def licence(text: str) -> str:
    """An SPDX expression; references `LicenseRef-…` are part of it."""
    from apkiln.formats.sbom.licences import NO_ASSERTION, expression

    found = expression(text)
    unknown = [reference for reference in found.references if not reference.text.startswith("LicenseRef-")]
    if found.text == NO_ASSERTION and text.strip() != NO_ASSERTION:
        return "a licence is missing"
    return f"`{unknown[0].text[:60]}` is no SPDX licence" if unknown else ""
