"""`apkiln apk verify`: every check of packages and indexes, and the rule that is broken."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, BinaryIO

from apkiln.cli.apk_files import INDEX, kind_of, open_file, read_keyring
from apkiln.core.errors import ApkilnError, FaultCollector, FaultGroup
from apkiln.core.origin import Origin
from apkiln.formats.archive.path import printable

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.formats.apk.keys import Keyring
    from apkiln.formats.apk.policy import PackagePolicy
    from apkiln.formats.apk.records import IndexRecord

NAME = "apk verify"
HELP = """Check packages and indexes completely: members, archives, names, structure, digests of every file, and signatures
when keys are given.  Each fault names its rule and place; the exit code is 3 for broken formats and 4 for wrong digests and
signatures."""
EPILOG = """examples:
  apkiln apk verify hello-2.12-r0.apk
  apkiln apk verify --key keys/wolfi-signing.rsa.pub APKINDEX.tar.gz
  apkiln apk verify --index APKINDEX.tar.gz *.apk
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="package or APKINDEX.tar.gz")
    parser.add_argument("--key", action="append", default=[], metavar="FILE", help="trusted public key; signatures must verify")
    parser.add_argument("--index", metavar="FILE", help="compare each package with its record in this index")
    parser.add_argument("--no-sha1", action="store_true", help="do not count signatures that rest on SHA-1")
    parser.add_argument(
        "--no-privileges", action="store_true", help="refuse setuid and setgid files and file capabilities as well"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.formats.apk.policy import STRICT, UNTRUSTED

    checks = _Checks(
        read_keyring(arguments.key, context) if arguments.key else None,
        UNTRUSTED if arguments.no_privileges else STRICT,
        not arguments.no_sha1,
        context,
    )
    if arguments.index:
        checks.load_records(arguments.index)
    faults = FaultCollector.empty()
    results = []
    for name in arguments.files:
        try:
            results.append({"file": name, "ok": True, **checks.check(name)})
        except ApkilnError as error:
            found = _located(error, name)
            results.append({"file": name, "ok": False, "rules": [fault.reason for fault in found]})
            for fault in found:
                faults.add(fault)
    _print(results, context)
    faults.raise_if_any()
    return 0


def _located(error: ApkilnError, name: str) -> tuple[ApkilnError, ...]:
    faults = error.faults if isinstance(error, FaultGroup) else (error,)
    for fault in faults:
        fault.located(Origin(source=name))
    return faults


def _print(results: list[dict[str, Any]], context: Context) -> None:
    if context.settings.json:
        context.output.json(results)
        return
    for result in results:
        if result["ok"]:
            context.output.print(f"{result['file']}: ok, {result['kind']}, {result['signature']}")
            for note in result["notes"]:
                context.reporter.note(f"{result['file']}: {note}")
        else:
            context.output.print(f"{result['file']}: refused, {' '.join(dict.fromkeys(result['rules']))}")


class _Checks:
    """The same checks for every file of one call."""

    def __init__(self, keyring: Keyring | None, policy: PackagePolicy, allow_sha1: bool, context: Context) -> None:
        self._keyring = keyring
        self._policy = policy
        self._allow_sha1 = allow_sha1
        self._context = context
        self._records: dict[str, IndexRecord] | None = None

    def load_records(self, name: str) -> None:
        """Take the records of an index as the promise for the packages; the index is checked first."""
        from apkiln.formats.apk.index import parse_index_text, read_index

        try:
            with open_file(name, self._context) as stream:
                self._index(stream)
                stream.seek(0)
                index = read_index(stream.read(), self._context.settings.limits)
        except ApkilnError as error:
            error.located(Origin(source=name))
            raise
        self._records = {record.name_version: record for record in parse_index_text(index.text).records}

    def check(self, name: str) -> dict[str, Any]:
        """What to say of a good file; raises what is wrong with it."""
        with open_file(name, self._context) as stream:
            if kind_of(name, stream, self._context) == INDEX:
                return self._index(stream)
            return self._package(stream)

    def _index(self, stream: BinaryIO) -> dict[str, Any]:
        from apkiln.formats.apk import signature
        from apkiln.formats.apk.index import parse_index_text, read_index

        limits = self._context.settings.limits
        index = read_index(stream.read(limits.http_response), limits)
        said = "signature not checked" if index.signatures else "unsigned"
        weak: list[str] = []
        if self._keyring is not None:
            signed = signature.signer_of(index.signatures, index.signed_bytes, self._keyring, allow_sha1=self._allow_sha1)
            said = f"signed by {signed.key_name} ({signed.algorithm})"
            weak = ["the signature rests on SHA-1"] if signed.weak else []
        text = parse_index_text(index.text, limits)
        warnings = (*text.warnings, *text.item_warnings())
        notes = weak + [f"{warning.package}, letter {warning.letter}: {warning.message}" for warning in warnings]
        return {"kind": "index", "records": len(text.records), "signature": said, "notes": notes}

    def _package(self, stream: BinaryIO) -> dict[str, Any]:
        from apkiln.formats.apk.control import read_control
        from apkiln.formats.apk.package import read_package

        limits = self._context.settings.limits
        expected = None
        if self._records is not None:
            expected = self._promised(read_control(stream, limits, self._policy).info.name_version)
            stream.seek(0)
        contents = read_package(
            stream, limits, self._policy, expected=expected, keyring=self._keyring, allow_sha1=self._allow_sha1
        )
        said = "signature not checked" if contents.signatures else "unsigned"
        if contents.signed_by:
            said = f"signed by {contents.signed_by}"
        notes = [f"{report.section}/{printable(report.entry)}: {report.message}" for report in contents.reports]
        return {
            "kind": "package",
            "package": contents.info.name_version,
            "sha256": contents.sha256.hex(),
            "signature": said,
            "notes": notes,
        }

    def _promised(self, name_version: str) -> IndexRecord:
        from apkiln.core.errors import VerificationError

        assert self._records is not None, "called with an index"
        record = self._records.get(name_version)
        if record is None:
            raise VerificationError(f"the index does not list `{name_version}`", reason="record-missing")
        return record
