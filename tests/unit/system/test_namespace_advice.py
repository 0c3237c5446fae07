"""Advice fits the switch that refuses."""

from __future__ import annotations

import pytest

from apkiln.system.namespace_advice import namespace_advice


@pytest.mark.parametrize(
    ("path", "content", "mentioned"),
    [
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "AppArmor"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0\n", "kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0\n", "user.max_user_namespaces"),
    ],
)
def test_the_switch_that_refuses_is_named(path: str, content: str, mentioned: str) -> None:
    assert mentioned in namespace_advice(lambda name: content if name == path else "")


def test_without_a_refusing_switch_it_is_the_surroundings() -> None:
    allowing = {"/proc/sys/kernel/unprivileged_userns_clone": "1", "/proc/sys/user/max_user_namespaces": "1000"}
    assert "container" in namespace_advice(lambda name: allowing.get(name, ""))
