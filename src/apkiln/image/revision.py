"""The revision of the repository that a definition lies in, for source and revision annotations (spec image.md §6 "VCS").

Read from git's own files: no program runs, nothing is fetched.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import MIB
from apkiln.core.secret import redact_url
from apkiln.system.files import FileReader

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECTION = re.compile(r'\[remote "origin"\]')
_LIMIT = 4 * MIB
_INDIRECTIONS = 5
"""Symbolic references followed."""


def find_revision(files: FileReader, directory: PurePath, top: PurePath) -> str:
    """`url@commit` of the checkout that holds `directory`, looked for upwards until `top`; "" when there is none.

    The URL is that of `origin`, without user part.  What cannot be read counts as absent: an image does not depend on it
    unless asked to.
    """
    place = directory
    while True:
        try:
            found = _read(files, place)
        except ApkilnError:
            return ""
        if found or place in (top, place.parent) or not place.is_relative_to(top):
            return found
        place = place.parent


def _read(files: FileReader, place: PurePath) -> str:
    git = _git_directory(files, place)
    if git is None:
        return ""
    common = _text(files, git / "commondir").strip()
    shared = git / common if common else git
    url = _origin_url(_text(files, shared / "config"))
    commit = _commit(files, git, shared, "HEAD", _INDIRECTIONS)
    return f"{redact_url(url)}@{commit}" if url and commit else ""


def _git_directory(files: FileReader, place: PurePath) -> PurePath | None:
    """`.git`, or the directory that the file `.git` of a linked checkout names."""
    status = files.status(place / ".git")
    if status is None:
        return None
    if status.is_directory:
        return place / ".git"
    return place / _text(files, place / ".git").removeprefix("gitdir:").strip()


def _origin_url(config: str) -> str:
    inside = False
    for line in config.splitlines():
        text = line.strip()
        if text.startswith("["):
            inside = _SECTION.fullmatch(text) is not None
        key, _, value = text.partition("=")
        if inside and key.strip() == "url":
            return value.strip().strip('"')
    return ""


def _commit(files: FileReader, git: PurePath, shared: PurePath, name: str, depth: int) -> str:
    for directory in dict.fromkeys((git, shared)):
        text = _text(files, directory / name).strip()
        if text.startswith("ref:") and depth:
            return _commit(files, git, shared, text.removeprefix("ref:").strip(), depth - 1)
        if _COMMIT.fullmatch(text):
            return text
    for line in _text(files, shared / "packed-refs").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _text(files: FileReader, path: PurePath) -> str:
    status = files.status(path)
    if status is None or not status.is_file:
        return ""
    return files.read(path, _LIMIT).decode("utf-8", "replace")
