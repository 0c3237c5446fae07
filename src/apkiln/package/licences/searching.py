"""Licence files of a directory or package, read and named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Protocol

from apkiln.core.limits import MIB
from apkiln.package.definition.model import Copyright
from apkiln.package.licences.classifying import Classifier, read_table
from apkiln.package.licences.comparing import LicenceFile, compare, lines
from apkiln.package.licences.names import SHALLOW, licence_files
from apkiln.system.files import FileReader
from apkiln.system.folder import DirectoryFolder

TABLE = PurePath(__file__).parent / "texts.bin"
MAXIMUM_FILE = 4 * MIB
MAXIMUM_FILES = 10_000


class Texts(Protocol):
    """Files by relative name: the part of `system.folder.Folder` that is needed."""

    def read(self, name: str, limit: int) -> bytes | None: ...

    def names(self) -> tuple[str, ...]: ...


def open_classifier(files: FileReader) -> Classifier:
    """The classifier with the table that comes with the product; about 50 ms."""
    return Classifier(read_table(files.read(TABLE, 16 * MIB)))


def check_workspace(directory: PurePath, entries: tuple[Copyright, ...], files: FileReader) -> tuple[str, ...]:
    """What a definition's `copyright` and the licence files in the upper two levels of a workspace disagree in, a line each;
    nothing where there are no such files (spec package.md §8.4)."""
    texts = DirectoryFolder(directory, SHALLOW)
    further = [entry.license_path.text for entry in entries if entry.license_path.text]
    if not further and not licence_files(texts.names(), deep=False):
        return ()
    found = found_licences(texts, open_classifier(files), further=further)
    comparison = compare(entries, found)
    permissive = f"not permissive: {', '.join(comparison.not_permissive)}" if comparison.not_permissive else ""
    return (*lines(comparison), *filter(None, (permissive,)))


def found_licences(
    texts: Texts, classifier: Classifier, *, deep: bool = False, further: Iterable[str] = ()
) -> tuple[LicenceFile, ...]:
    """Every licence file, likeliest first, then the files of `further` that are there and are not among them."""
    names = licence_files(texts.names(), deep=deep)[:MAXIMUM_FILES]
    found: list[LicenceFile] = []
    for name in dict.fromkeys((*names, *further)):
        content = texts.read(name, MAXIMUM_FILE)
        if content is not None:
            found.append(LicenceFile(name, classifier.matches(content.decode("utf-8", "replace"))))
    return tuple(found)
