"""Capabilities of files, bit for bit."""

from __future__ import annotations

import struct

import pytest
from tests.package_workshop import DEMO, emission, file, hard_link, read, request, tree, written

from apkiln.core.errors import ApkilnError
from apkiln.package.definition.forms import KERNEL_CAPABILITIES
from apkiln.package.definition.model import Setcap
from apkiln.package.emission.capabilities import encoded


def setcap(*items: str) -> str:
    rows = ", ".join(
        f"{{path: {path}, add: {{{names}: {flags}}}, reason: r}}" for path, names, flags in (item.split() for item in items)
    )
    return DEMO.rstrip()[:-1] + f", setcap: [{rows}]}}\n"


@pytest.mark.parametrize(
    ("add", "wanted"),
    [
        ((("cap_net_raw", "+ep"),), (0x03000001, 1 << 13, 0, 0, 0, 0)),
        ((("cap_net_raw", "+p"),), (0x03000000, 1 << 13, 0, 0, 0, 0)),
        ((("cap_net_raw,cap_net_admin", "+eip"),), (0x03000001, 0x3000, 0x3000, 0, 0, 0)),
        ((("cap_net_raw", "i"), ("cap_sys_admin", "e,p")), (0x03000001, 1 << 21, 1 << 13, 0, 0, 0)),
        ((("cap_bpf,cap_chown", "+pi"),), (0x03000000, 1, 1, 1 << (39 - 32), 1 << (39 - 32), 0)),
        ((("cap_net_raw,cap_net_raw", "+p"),), (0x03000000, 1 << 13, 0, 0, 0, 0)),
    ],
)
def test_the_attribute(add: tuple[tuple[str, str], ...], wanted: tuple[int, ...]) -> None:
    assert struct.unpack("<6I", encoded([Setcap("a", add, "r")])) == wanted


def test_numbers_are_the_kernel_s() -> None:
    known = {
        "chown": 0,
        "net_bind_service": 10,
        "net_admin": 12,
        "net_raw": 13,
        "ipc_lock": 14,
        "sys_admin": 21,
        "checkpoint_restore": 40,
    }
    assert {name: KERNEL_CAPABILITIES.index(name) for name in known} == known


def test_files_of_every_package_get_theirs() -> None:
    text = setcap("/usr/bin/a cap_net_raw +p", "usr/bin/b cap_net_admin +p", "/usr/bin/a cap_ipc_lock +p")
    text += "subpackages: [{name: demo-x, setcap: [{path: /usr/bin/c, add: {cap_net_raw: +ep}, reason: r}]}]\n"
    items = [file("usr/bin/a", b"1"), hard_link("usr/bin/b", "usr/bin/a")]
    files = written(request(text), tree(*items), tree(file("usr/bin/c"), package="demo-x"))
    found = {item.entry.path: item.entry for name in files for item in read(files[name])[0].entries}
    assert struct.unpack("<6I", found["usr/bin/a"].xattrs[0][1])[1] == 1 << 13 | 1 << 14 | 1 << 12
    assert found["usr/bin/c"].xattrs[0][0] == "security.capability"
    assert not found["usr/bin/b"].xattrs


def test_capabilities_that_need_permission() -> None:
    with pytest.raises(ApkilnError) as error:
        emission(request(setcap("/a cap_sys_ptrace +p")), tree(file("a")))
    assert error.value.reason == "setcap-not-allowed" and error.value.origin.line
    emission(request(setcap("/a cap_sys_ptrace +p"), allow_setcap=True), tree(file("a")))


def test_a_missing_file_is_refused_by_its_linter() -> None:
    with pytest.raises(ApkilnError) as error:
        emission(request(setcap("/a cap_net_raw +p")), tree())
    assert error.value.reason == "lint" and "setcap-missing-file" in str(error.value)
    text = setcap("/a cap_net_raw +p").rstrip()[:-1] + ", checks: {disabled: [setcap-missing-file]}}\n"
    (found,), _ = emission(request(text), tree())
    assert [item.linter for item in found.analysis.findings] == ["setcap-missing-file"]
