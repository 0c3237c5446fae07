"""The JSON schema of package definitions, made from the table of keys, for editors and other tools."""

from __future__ import annotations

from typing import Any

from apkiln.package.definition import keys

_NULLABLE_TEXT: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
"""A text field takes any scalar: its source text counts."""
_TEXTS: dict[str, Any] = {"type": ["array", "null"], "items": _NULLABLE_TEXT}
_SIMPLE: dict[str, dict[str, Any]] = {
    "text": _NULLABLE_TEXT,
    "duration": _NULLABLE_TEXT,
    "integer": {"type": ["integer", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "texts": _TEXTS,
    "pairs": {"type": ["object", "null"], "additionalProperties": _NULLABLE_TEXT},
    "inputs": {"type": ["object", "null"], "additionalProperties": {"anyOf": [_NULLABLE_TEXT, _TEXTS]}},
    "ignored": {},
}
_REQUIRED = {
    "": ("package",),
    "package": ("name", "version"),
    "subpackage": ("name",),
    "data": ("name",),
    "var-transform": ("from", "match", "replace", "to"),
    "setcap": ("path", "reason"),
    "schedule": ("period",),
    "user": ("username",),
    "group": ("groupname",),
    "prefetch": ("kind",),
}
"""Keys that must be there, by section."""


def json_schema() -> dict[str, Any]:
    """A draft 2020-12 schema: every section is a definition, unknown keys are refused, keys keep the table's order."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "apkiln package definition",
        "description": "Keys marked as extensions are not known to melange.",
        **_section(""),
        "$defs": {name: _section(name) for name in keys.SECTIONS if name},
    }


def _section(name: str) -> dict[str, Any]:
    required = list(_REQUIRED.get(name, ()))
    return {
        "type": "object" if required else ["object", "null"],
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in keys.SECTIONS[name]},
        **({"required": required} if required else {}),
    }


def _property(key: keys.Key) -> dict[str, Any]:
    help_text = f"{key.help} (extension)" if key.extension else key.help
    if key.choices:
        return {"description": help_text, "enum": [*key.choices, "", None]}
    return {"description": help_text} | _shape(key.kind)


def _shape(kind: str) -> dict[str, Any]:
    form, _, section = kind.partition(":")
    reference = {"$ref": f"#/$defs/{section}"}
    if form == "section":
        return {"anyOf": [reference, {"type": "null"}]}
    if form == "list":
        return {"type": ["array", "null"], "items": reference}
    if form == "map":
        return {"type": ["object", "null"], "additionalProperties": reference}
    return _SIMPLE[kind]
