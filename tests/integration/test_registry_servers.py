"""The registry client over sockets: the strict registry of ours, Debian's docker-registry, and the one of crane."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from tests.integration.registries import crane_registry, debian_registry, registry_client
from tests.integration.strict_registry import serve
from tests.registry_contract import RegistryContract, Server

from apkiln.core.secret import Secret
from apkiln.system.memory_registry import MemoryRegistry, RegistryTraits
from apkiln.system.memory_registry_access import TokenGate
from apkiln.system.registry_logins import KnownLogins, Login
from apkiln.system.registry_names import RepositoryName
from apkiln.system.urls import UserPart


class Running(NamedTuple):
    address: str
    keeps_referrers: bool
    checks_parts: bool = True


@pytest.fixture(scope="module", params=["strict", "strict with tokens, without referrers", "docker-registry", "crane"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("registry")
    with ExitStack() as stack:
        if request.param == "docker-registry":
            yield Running(stack.enter_context(debian_registry(directory)), False)
        elif request.param == "crane":
            yield Running(stack.enter_context(crane_registry(directory)), False, False)
        elif request.param == "strict":
            yield Running(stack.enter_context(serve(MemoryRegistry())).address, True)
        else:
            server = stack.enter_context(serve(MemoryRegistry(RegistryTraits(referrers=False))))
            server.registry.gate = TokenGate(f"http://{server.address}", (("me", "word"),))
            yield Running(server.address, False)


@pytest.fixture
def server(running: Running, request: pytest.FixtureRequest) -> Server:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    logins = KnownLogins({running.address: Login(UserPart("me", Secret("word")))})
    repository = RepositoryName(running.address, f"team/{name}")
    return Server(registry_client(logins), repository, running.keeps_referrers, checks_parts=running.checks_parts)


class TestRegistryServers(RegistryContract):
    pass
