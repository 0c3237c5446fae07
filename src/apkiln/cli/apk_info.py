"""`apkiln apk info`: what a package or an index says and holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.apk_files import INDEX, kind_of, open_file
from apkiln.core.errors import ApkilnError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.formats.archive.path import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apkiln.cli.context import Context
    from apkiln.formats.apk.contents import PackageContents
    from apkiln.formats.apk.index import IndexText, SignedIndex
    from apkiln.formats.apk.records import IndexRecord

NAME = "apk info"
HELP = "Show what packages and indexes say and hold.  Oddities that `apk verify` would refuse are listed, not refused."
EPILOG = """examples:
  apkiln apk info hello-2.12-r0.apk
  apkiln apk info --files hello-2.12-r0.apk
  apkiln apk info --json APKINDEX.tar.gz
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="package, APKINDEX.tar.gz or APKINDEX")
    parser.add_argument("--files", action="store_true", dest="paths", help="list every path or record as well")


def run(arguments: argparse.Namespace, context: Context) -> int:
    faults = FaultCollector.empty()
    values: list[dict[str, Any]] = []
    for name in arguments.files:
        try:
            values.append(_show(name, arguments.paths, context))
        except ApkilnError as error:
            error.located(Origin(source=name))
            faults.add(error)
    if context.settings.json:
        context.output.json(values)
    faults.raise_if_any()
    return 0


def _show(name: str, paths: bool, context: Context) -> dict[str, Any]:
    """Print one file unless JSON is wanted; its JSON value."""
    with open_file(name, context) as stream:
        if kind_of(name, stream, context) == INDEX:
            from apkiln.formats.apk.index import read_any_index

            limits = context.settings.limits
            index, text = read_any_index(stream.read(limits.http_response), limits)
            value, lines = _index_value(name, index, text), _index_lines(index, text, paths)
        else:
            from apkiln.formats.apk.package import read_package
            from apkiln.formats.apk.policy import COMPAT

            contents = read_package(stream, context.settings.limits, COMPAT)
            value, lines = _package_value(name, contents), _package_lines(contents, paths)
    if not context.settings.json:
        for line in lines:
            context.output.print(line)
    return value


def _package_lines(contents: PackageContents, paths: bool) -> Iterator[str]:
    from apkiln.formats.apk.identity import identity_text

    info = contents.info
    yield f"{info.name_version} ({info.arch})"
    for label, value in (
        ("description", info.description), ("url", info.url), ("license", info.license), ("origin", info.origin),
        ("maintainer", info.maintainer), ("commit", info.commit), ("built", info.build_date),
        ("provider priority", info.provider_priority), ("replaces priority", info.replaces_priority),
        ("identity", identity_text(contents.identity)), ("sha256", contents.sha256.hex()), ("size", contents.size),
        ("installed size", info.installed_size), ("paths", len(contents.entries)),
        ("scripts", " ".join(name for name, _ in contents.scripts)), ("triggers", " ".join(info.triggers)),
        ("signed with", " ".join(f"{algorithm}:{key}" for algorithm, key, _ in contents.signatures) or "nothing"),
        ("further control files", " ".join(contents.other_control)),
    ):  # fmt: skip
        if value:
            yield f"  {label}: {value}"
    for label, items in (
        ("depends", info.depends), ("provides", info.provides), ("install if", info.install_if), ("replaces", info.replaces),
    ):  # fmt: skip
        yield from (f"  {label}: {item}" for item in items)
    yield from (f"  odd: {report.section}/{printable(report.entry)}: {report.message}" for report in contents.reports)
    if paths:
        for item in contents.entries:
            entry = item.entry
            arrow = f" -> {entry.target}" if entry.target else ""
            kind = entry.type.name.lower()
            owner = f"{entry.uid}:{entry.gid}"
            yield f"  {kind:9} {entry.mode:04o} {owner} {entry.size:>9} /{printable(entry.path + arrow)}"


def _package_value(name: str, contents: PackageContents) -> dict[str, Any]:
    from apkiln.core.value import field_names
    from apkiln.formats.apk.identity import identity_text

    fields = [(field, getattr(contents.info, field)) for field in field_names(type(contents.info))]
    info = {field: list(value) if isinstance(value, tuple) else value for field, value in fields}
    return {
        "file": name,
        "kind": "package",
        "info": info,
        "identity": identity_text(contents.identity),
        "sha256": contents.sha256.hex(),
        "size": contents.size,
        "sections": [
            {"name": section, "offset": offset, "length": length}
            for section, (offset, length) in zip(("signature", "control", "data"), contents.sections, strict=True)
        ],
        "signatures": [{"algorithm": algorithm, "key": key} for algorithm, key, _ in contents.signatures],
        "scripts": {kind: text.decode("utf-8", "replace") for kind, text in contents.scripts},
        "further_control": list(contents.other_control),
        "entries": [_entry_value(item) for item in contents.entries],
        "reports": [report._asdict() for report in contents.reports],
    }


def _entry_value(item: Any) -> dict[str, Any]:
    entry = item.entry
    value = {
        "path": printable(entry.path), "type": entry.type.name.lower(), "mode": f"{entry.mode:04o}", "uid": entry.uid,
        "gid": entry.gid, "uname": entry.uname, "gname": entry.gname, "size": entry.size, "mtime": entry.mtime,
    }  # fmt: skip
    if entry.target:
        value["target"] = printable(entry.target)
    if any(entry.device):
        value["device"] = list(entry.device)
    if item.sha256:
        value["sha256"] = item.sha256.hex()
    if entry.xattrs:
        value["xattrs"] = {key: data.hex() for key, data in entry.xattrs}
    return value


def _index_lines(index: SignedIndex, text: IndexText, paths: bool) -> Iterator[str]:
    signed = " ".join(f"{item.algorithm}:{item.key_name}" for item in index.signatures) or "nothing"
    yield f"index of {len(text.records)} packages"
    if index.description:
        yield f"  description: {printable(index.description)}"
    yield f"  signed with: {signed}"
    warnings = (*text.warnings, *text.item_warnings())
    yield from (f"  odd: {warning.package} {warning.letter}: {warning.message}" for warning in warnings)
    yield from (f"  odd: {report.section}/{printable(report.entry)}: {report.message}" for report in index.reports)
    if paths:
        yield from (f"  {record.name_version} {record.arch} {record.size}" for record in text.records)


def _index_value(name: str, index: SignedIndex, text: IndexText) -> dict[str, Any]:
    return {
        "file": name,
        "kind": "index",
        "description": index.description,
        "signatures": [{"algorithm": item.algorithm, "key": item.key_name} for item in index.signatures],
        "records": [_record_value(record) for record in text.records],
        "warnings": [warning._asdict() for warning in (*text.warnings, *text.item_warnings())],
        "reports": [report._asdict() for report in index.reports],
    }


def _record_value(record: IndexRecord) -> dict[str, Any]:
    from apkiln.formats.apk.identity import identity_text

    value = record._asdict() | {"identity": identity_text(record.identity)}
    for database_only in ("replaces", "replaces_priority", "repository_tag", "flags"):
        del value[database_only]
    for items in ("depends", "provides", "install_if"):
        value[items] = value[items].split()
    return value
