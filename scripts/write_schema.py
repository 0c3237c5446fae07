"""Write docs/schema/image.schema.json from the table of keys; run after changing it."""

from __future__ import annotations

from pathlib import Path

from apkiln.core import canonical_json
from apkiln.image.configuration.published_schema import json_schema

TARGET = Path(__file__).resolve().parents[1] / "docs" / "schema" / "image.schema.json"

if __name__ == "__main__":
    TARGET.write_bytes(canonical_json.encode_pretty(json_schema()))
    print(TARGET)
