"""`apkiln package verify`: packages held against their statement of origin."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.apk_files import open_file, read_keyring

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.formats.apk.keys import Keyring

NAME = "package verify"
HELP = """Check that packages are those a signed statement of origin is about: the signature by a trusted key, the digest of the
file, and the definition inside the package.  Prints who built them and how; exit code 4 when anything does not fit.

`apkiln apk verify` checks packages themselves."""
EPILOG = """examples:
  apkiln package verify hello-1.2-r0.apk --provenance hello-1.2-r0.apk.intoto.jsonl --key local.rsa.pub
  apkiln package verify hello*.apk --provenance hello-1.2-r0.apk.intoto.jsonl --key local.rsa.pub --hermetic
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="+", metavar="APK", help="package file")
    parser.add_argument("--provenance", required=True, metavar="FILE", help="statement of origin: a DSSE envelope")
    parser.add_argument("--key", action="append", default=[], required=True, metavar="FILE", help="trusted public key")
    parser.add_argument("--hermetic", action="store_true", help="refuse packages whose build could have taken in anything else")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.core.errors import ApkilnError, FaultCollector

    keyring, faults = read_keyring(arguments.key, context), FaultCollector.empty()
    with open_file(arguments.provenance, context) as stream:
        statement = stream.read(context.settings.limits.document + 1)
    rows: list[dict[str, Any]] = []
    for name in arguments.packages:
        try:
            rows.append(_verified(name, statement, keyring, arguments, context))
        except ApkilnError as error:
            faults.add(error)
    if context.settings.json:
        context.output.json(rows)
    faults.raise_if_any()
    return 0


def _verified(name: str, statement: bytes, keyring: Keyring, arguments: argparse.Namespace, context: Context) -> dict[str, Any]:
    from apkiln.core.errors import VerificationError
    from apkiln.core.origin import Origin
    from apkiln.package.analysis.published import read_published
    from apkiln.package.emission.verifying import verify_origin

    with open_file(name, context) as stream:
        package = read_published(stream, context.settings.limits)
    contents = package.contents
    found = verify_origin(statement, arguments.provenance, contents.sha256, keyring, package.definition)
    if arguments.hermetic and not found.hermetic:
        reasons = "; ".join(found.reasons) or "the statement does not say that it was"
        message = f"`{contents.info.name_version}` was not built hermetically: {reasons}"
        raise VerificationError(message, reason="not-hermetic", origin=Origin(name))
    if not context.settings.json:
        context.output.print(f"{name}: ok, signed by {found.signed_by}, built by {found.builder}")
    return {"file": name, "package": contents.info.name_version} | found._asdict()
