"""A client of the sandbox that holds every answer against Stripe's own OpenAPI document."""

from functools import cache
from typing import Any

import httpx2
import jsonschema_rs

from deploy.sandbox.embedded import RunningSandbox
from deploy.sandbox.params import spec

ACCOUNT = "acct_contract0000001"
LIST = {"object", "data", "has_more", "url"}
Json = dict[str, Any]


class Client:
    """Calls the sandbox and checks every answer against the document."""

    def __init__(self, sandbox: RunningSandbox, http: httpx2.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def post(self, path: str, expected: int = 200, **form: Any) -> Json:
        return self.checked(await self.http.post(f"/v1/{path}", data=bracketed(form)), expected)

    async def get(self, path: str, expected: int = 200, **query: Any) -> Json:
        return self.checked(await self.http.get(f"/v1/{path}", params=query), expected)

    def checked(self, answer: httpx2.Response, expected: int) -> Json:
        body: Json = answer.json()
        assert answer.status_code == expected, body
        complaints = list(wrong_with(body))
        assert complaints == [], complaints
        return body


def bracketed(form: Json) -> Json:
    """The form with Stripe's names: `a__b__0` becomes `a[b][0]`."""
    names = (name.split("__") for name in form)
    return dict(
        zip((head + "".join(f"[{key}]" for key in rest) for head, *rest in names), form.values(), strict=True)
    )


def wrong_with(body: Json) -> list[str]:
    """The errors of an answer, a list of answers or an error body, by the document."""
    if body.get("object") == "list":
        assert set(body) == LIST
        return [complaint for item in body["data"] for complaint in wrong_with(item)]
    if body.get("deleted"):
        return _complaints(f"deleted_{body['object']}", body)
    if "error" in body:
        return _complaints("error", body)
    event = wrong_with(body["data"]["object"]) if body["object"] == "event" else []
    return event + _complaints(body["object"], body)


def _complaints(shape: str, body: Json) -> list[str]:
    return [
        f"{shape} at {list(error.instance_path)}: {error.message}"
        for error in _validator(shape).iter_errors(body)
    ]


@cache
def _validator(shape: str) -> Any:
    schema = {"$ref": f"#/$defs/{shape}", "$defs": _strict(spec()["$defs"])}
    return jsonschema_rs.validator_for(schema)


def _strict(node: Any) -> Any:
    """The schema, which also refuses fields that the document does not have."""
    if isinstance(node, list):
        return [_strict(value) for value in node]
    if not isinstance(node, dict):
        return node
    read = {key: _strict(value) for key, value in node.items()}
    if isinstance(read.get("properties"), dict) and read.get("type") == "object":
        read.setdefault("additionalProperties", False)
    return read


async def an_intent(client: Client, expected: int = 200, automatic: bool = True, **form: Any) -> Json:
    if automatic:
        form["automatic_payment_methods__enabled"] = "true"
    return await client.post("payment_intents", expected, amount=12500, currency="eur", **form)
