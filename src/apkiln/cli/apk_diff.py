"""`apkiln apk diff`: what two packages, or two indexes, have that is not the same."""

from __future__ import annotations

import argparse
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from apkiln.cli.apk_files import INDEX, PACKAGE, kind_of, open_file
from apkiln.core.errors import ApkilnError, UsageError
from apkiln.core.origin import Origin
from apkiln.formats.archive.path import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apkiln.cli.context import Context
    from apkiln.formats.apk.contents import PackageContents
    from apkiln.formats.apk.difference import EntryChange, PackageDifference, RecordChange, ScriptChange
    from apkiln.formats.apk.records import IndexRecord
    from apkiln.formats.archive.entry import ContentEntry

NAME = "apk diff"
HELP = """Tell what differs between two packages, or between two indexes.

Of packages: what they say of themselves, dependencies, scripts, and every path with type, content, mode, owner, time and
attributes; signatures do not count.  Paths that differ in nothing but time are counted; `--times` lists them.  Of indexes:
the versions that only one lists, and the fields of those that both list.

Both files are verified while they are read; oddities that `apk verify` would refuse are lived with."""
EPILOG = """examples:
  apkiln apk diff zlib-1.3.1-r0.apk zlib-1.3.1-r1.apk
  apkiln apk diff published/APKINDEX.tar.gz rebuilt/APKINDEX.tar.gz --exit-code
  apkiln apk diff a.apk b.apk --json
"""
_DIFFERENT = 10
_ARTICLES = {PACKAGE: "a package", INDEX: "an index"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help="package, APKINDEX.tar.gz or APKINDEX")
    parser.add_argument("after", metavar="B", help="the same kind of file")
    parser.add_argument("--times", action="store_true", help="list the paths that differ in nothing but time, too")
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {_DIFFERENT} when there are differences")


def run(arguments: argparse.Namespace, context: Context) -> int:
    names = (arguments.before, arguments.after)
    (one_kind, one), (other_kind, other) = (_read(name, context) for name in names)
    if one_kind != other_kind:
        message = f"`{names[0]}` holds {_ARTICLES[one_kind]}, `{names[1]}` {_ARTICLES[other_kind]}"
        raise UsageError(message, reason="different-kinds", hint="compare two packages or two indexes")
    value: list[dict[str, Any]] | dict[str, Any]
    if one_kind == INDEX:
        from apkiln.formats.apk.difference import index_difference

        records = index_difference(one, other)
        different, value, lines = bool(records), [_record_value(change) for change in records], _record_lines(records)
    else:
        from apkiln.formats.apk.difference import package_difference

        difference = package_difference(one, other)
        different, value, lines = bool(difference), _package_value(difference), _package_lines(difference, arguments.times)
    if context.settings.json:
        context.output.json({"before": names[0], "after": names[1], "kind": one_kind, "equal": not different, "changes": value})
    else:
        for line in lines:
            context.output.print(line)
    return _DIFFERENT if different and arguments.exit_code else 0


def _read(name: str, context: Context) -> tuple[str, Any]:
    """The kind of a file, and its `PackageContents` or index records."""
    limits = context.settings.limits
    try:
        with open_file(name, context) as stream:
            kind = kind_of(name, stream, context)
            if kind == INDEX:
                from apkiln.formats.apk.index import read_any_index

                _, text = read_any_index(stream.read(limits.http_response), limits)
                return kind, text.records
            from apkiln.formats.apk.package import read_package
            from apkiln.formats.apk.policy import COMPAT

            contents: PackageContents = read_package(stream, limits, COMPAT)
            return kind, contents
    except ApkilnError as fault:
        raise fault.located(Origin(source=name)) from None


def _package_lines(difference: PackageDifference, times: bool) -> Iterator[str]:
    for field in difference.fields:
        yield f"~ {_words(field.field)}: {printable(field.before) or 'nothing'} → {printable(field.after) or 'nothing'}"
    for item in (*difference.items, *difference.other_control):
        yield f"{'+' if item.added else '-'} {_words(item.field)}: {printable(item.item)}"
    for script in difference.scripts:
        yield from _script_lines(script)
    only_time = 0 if times else sum(change.what == ("mtime",) for change in difference.entries)
    yield from (_entry_line(change) for change in difference.entries if times or change.what != ("mtime",))
    if only_time:
        yield f"~ {only_time} path{'s' if only_time > 1 else ''}: mtime only"


def _script_lines(change: ScriptChange) -> Iterator[str]:
    sign = "+" if not change.before else "-" if not change.after else "~"
    yield f"{sign} script {change.name}"
    one, other = (text.decode("utf-8", "replace").splitlines() for text in (change.before, change.after))
    for line in list(unified_diff(one, other, lineterm="", n=1))[2:]:
        yield f"    {printable(line)}"


def _entry_line(change: EntryChange) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        return f"{'+' if before is None else '-'} /{printable(change.path)}"
    return f"~ /{printable(change.path)}: {', '.join(_entry_field(field, before, after) for field in change.what)}"


def _entry_field(field: str, before: ContentEntry, after: ContentEntry) -> str:
    if field == "content":
        one, other = before.entry.size, after.entry.size
        return "content" if one == other else f"content, {one} → {other} bytes"
    return f"{field} {_shown(field, before)} → {_shown(field, after)}"


def _shown(field: str, item: ContentEntry) -> str:
    found = getattr(item.entry, field)
    if field == "mode":
        return f"{found:04o}"
    if field == "type":
        return str(found.name.lower())
    if field == "xattrs":
        return " ".join(name for name, _ in found) or "none"
    return printable(str(found)) or "none"


def _record_lines(changes: tuple[RecordChange, ...]) -> Iterator[str]:
    for change in changes:
        named = f"{change.name} {change.version}"
        if change.before is None or change.after is None:
            yield f"{'+' if change.before is None else '-'} {named}"
        else:
            yield f"~ {named}: {', '.join(_record_field(field, change.before, change.after) for field in change.what)}"


def _record_field(field: str, before: IndexRecord, after: IndexRecord) -> str:
    if field == "identity":
        return "another package under the same version"
    one, other = str(getattr(before, field)), str(getattr(after, field))
    gone = [f"-{item}" for item in one.split() if item not in other.split()]
    come = [f"+{item}" for item in other.split() if item not in one.split()]
    if field in ("depends", "provides", "install_if"):
        return f"{_words(field)} {' '.join((*gone, *come))}"
    return f"{_words(field)} {one or 'nothing'} → {other or 'nothing'}"


def _package_value(difference: PackageDifference) -> dict[str, Any]:
    return {
        "fields": [change._asdict() for change in difference.fields],
        "items": [change._asdict() for change in (*difference.items, *difference.other_control)],
        "scripts": [
            {"name": name, "before": before.decode("utf-8", "replace"), "after": after.decode("utf-8", "replace")}
            for name, before, after in difference.scripts
        ],
        "entries": [
            {
                "path": f"/{printable(change.path)}",
                "what": list(change.what),
                "before": _entry_value(change.before),
                "after": _entry_value(change.after),
            }
            for change in difference.entries
        ],
    }


def _entry_value(item: ContentEntry | None) -> dict[str, Any] | None:
    if item is None:
        return None
    entry = item.entry
    return {
        "type": entry.type.name.lower(), "mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid, "size": entry.size,
        "mtime": entry.mtime, "target": printable(entry.target), "sha256": item.sha256.hex(),
        "xattrs": {name: data.hex() for name, data in entry.xattrs},
    }  # fmt: skip


def _record_value(change: RecordChange) -> dict[str, Any]:
    from apkiln.formats.apk.identity import identity_text

    def side(record: IndexRecord | None, field: str) -> Any:
        if record is None:
            return None
        return identity_text(record.identity) if field == "identity" else getattr(record, field)

    fields = ["identity"] if change.before is None or change.after is None else list(change.what)
    return {
        "name": change.name,
        "version": change.version,
        "what": list(change.what),
        "before": None if change.before is None else {field: side(change.before, field) for field in fields},
        "after": None if change.after is None else {field: side(change.after, field) for field in fields},
    }


def _words(field: str) -> str:
    return field.replace("_", " ")
