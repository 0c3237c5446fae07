"""Images of two C libraries are refused."""

from __future__ import annotations

import pytest

from apkiln.core.errors import ConflictError
from apkiln.image.audit.database import read_database
from apkiln.image.mixing import Linked, check_libc, mixed_libc

IDENTITY = "Q1" + "A" * 27 + "="
LAYOUT = Linked("debian-base-layout", "base-files", "")
DEBIAN = Linked("libc6", "debian-base-layout libgcc-s1", "libc6-2.36")
WOLFI = Linked("bash", "so:libc.so.6 so:libtinfo.so.6", "cmd:bash=5-r0")
MUSL = Linked("musl", "", "so:libc.musl-x86_64.so.1=1")
STATIC = Linked("tool", "ca-certificates-bundle", "cmd:tool=1-r0")


@pytest.mark.parametrize(
    ("packages", "mixed"),
    [
        ([LAYOUT, DEBIAN], None),
        ([WOLFI, STATIC], None),
        ([LAYOUT, DEBIAN, STATIC], None),
        ([LAYOUT, WOLFI], ("debian-base-layout", "bash")),
        ([MUSL, DEBIAN, LAYOUT], ("debian-base-layout", "musl")),
        ([], None),
    ],
)
def test_what_is_a_mixture(packages: list[Linked], mixed: tuple[str, str] | None) -> None:
    assert mixed_libc(packages) == mixed
    if mixed is None:
        check_libc(packages, "x86_64")
        return
    with pytest.raises(ConflictError) as caught:
        check_libc(packages, "x86_64")
    assert (caught.value.reason, caught.value.origin.package) == ("mixed-libc", mixed[1])


def test_the_audit_sees_it_in_the_installed_database() -> None:
    text = f"C:{IDENTITY}\nP:debian-base-layout\nV:1-r0\nA:x86_64\n\nC:{IDENTITY}\nP:bash\nV:5-r0\nA:x86_64\nD:so:libc.so.6\n\n"
    assert read_database(text.encode()).mixed == ("debian-base-layout", "bash")
    assert read_database(text.replace("D:so:libc.so.6\n", "").encode()).mixed is None
