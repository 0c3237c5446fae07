"""Checks of single texts: each gives what is wrong with a text, or nothing (spec image.md §2)."""

from __future__ import annotations

import re
from base64 import b64decode

from apkiln.core.errors import ApkilnError
from apkiln.core.pattern import pattern

_ARCHITECTURE = pattern(r"[A-Za-z0-9_]+([/.-][A-Za-z0-9_]+)*")
_PORT = pattern(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(?:tcp|udp|sctp))?")
_DURATION = pattern(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")
_OS_RELEASE_KEY = pattern(r"[A-Z][A-Z0-9_]*")
_ACCOUNT_NAME = pattern(r"[^\s:/,\x00-\x1f\x7f-][^\s:/,\x00-\x1f\x7f]*")
_SERVICE_NAME = pattern(r"(?!\.{1,2}$)[^/\x00-\x1f]+")
_CONTENT_NAME = pattern(r"[a-zA-Z0-9_-]+[a-zA-Z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_URI = pattern(r"[a-z][a-z0-9+.-]*:[^\s#]+")


def architecture(text: str) -> str:
    return "" if _ARCHITECTURE.fullmatch(text) else f"`{text}` cannot name an architecture"


def package(text: str) -> str:
    from apkiln.formats.apk.dependency import parse_dependency

    try:
        parse_dependency(text)
    except ApkilnError as error:
        return error.message
    return ""


def package_name(text: str) -> str:
    from apkiln.formats.apk.dependency import is_package_name

    return "" if is_package_name(text) else f"`{text}` is no package name"


def port(text: str) -> str:
    found = _PORT.fullmatch(text)
    numbers = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    return "" if 0 < numbers[0] <= numbers[1] < 65536 else f"`{text}` is no port; write `80`, `80/tcp` or `8000-8010/udp`"


def duration(text: str) -> str:
    return "" if not text or _DURATION.fullmatch(text) else f"`{text}` is no duration; write `30s` or `1m30s`"


def os_release_key(text: str) -> str:
    return "" if _OS_RELEASE_KEY.fullmatch(text) else f"`{text}` is no key of os-release"


def account(text: str) -> str:
    return "" if _ACCOUNT_NAME.fullmatch(text) else f"`{text}` cannot be a user or group name"


def passwd_field(text: str) -> str:
    clean = all(char >= " " and char not in ":\x7f" for char in text) and ".." not in text.split("/")
    return "" if clean else f"`{text}` may not contain `:`, `..` or control characters"


def run_as(text: str) -> str:
    parts = text.split(":", 1)
    clean = not text or all(part and not passwd_field(part) for part in parts)
    return "" if clean else f"`{text}` is neither a user nor `user:group`"


def service(text: str) -> str:
    return "" if _SERVICE_NAME.fullmatch(text) else f"`{text}` cannot name a service"


def content_name(text: str) -> str:
    allowed = "letters, digits, `_` and `-`, and after the first character `.`"
    return "" if _CONTENT_NAME.fullmatch(text) else f"the name `{text}` is not allowed; use {allowed}"


def sha256(text: str) -> str:
    return "" if not text or _SHA256.fullmatch(text) else f"`{text}` is no hex SHA-256"


def uri(text: str) -> str:
    return "" if not text or _URI.fullmatch(text) else f"`{text}` is no URI without fragment"


def variable(text: str) -> str:
    return "" if text and "=" not in text and "\0" not in text else f"`{text}` cannot name a variable"


def filled(text: str) -> str:
    return "" if text.strip() else "empty"


def line(text: str) -> str:
    """A non-empty single line."""
    return "" if text.strip() and not set(text) & set("\n\r\0") else "must be one line of text"


def repository(text: str) -> str:
    """A line of `/etc/apk/repositories` as users write it."""
    address = text.partition(" ")[2] if text.startswith("@") else text
    return line(text) or ("" if address.strip() else f"`{text}` names no repository")


def service_command(text: str) -> str:
    """What follows the first line of a script; may have several lines."""
    if not text.strip():
        return "the command is missing"
    return "must not hold a NUL" if "\0" in text else ""


def command(text: str) -> str:
    from apkiln.image.configuration.command_words import split_words

    try:
        split_words(text)
    except ValueError as error:
        return f"cannot be split into words: {error}"
    return ""


def image_path(text: str) -> str:
    if not text.strip("/"):
        return "the path is missing"
    return f"`{text}` leaves the image" if ".." in text.split("/") or "\0" in text else ""


def xattr_name(text: str) -> str:
    return "" if "." in text and not set(text) & set("\0=") else f"`{text}` is no attribute name"


def xattr_text(text: str) -> str:
    return "" if xattr_value(text) is not None else f"`{text}` is no base64"


def xattr_value(text: str) -> bytes | None:
    """The bytes an entry of `xattrs` stands for; None for broken base64."""
    if not text.startswith("base64:"):
        return text.encode()
    try:
        return b64decode(text.removeprefix("base64:"), validate=True)
    except ValueError:
        return None
