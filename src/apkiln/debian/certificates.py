"""The certificate authorities of a package as programs read them: bundle, names, hashed links (spec debian.md §8.1 row 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apkiln.debian.file_tree import EMPTY_TREE, FileTree
from apkiln.debian.splitting import SplitTree, split_tree
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.x509_subject import pem_certificates, subject_hash

SOURCE = "usr/share/ca-certificates"
DIRECTORY = "etc/ssl/certs"
BUNDLE = f"{DIRECTORY}/ca-certificates.crt"
CONFIGURATION = "etc/ca-certificates.conf"


def certificate_files(contents: Mapping[str, bytes], mtime: int) -> Iterator[tuple[Entry, bytes]]:
    """Configuration, bundle and links for every `*.crt` of the package, all of them trusted, sorted by name.

    Raises FormatError (`certificate-invalid`).
    """
    listed = sorted(path for path in contents if path.startswith(f"{SOURCE}/") and path.endswith(".crt"))
    rows = "".join(f"{path.removeprefix(f'{SOURCE}/')}\n" for path in listed).encode()
    yield _file(CONFIGURATION, b"# Certificates below /usr/share/ca-certificates that are trusted.\n" + rows, mtime)
    bundle = b""
    hashes: dict[str, int] = {}
    for path in listed:
        text = contents[path]
        bundle += text if text.endswith(b"\n") else text + b"\n"
        name = _link_name(path)
        yield _link(f"{DIRECTORY}/{name}", f"/{path}", mtime)
        for certificate in pem_certificates(text)[:1]:
            key = subject_hash(certificate)
            yield _link(f"{DIRECTORY}/{key}.{hashes.get(key, 0)}", name, mtime)
            hashes[key] = hashes.get(key, 0) + 1
    yield _file(BUNDLE, bundle, mtime)


def split_bundle(tree: FileTree, identity: str) -> SplitTree:
    """Cut off what a program needs that only reads the bundle: that file, the copyright, and what scanners know the package by,
    which lies in the directory `identity`.  A package without bundle stays whole."""
    if all(entry.path != BUNDLE for entry in tree.entries):
        return SplitTree(tree, EMPTY_TREE)
    return split_tree(
        tree, lambda entry: entry.path == BUNDLE or entry.path.startswith(f"{identity}/") or entry.path.endswith("/copyright")
    )


def _link_name(path: str) -> str:
    """As update-ca-certificates names them."""
    base = path.rpartition("/")[2].removesuffix(".crt")
    return base.translate(str.maketrans(" ,()", "__==")) + ".pem"


def _file(path: str, content: bytes, mtime: int) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, 0o644, size=len(content), mtime=mtime), content


def _link(path: str, target: str, mtime: int) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.SYMLINK, 0o777, mtime=mtime, target=target), b""
