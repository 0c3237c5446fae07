"""The interface as its own OpenAPI document describes it: whatever fits the document, and whatever does not, is answered."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api_client import Body, Client, token
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, manifest_of, places, publish

from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.rows import decode, verified
from apkiln.repository.reconciling import compare

ADMIN = token("root", "admin")
CERTAIN = ("a", "b", "1.0-r0", "x86_64", "0" * 64, "live")
"""Texts that mean something, so that not everything fails at the door."""
EXPECTED = {200, 201, 202, 400, 403, 404, 405, 408, 409, 410, 413, 415, 422, 429, 503}


class Operation(NamedTuple):
    """One verb of one path."""

    method: str
    path: str
    parameters: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None
    statuses: frozenset[str]


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = Client(created(), (ADMIN,)).ask("GET", "schema/openapi.json", who="").json()
    return found


@cache
def operations() -> tuple[Operation, ...]:
    found = []
    for path, verbs in document()["paths"].items():
        for method, item in verbs.items():
            content = item.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("schema")
            found.append(Operation(method.upper(), path, tuple(item.get("parameters", ())), body, frozenset(item["responses"])))
    return tuple(found)


def values(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """What a schema describes."""
    if "$ref" in schema:
        target: Any = document()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return values(target, depth)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return st.one_of([values(item, depth) for item in schema[word]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    match schema.get("type"):
        case "object":
            return _objects(schema, depth)
        case "array":
            return st.lists(values(schema.get("items", {}), depth + 1), max_size=2 if depth < 4 else 0)
        case "integer":
            return st.one_of(st.integers(0, 12), st.integers(-(2**70), 2**70))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return st.one_of(st.sampled_from(CERTAIN), st.text(max_size=20))


def _objects(schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    required = {name: values(item, depth + 1) for name, item in schema.get("properties", {}).items()}
    needed = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: item for name, item in required.items() if name in needed},
        optional={name: item for name, item in required.items() if name not in needed},
    )


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    """(method, path, body, headers)."""
    operation = draw(st.sampled_from(operations()))
    path, query, headers = operation.path, {}, {"content_type": "application/json"}
    for parameter in operation.parameters:
        value = draw(values(parameter.get("schema", {})))
        text = value if isinstance(value, str) else json.dumps(value)
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", quote(text, safe="") or "x")
        elif parameter["in"] == "query" and (parameter.get("required") or draw(st.booleans())):
            query[parameter["name"]] = text
        elif parameter["in"] == "header" and draw(st.booleans()):
            headers[parameter["name"].lower().replace("-", "_")] = text.encode("latin-1", "replace").decode("latin-1")
    body = b""
    if operation.body is not None:
        value = draw(st.one_of(values(operation.body), values(operation.body), ANYTHING))
        body = draw(st.one_of(st.just(json.dumps(value).encode()), st.binary(max_size=50)))
    elif operation.method == "PUT":
        body = draw(st.binary(max_size=50))
    return operation.method, path + (f"?{urlencode(query)}" if query else ""), body, headers


def test_the_document_names_every_operation() -> None:
    named = {(operation.method, operation.path) for operation in operations()}
    assert {("POST", "/tx"), ("POST", "/tx/{number}/commit"), ("PUT", "/blobs/{digest}"), ("POST", "/withdraw")} <= named
    assert len(named) >= 14


class World:
    """One service for all requests of a run: what one leaves, the next finds."""

    def __init__(self) -> None:
        self.where = places()
        service = created(self.where, Policy(sign_packages=False, two_persons=False))
        publish(service, sample_package("a"))
        service.open(ALICE, manifest_of(sample_package("b")))
        self.client = Client(service, (ADMIN,))
        self.statuses: Counter[int] = Counter()


WORLD: list[World] = []


@given(requests())
@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_every_request_is_answered(request: tuple[str, str, bytes, dict[str, str]]) -> None:
    """No bug, no surprise: a known status, JSON, and a ledger and index that are as they should be."""
    if not WORLD:
        WORLD.append(World())
    world, (method, path, body, headers) = WORLD[0], request
    answer = world.client.ask(method, path.removeprefix("/"), Body((body,)), who="root", **headers)
    world.statuses[answer.status] += 1
    assert answer.status in EXPECTED, (request, answer)
    value = answer.json()
    if answer.status >= 400 and "state" not in value:
        assert set(value["error"]) >= {"code", "message"}, answer
    if answer.status == 503:
        assert value["error"]["retriable"], answer


def test_afterwards_everything_is_as_it_should_be() -> None:
    """Runs after the requests above, on what they left."""
    world = WORLD[0] if WORLD else World()
    if WORLD:
        assert {200, 400, 404, 409, 422} <= world.statuses.keys(), f"not everything was reached: {world.statuses}"
    verified((decode(row.text) for row in world.where.ledgers.rows("os")), "os")
    found = [item for item in compare(world.client.service, deep=True) if item.kind not in ("orphan", "approval-pending")]
    assert found == []
