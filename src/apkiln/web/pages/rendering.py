"""From values to HTML.  Every string that reaches a page is a stranger's: escaped, and made visible where it would not be.

Jinja2 with escaping always on and undefined names as errors.  No template marks anything as safe.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from apkiln.web.pages import addresses

if TYPE_CHECKING:
    from jinja2 import Environment

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
ASSETS = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def render(template: str, **values: object) -> bytes:
    """The page as UTF-8.  Cost: proportional to the page."""
    return _environment().get_template(template).render(values).encode()


def visible(value: object) -> object:
    """A string whose control, formatting and direction characters are written out, so that none can hide or turn anything."""
    if value is None:
        raise TypeError("a page would show None")
    if type(value) is not str:
        return value
    return _HIDDEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", value)


def day_text(milliseconds: int) -> str:
    """The day of Unix milliseconds, with hyphens at which no line breaks."""
    return _moment(milliseconds).strftime("%Y\u2011%m\u2011%d")


def clock_text(milliseconds: int) -> str:
    """The time of day of Unix milliseconds; UTC."""
    return _moment(milliseconds).strftime("%H:%M:%S UTC")


def machine_time(milliseconds: int) -> str:
    """Unix milliseconds for `<time datetime>`."""
    return _moment(milliseconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(milliseconds, 0), 253_402_300_799_000) / 1000, UTC)


def size_text(size: int) -> str:
    """Bytes for people, in powers of ten."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{size:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def safe_link(url: str) -> str:
    """The address itself when it is one of the web, else "": nothing else becomes a link."""
    try:
        found = urlsplit(url)
    except ValueError:
        return ""
    return (
        url
        if found.scheme in ("http", "https") and found.netloc and not re.search(r"\s", url) and not _HIDDEN.search(url)
        else ""
    )


def asset(name: str) -> bytes:
    """A file that pages refer to."""
    return (files("apkiln.web") / "static" / name).read_bytes()


@cache
def asset_version(name: str) -> str:
    """Changes with the content; part of the address, so that caches may keep it for ever."""
    return hashlib.sha256(asset(name)).hexdigest()[:12]


@cache
def look() -> str:
    """Names everything that pages are made of besides data: templates and style."""
    state = hashlib.sha256()
    for folder in ("templates", "static"):
        for item in sorted((files("apkiln.web") / folder).iterdir(), key=lambda item: item.name):
            state.update(item.name.encode() + b"\0" + item.read_bytes())
    return state.hexdigest()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("apkiln.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"machine_time": machine_time, "size": size_text, "link": safe_link}
    filters |= {"day": day_text, "clock": clock_text}
    made.filters |= filters
    made.globals |= {
        "page": addresses.page,
        "version_page": addresses.version,
        "file": addresses.file,
        "asset_version": asset_version,
    }
    return made
