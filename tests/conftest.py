"""Sockets are disabled for every test; those under `integration` may use the loopback interface."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Tests do not judge time: machines differ, and share their processors.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "::1"]))
            item.add_marker(pytest.mark.enable_socket)
