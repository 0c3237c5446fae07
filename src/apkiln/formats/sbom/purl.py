"""Package URLs: `pkg:type/namespace/name@version?qualifiers#subpath`, in the canonical form of the specification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_~:")
_NOTHING_LEFT = dict.fromkeys(_UNRESERVED)
"""Translates text without anything to quote to nothing."""
_LOWER_CASE = frozenset({"apk", "deb", "github", "oci"})
"""Types whose namespace and name are lower case by definition."""


def purl(
    type_: str,
    namespace: str,
    name: str,
    version: str = "",
    qualifiers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    subpath: str = "",
) -> str:
    """The canonical text.  Qualifiers are sorted, those without a value left out; `namespace` may have several segments."""
    if type_ in _LOWER_CASE:
        namespace, name = namespace.lower(), name.lower()
    segments = [_quoted(part) for part in namespace.split("/") if part]
    text = "/".join([f"pkg:{type_}", *segments, _quoted(name)])
    text += f"@{_quoted(version)}" if version else ""
    pairs = sorted((key.lower(), value) for key, value in dict(qualifiers).items() if value)
    text += "?" + "&".join(f"{key}={_quoted(value, '/')}" for key, value in pairs) if pairs else ""
    parts = [_quoted(part) for part in subpath.split("/") if part not in ("", ".", "..")]
    return text + ("#" + "/".join(parts) if parts else "")


def apk_purl(distribution: str, name: str, version: str, arch: str, *, release: str = "", origin: str = "") -> str:
    """`distribution`: the `ID` of os-release; `release`: its `VERSION_ID`; `origin` is told where it is not the name."""
    qualifiers = {
        "arch": arch,
        "distro": f"{distribution}-{release}" if release else "",
        "upstream": origin if origin != name else "",
    }
    return purl("apk", distribution or "unknown", name, version, qualifiers)


def deb_purl(
    distribution: str, name: str, version: str, arch: str, *, release: str = "", source: str = "", source_version: str = ""
) -> str:
    """A Debian binary package by its raw version; `arch`: Debian name.  The source is told where it differs."""
    upstream = source if source != name else ""
    if source_version and source_version != version:
        upstream = f"{source or name}@{source_version}"
    qualifiers = {"arch": arch, "distro": f"{distribution}-{release}" if release else "", "upstream": upstream}
    return purl("deb", distribution or "debian", name, version, qualifiers)


def oci_purl(name: str, digest: str, *, arch: str = "", media_type: str = "", repository: str = "", tag: str = "") -> str:
    """`name`: last part of the repository, `digest` in its text form, `arch` an OCI architecture."""
    qualifiers = {"arch": arch, "mediaType": media_type, "repository_url": repository, "tag": tag}
    base = name.rpartition("/")[2].lower()
    return purl("oci", "", base or "image", digest, qualifiers)


def source_purl(url: str, commit: str) -> str:
    """A commit of a source repository: GitHub's own type where it is there, else a generic one with `vcs_url`."""
    plain = url.removesuffix("/").removesuffix(".git")
    owner, _, name = plain.removeprefix("https://github.com/").partition("/")
    if plain.startswith("https://github.com/") and name and "/" not in name:
        return purl("github", owner, name, commit)
    return purl("generic", "", plain.rpartition("/")[2] or "source", commit, {"vcs_url": f"git+{url}@{commit}"})


def _quoted(text: str, also: str = "") -> str:
    if not text.translate(_NOTHING_LEFT):
        return text
    safe = _UNRESERVED | set(also.encode())
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode())
