"""Make `stripe.json` from Stripe's own OpenAPI document, which travels inside the Go module stripe-mock.

    python -m deploy.sandbox.openapi.extract

The document is 8 MB; kept is what the sandbox answers and reads, as plain JSON Schema without prose.
Stripe publishes it under the MIT licence (Copyright (c) 2014- Stripe, Inc.).
"""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

MODULE = "github.com/stripe/stripe-mock@v0.203.0"
TARGET = Path(__file__).with_name("stripe.json")
_RESOURCES = """
    payment_intents setup_intents payment_methods customers charges refunds events accounts account
    balance_transactions disputes payouts webhook_endpoints payment_method_domains
"""
RESOURCES = _RESOURCES.split()
LEFT_OUT = (
    "search",
    "sources",
    "cards",
    "bank_accounts",
    "persons",
    "people",
    "capabilities",
    "{charge}/refund",
    "{charge}/dispute",
)
_SHAPES = """
    payment_intent setup_intent payment_method customer deleted_customer charge refund event account error
    balance_transaction dispute payout webhook_endpoint deleted_webhook_endpoint payment_method_domain application
    capability deleted_account radar.early_fraud_warning
"""
SHAPES = _SHAPES.split()
PROSE = ("title", "maxLength", "format", "pattern")
NAMES_OF_FIELDS = ("properties", "schemas")

Json = dict[str, Any]


def main() -> None:
    document = json.loads((_module_folder() / "embedded/openapi/spec3.json").read_bytes())
    operations = dict(_operations(document["paths"]))
    shapes = _closure(document["components"]["schemas"], SHAPES)
    extract = {
        "source": f"{MODULE} embedded/openapi/spec3.json",
        "licence": "MIT, Copyright (c) 2014- Stripe, Inc.",
        "version": document["info"]["version"],
        "operations": operations,
        "$defs": shapes,
    }
    TARGET.write_text(json.dumps(extract, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")
    print(f"{TARGET.name}: {len(operations)} operations, {len(shapes)} shapes, {TARGET.stat().st_size} bytes")


def _module_folder() -> Path:
    answer = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], check=True, capture_output=True, cwd="/"
    )
    return Path(json.loads(answer.stdout)["Dir"])


def _operations(paths: Json) -> Iterator[tuple[str, Json]]:
    """Each operation as `POST /v1/x` with one object schema for all that it takes, query or form."""
    for path, methods in paths.items():
        if (
            path.split("/")[2] in RESOURCES
            and not any(word in path for word in LEFT_OUT)
            and path.count("/") <= 4
        ):
            for method, operation in methods.items():
                yield f"{method.upper()} {path}", _plain(_parameters(operation))


def _parameters(operation: Json) -> Json:
    body = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
    query = {p["name"]: p["schema"] for p in operation.get("parameters", ()) if p["in"] == "query"}
    schema = body.get("schema", {})
    return {
        "type": "object",
        "properties": query | schema.get("properties", {}),
        "required": schema.get("required", []),
    }


def _closure(schemas: Json, roots: Iterable[str]) -> Json:
    found: Json = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _plain(schemas[name])
            waiting.extend(_references(found[name]))
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rsplit("/", 1)[1]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _plain(node: Any, names: bool = False) -> Any:
    """OpenAPI 3.0 to JSON Schema: `nullable` spelt out, Stripe's own keys and all prose gone.

    `names` says that the keys of this object are field names, which must stay whatever they are.
    """
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: value.replace("#/components/schemas/", "#/$defs/")
        if key == "$ref" and isinstance(value, str)
        else _plain(value, names=not names and key in NAMES_OF_FIELDS)
        for key, value in node.items()
        if names or not _is_prose(key, value)
    }
    return kept if names else _spell_out_null(kept)


def _is_prose(key: str, value: Any) -> bool:
    return key in PROSE or key.startswith("x-") or (key == "description" and isinstance(value, str))


def _spell_out_null(schema: Json) -> Json:
    if schema.pop("nullable", False):
        return {"anyOf": [*schema.pop("anyOf", [schema] if schema else []), {"type": "null"}]}
    return schema


if __name__ == "__main__":
    main()
