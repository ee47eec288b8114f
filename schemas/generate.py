"""Write what is generated from the Python types of the contract: `make generate`; a test compares."""

import json
from pathlib import Path

import msgspec

from sincewhen_schemas.messages import MESSAGES

HERE = Path(__file__).resolve().parent


def schemas() -> dict[str, str]:
    """JSON Schema (2020-12) by file name."""
    found: dict[str, str] = {}
    for message in MESSAGES:
        (_, parts) = msgspec.json.schema_components([message], ref_template="#/$defs/{name}")
        body = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"#/$defs/{message.__name__}"}
        found[f"{message.__name__}.schema.json"] = json.dumps({**body, "$defs": parts}, indent=2) + "\n"
    return found


if __name__ == "__main__":
    for name, text in schemas().items():
        (HERE / "messages" / name).write_text(text)
