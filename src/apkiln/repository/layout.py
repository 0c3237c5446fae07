"""Where things are in a repository directory.

    DIR/<key>.rsa.pub                 public keys, for clients to fetch
    DIR/<arch>/APKINDEX.tar.gz        signed index of one architecture
    DIR/<arch>/<name>-<version>.apk   every package that the index lists
    DIR/noarch/<name>-<version>.apk   packages for any architecture
    DIR/../keys/<key>.rsa             private keys, outside of what is served

`noarch` (spec apk.md §5): a client fetches `<base>/<A: of the record>/<name>-<version>.apk`, so a package that says
`noarch` is listed in the index of every architecture with `A:` rewritten to that architecture (as `apk index
--rewrite-arch` does) and its file lies in that architecture's directory.  apk looks there because of the rewritten
field, apko because it takes the index's own directory.  `noarch/` keeps the file too, so that architectures that come
later get it.
"""

from __future__ import annotations

from pathlib import PurePath

from apkiln.formats.apk.contents import PackageInfo

NOARCH = "noarch"
INDEX = "APKINDEX.tar.gz"
LOCK = ".apkiln.lock"
PACKAGE_SUFFIX = ".apk"
PUBLIC_SUFFIX = ".pub"


def package_file(info: PackageInfo) -> str:
    """File name of a package."""
    return f"{info.name_version}{PACKAGE_SUFFIX}"


def index_path(directory: PurePath, arch: str) -> PurePath:
    """The index of one architecture."""
    return directory / arch / INDEX


def private_key_directory(directory: PurePath) -> PurePath:
    """Where private keys are looked for unless one is named: beside the served directory, never inside."""
    return directory.parent / "keys"
