"""Schemathesis over every public OpenAPI file: whatever it makes up, no answer is a 500 or of an undeclared kind."""

import contextlib
import json
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core import NotSet

from services.chassis.ids import new_id
from tests.builders.callers import a_caller, token
from tests.running.settings import OPERATOR_KEY
from tests.running.two_clinics import TwoClinics
from tests.security.test_matrix_services import OPENAPI, RULES, SERVICES

EXAMPLES = 4
"""For each operation and each kind of data: what fits its schema, and what does not."""
DECLARED = ("application/json", "application/problem+json")


def schema_of(name: str) -> Any:
    return schemathesis.openapi.from_dict(json.loads((OPENAPI / f"{name}.json").read_text()))


def cases(name: str) -> list[Any]:
    """Every operation of a file, by its label."""
    labels = [each.ok().label for each in schema_of(name).get_all_operations()]
    return [pytest.param(name, label, id=f"{name} {label}") for label in labels]


@pytest.mark.parametrize(("name", "label"), [case for name in ("gateway", *SERVICES) for case in cases(name)])
async def test_no_answer_is_a_500(two: TwoClinics, name: str, label: str) -> None:
    operation = next(each.ok() for each in schema_of(name).get_all_operations() if each.ok().label == label)
    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
        for case in made_up(operation, mode):
            answer = await send(two, name, case)
            context = (case.method, case.formatted_path, case.query, case.body, answer.text[:300])
            assert answer.status_code in (503, *range(500)), context
            if answer.content:
                assert answer.headers["content-type"] in DECLARED, context
            assert answer.status_code < 400 or answer.json()["code"], context


def made_up(operation: Any, mode: Any) -> list[Any]:
    """Examples of an operation's requests. None when nothing of the kind can be made."""
    found: list[Any] = []

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def make(case: Any) -> None:
        found.append(case)

    with contextlib.suppress(Unsatisfiable):
        make()
    return found


async def send(two: TwoClinics, name: str, case: Any) -> Any:
    """The case, asked by somebody who may ask it."""
    headers: dict[str, Any] = {
        str(each): str(value).encode("latin-1", "replace") for each, value in (case.headers or {}).items()
    }
    headers |= {"Authorization": _authorization(two, name, case).encode()}
    if case.method == "POST":
        headers.setdefault("Idempotency-Key", str(new_id()).encode())
    body: dict[str, Any] = {} if isinstance(case.body, NotSet) else {"content": _bytes(case.body)}
    client = two.site.client if name == "gateway" else two.services[name].http
    return await client.request(
        case.method, quote(case.formatted_path, safe="/%"), params=case.query, headers=headers, **body
    )


def _authorization(two: TwoClinics, name: str, case: Any) -> str:
    if name == "gateway":
        return f"Bearer {OPERATOR_KEY}"
    roles = RULES[name][f"{case.method} {case.path}"].roles
    caller = two.ann.caller if "client" in roles else a_caller("operator", two.ann.clinic_id)
    return f"Bearer {token(name, caller)}"


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
