"""The registry client over registries in memory: plain, with tokens, without what a registry may leave out."""

from __future__ import annotations

import pytest
from tests.registry_contract import RegistryContract, Server

from apkiln.core.secret import Secret
from apkiln.system.memory_registry import MemoryRegistry, RegistryTraits, memory_registry_client
from apkiln.system.memory_registry_access import BasicGate, TokenGate
from apkiln.system.registry_logins import KnownLogins, Login
from apkiln.system.registry_names import RepositoryName
from apkiln.system.registry_session import RegistryPolicy
from apkiln.system.urls import UserPart

USER = ("me", "pass:word")
LOGINS = KnownLogins({"host.example": Login(UserPart("me", Secret("pass:word")))})
POLICY = RegistryPolicy(chunk=65_536, whole=1000)

KINDS = {
    "open": (MemoryRegistry(), True),
    "basic": (MemoryRegistry(gate=BasicGate((USER,))), True),
    "tokens": (MemoryRegistry(gate=TokenGate("https://host.example", (USER,))), True),
    "no referrers": (MemoryRegistry(RegistryTraits(referrers=False)), False),
    "no mounts": (MemoryRegistry(RegistryTraits(mounts=False)), True),
    "no chunks": (MemoryRegistry(RegistryTraits(chunks=False)), True),
    "large chunks": (MemoryRegistry(RegistryTraits(minimum_chunk=100_000)), True),
}


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest) -> Server:
    kind: str = request.param
    registry, keeps_referrers = KINDS[kind]
    name = "".join(char if char.isalnum() else "-" for char in request.node.name.lower()).strip("-")
    while "--" in name:
        name = name.replace("--", "-")
    repository = RepositoryName("host.example", f"team/{name}")
    return Server(memory_registry_client(registry, LOGINS, POLICY), repository, keeps_referrers, registry.traits.mounts)


class TestRegistryInMemory(RegistryContract):
    pass
