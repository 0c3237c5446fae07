"""melange's table about signing a package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.melange_definitions import recognise

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.control import read_control
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.policy import COMPAT
from apkiln.formats.apk.signature import signer_of
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.resigning import resign_package
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.signer import signer_from_pem

_PATH = PurePosixPath("/package.apk")


def signing(folder: Path) -> Iterable[Outcome]:
    """`sign/cases.json`: the exact signature, all other bytes unchanged, and the public key verifies it."""
    for row in json.loads((folder / "sign/cases.json").read_text(encoding="utf-8"))["cases"]:
        try:
            wrong = _signed(folder / "sign", row)
        except ApkilnError as error:
            wrong = str(error)
        yield Outcome(FAILED if wrong else PASSED, "sign/cases.json", row["apk"], wrong)


def _signed(folder: Path, row: dict[str, Any]) -> str:
    content = (folder / row["apk"]).read_bytes()
    key = folder / row["key"]
    files = MemoryFiles()
    files.put(str(_PATH), content)
    resign_package(_PATH, (signer_from_pem(key.read_bytes(), f"{key.name}.pub", key.name),), files, canonical_codec())
    after = files.snapshot()[str(_PATH)]
    old, new = (read_control(BytesIO(one), policy=COMPAT) for one in (content, after))
    if after[new.sections[1].offset :] != content[old.sections[1].offset :]:
        return "control or data changed"
    names = [signature.entry_name for signature in new.signatures]
    if names != [row["signature_file"]]:
        return f"signature files {names}"
    if hashlib.sha256(new.signatures[0].value).hexdigest() != row["signature_sha256"]:
        return "another signature"
    public = folder / row["public"]
    keyring = Keyring.of([parse_public_key(public.name, public.read_bytes())])
    return "" if signer_of(new.signatures, new.raw, keyring).key_name == public.name else "does not verify"


SUITES = [Suite("melange/sign", recognise, signing)]
