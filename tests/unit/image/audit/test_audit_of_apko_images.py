"""Images of the peer: its known defects are found, and nothing else is held against it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.apko_recordings import Recording, read_recording, recordings

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.image.audit.auditing import Bill, audit, read_image
from apkiln.image.audit.findings import Violation
from apkiln.image.place import open_place
from apkiln.image.stored import stored_images
from apkiln.system.files import DiskFiles

CONFORMANCE = Path(__file__).resolve().parents[5] / "shared" / "conformance"
GOLDEN = CONFORMANCE / "apko" / "cli" / "testdata" / "golden"
RUNS = CONFORMANCE / "apko-runs"

OWNERS_LOST = {
    ("owner", "etc/shadow"),
    ("owner", "srv"),
    ("mode", "srv"),
    ("mode", "var/tmp"),
}
"""What every image with the base layout has lost: three owners and special bits of two directories."""
FOUND = {
    "accepts-link-through": {("unowned-path", "etc/planted")},
    "replaces-symlink": {("content", "etc/shared.conf"), *OWNERS_LOST},
    "minimal": OWNERS_LOST,
}


UNREADABLE = {"accepts-control-char": "installed-name"}
"""Images whose database cannot be believed, with the reason."""


def need(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} not found: the conformance data is not beside the checkout")
    return path


def audited(recording: Recording) -> list[Violation]:
    """Violations, without those about contents whose SHA-1 the recording does not keep."""
    found = audit(recording.name, read_recording(recording), (), "x86_64")
    assert found.builder == "apko"
    return [item for item in found.violations if item.rule != "content" or item.found]


def test_the_golden_image_has_lost_one_owner() -> None:
    place = open_place(DiskFiles(), need(GOLDEN), DEFAULT_LIMITS)
    images = stored_images(place, DEFAULT_LIMITS)
    assert len(images) == 2
    for image in images:
        bill = Bill("sbom", (GOLDEN / "sboms" / f"sbom-{image.arch.apk}.spdx.json").read_bytes())
        found = audit(image.name, read_image(place, image, DEFAULT_LIMITS), (bill,), image.arch.apk)
        assert found.violations == (Violation("owner", "etc/os-release", "501:20", "0:0", "replayout-1.0.0-r0"),)
        assert (found.builder, found.packages, found.bills) == ("apko", 2, 1)


def test_known_defects_are_found() -> None:
    by_name = {recording.name: recording for recording in recordings(need(RUNS))}
    for name, expected in FOUND.items():
        assert {(item.rule, item.path) for item in audited(by_name[name])} == expected, name


def test_only_lost_owners_modes_and_attributes_are_held_against_the_peer() -> None:
    checked = 0
    for recording in recordings(need(RUNS)):
        if recording.name in UNREADABLE:
            continue
        rest = {(item.rule, item.path) for item in audited(recording) if item.rule not in ("owner", "mode", "attributes")}
        assert rest == {pair for pair in FOUND.get(recording.name, set()) if pair[0] not in ("owner", "mode")}, recording.name
        checked += 1
    assert checked > 40


def test_a_database_with_forged_lines_ends_the_audit() -> None:
    by_name = {recording.name: recording for recording in recordings(need(RUNS))}
    for name, reason in UNREADABLE.items():
        with pytest.raises(FormatError) as caught:
            audited(by_name[name])
        assert caught.value.reason == reason
