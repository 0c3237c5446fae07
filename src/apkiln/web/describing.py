"""What the OpenAPI document says beyond the types of bodies: refusals, tokens, methods of a path, fields that do not exist."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, Schema, SecurityRequirement, SecurityScheme
from litestar.routes import HTTPRoute

from apkiln import __version__
from apkiln.repository.ledger import actions
from apkiln.web import documents
from apkiln.web.errors import ErrorDocument

READS = (400, 401, 403, 404, 503)
"""How reading is refused."""
CHANGES = (*READS, 409, 413, 422, 429)
UPLOADS = (*CHANGES, 408)
_TOKEN: list[SecurityRequirement] = [{"token": []}, {"user": []}]
PUBLIC: list[SecurityRequirement] = [{}, *_TOKEN]
"""Needs no token where the repository is public."""


def refused(statuses: Iterable[int], **others: ResponseSpec) -> dict[int, ResponseSpec]:
    """The `responses` of a handler: an error document under each status; `others`, named `status_NNN`, say more."""
    found = {
        status: ResponseSpec(ErrorDocument, generate_examples=False, description=HTTPStatus(status).phrase) for status in statuses
    }
    return found | {int(name.removeprefix("status_")): spec for name, spec in others.items()}


def answered(container: Any, description: str) -> ResponseSpec:
    """Another answer than the usual one."""
    return ResponseSpec(container, generate_examples=False, description=description)


def openapi_config() -> OpenAPIConfig:
    """Everything wants a token, except what is public."""
    schemes = {"token": SecurityScheme(type="http", scheme="bearer"), "user": SecurityScheme(type="http", scheme="basic")}
    return OpenAPIConfig(
        title="apkiln repository service",
        version=__version__,
        components=Components(security_schemes=schemes),  # type: ignore[arg-type]
        security=_TOKEN,
    )


def close_schemas(api: Litestar) -> None:
    """Requests with unknown fields are refused, and the document says so; the framework does not derive that."""
    kinds = [kind for module in (documents, actions) for kind in vars(module).values() if isinstance(kind, type)]
    closed = {
        kind.__name__ for kind in kinds if issubclass(kind, msgspec.Struct) and kind.__struct_config__.forbid_unknown_fields
    }
    components = api.openapi_schema.components
    for name, schema in (components.schemas or {}).items() if components else ():
        if isinstance(schema, Schema) and name in closed:
            schema.additional_properties = False


def allowed_methods(api: Litestar, path: str) -> tuple[str, ...]:
    """The methods of a path, sorted; HEAD wherever there is GET."""
    words = path.strip("/").split("/")
    found = set[str]()
    for route in api.routes:
        parts = route.path_components
        fits = len(parts) == len(words) and all(
            part == word for part, word in zip(parts, words, strict=True) if isinstance(part, str)
        )
        if fits and isinstance(route, HTTPRoute):
            found |= route.methods
    return tuple(sorted(found | {"HEAD"} if "GET" in found else found))
