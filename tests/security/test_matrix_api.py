"""The public API with every kind of key: a clinic's key reaches that clinic, an operator's reaches all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.builders.clinics import CONTACT, clinic_body
from tests.builders.invoices import due_in
from tests.running.gateway import PASSWORD
from tests.running.settings import OPERATOR_KEY
from tests.running.two_clinics import Owner, TwoClinics
from tests.security.test_matrix_services import leaked_by, operations_in, operations_of


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether only the operator may call it, and a body about a client of alder."""

    operator_only: bool = False
    body: Callable[[Owner], Any] | None = None
    own: frozenset[int] = frozenset({200, 201})
    """The statuses for the clinic's key: 422 where the call would change what others read."""
    operator: frozenset[int] = frozenset({200, 201})
    """The statuses for the operator's key: 404 where the path names an API key, since the test's id is unknown."""


def _clinic(owner: Owner) -> dict[str, Any]:
    rates = [{"code": "NONE", "name": "Exempt", "percent": "0"}]
    return {
        "slug": owner.slug,
        "name": "Changed",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "contact": CONTACT,
        "tax_rates": rates,
        "billing_shown": True,
        "online_payment": True,
        "methods": ["card"],
    }


def _new_clinic(_: Owner) -> dict[str, Any]:
    return clinic_body(slug="rowan", name="Rowan")


def _client(_: Owner) -> dict[str, Any]:
    return {"name": "Someone Else", "email": "someone@else.test"}


def _staff(_: Owner) -> dict[str, Any]:
    return {"email": "mallory@else.test", "password": PASSWORD}


def _invoice(owner: Owner) -> dict[str, Any]:
    price = {"minor": 100, "currency": "EUR"}
    line = {"service": "S", "practitioner": "P", "unit_price": price, "tax_code": "NONE"}
    return {"client_id": str(owner.client_id), "due_on": due_in(), "lines": [line]}


def _refund(owner: Owner) -> dict[str, Any]:
    return {"client_id": str(owner.client_id), "currency": "EUR", "amount": 1}


CLINIC = "/api/v1/clinics/{clinic_id}"
UNEXPLAINED = Rule(body=lambda _: {"reason": "other"}, own=frozenset({422}), operator=frozenset({422}))
"""A correction of an invoice that leaves it as it is."""
KEY = {"operator_only": True, "operator": frozenset({404})}
ROLL, REVOKE = Rule(**KEY, body=lambda _: {"overlap_hours": 1}), Rule(**KEY)  # type: ignore[arg-type]
RULES = {
    "GET /api/v1/clinics": Rule(),
    "POST /api/v1/clinics": Rule(operator_only=True, body=_new_clinic),
    f"GET {CLINIC}": Rule(),
    f"PUT {CLINIC}": Rule(operator_only=True, body=_clinic),
    f"PATCH {CLINIC}": Rule(operator_only=True, body=lambda _: {"name": "Changed"}),
    f"GET {CLINIC}/stripe-account": Rule(operator_only=True),
    f"PUT {CLINIC}/stripe-account": Rule(operator_only=True, body=lambda _: {"platform_account": True}),
    f"GET {CLINIC}/clients": Rule(),
    f"POST {CLINIC}/clients": Rule(body=_client),
    f"GET {CLINIC}/clients/{{client_id}}": Rule(),
    f"POST {CLINIC}/clients/{{client_id}}/invitation": Rule(),
    f"PATCH {CLINIC}/clients/{{client_id}}": Rule(body=lambda _: {"name": "Someone Else"}),
    f"POST {CLINIC}/staff": Rule(operator_only=True, body=_staff),
    f"POST {CLINIC}/api-keys": Rule(operator_only=True, body=lambda _: {"name": "mallory"}),
    f"GET {CLINIC}/api-keys": Rule(operator_only=True),
    f"POST {CLINIC}/api-keys/{{key_id}}/roll": ROLL,
    f"DELETE {CLINIC}/api-keys/{{key_id}}": REVOKE,
    "GET /api/v1/api-keys": Rule(operator_only=True),
    "POST /api/v1/api-keys": Rule(operator_only=True, body=lambda _: {"name": "mallory"}),
    "POST /api/v1/api-keys/{key_id}/roll": ROLL,
    "DELETE /api/v1/api-keys/{key_id}": REVOKE,
    f"GET {CLINIC}/clients/{{client_id}}/credit": Rule(),
    f"GET {CLINIC}/disputes": Rule(),
    f"GET {CLINIC}/disputes/{{dispute_id}}": Rule(),
    f"GET {CLINIC}/disputes/{{dispute_id}}/evidence": Rule(),
    f"PUT {CLINIC}/disputes/{{dispute_id}}/evidence": Rule(body=lambda _: {"texts": {}}),
    f"GET {CLINIC}/disputes/{{dispute_id}}/evidence/preview": Rule(),
    f"POST {CLINIC}/disputes/{{dispute_id}}/evidence/submission": Rule(
        body=lambda _: {"digest": "0" * 64}, own=frozenset({409}), operator=frozenset({409})
    ),
    f"POST {CLINIC}/refunds": Rule(body=_refund),
    f"POST {CLINIC}/refunds/preview": Rule(body=_refund),
    f"GET {CLINIC}/payments": Rule(),
    f"POST {CLINIC}/payments": Rule(body=lambda owner: _refund(owner) | {"kind": "cash"}),
    f"POST {CLINIC}/payments/{{payment_id}}/reverse": Rule(
        body=lambda _: {"reason": "returned"}, own=frozenset({409}), operator=frozenset({409})
    ),
    f"POST {CLINIC}/credit-uses": Rule(
        body=lambda owner: {"client_id": str(owner.client_id), "currency": "USD"},
        own=frozenset({409}),
        operator=frozenset({409}),
    ),
    f"POST {CLINIC}/cash-closings": Rule(body=lambda _: {"counted": 0, "currency": "EUR"}),
    f"GET {CLINIC}/cash-closings": Rule(),
    f"GET {CLINIC}/exceptions": Rule(),
    f"GET {CLINIC}/held-acts": Rule(),
    f"POST {CLINIC}/held-acts/{{act_id}}/undo": Rule(),
    f"POST {CLINIC}/exceptions/{{exception_id}}/settle": Rule(body=lambda _: {"how": "dismiss"}),
    f"PUT {CLINIC}/refunds/{{refund_id}}/approval": Rule(body=lambda _: {"approved": False}),
    f"GET {CLINIC}/refund-rules": Rule(),
    f"PUT {CLINIC}/refund-rules": Rule(operator_only=True, body=lambda _: {"most_a_day": 5}),
    f"GET {CLINIC}/invoices": Rule(),
    f"POST {CLINIC}/invoices": Rule(body=_invoice),
    f"POST {CLINIC}/invoices/bulk": Rule(body=lambda owner: {"invoices": [_invoice(owner)] * 2}),
    f"GET {CLINIC}/invoices/{{invoice_id}}": Rule(),
    f"GET {CLINIC}/clients/{{client_id}}/statement": Rule(),
    f"GET {CLINIC}/clients/{{client_id}}/invoices.zip": Rule(),
    f"GET {CLINIC}/invoices/{{invoice_id}}/pdf": Rule(),
    f"GET {CLINIC}/invoices/{{invoice_id}}/xml": Rule(own=frozenset({409}), operator=frozenset({409})),
    f"GET {CLINIC}/invoices/{{invoice_id}}/credit-notes/{{document_id}}/xml": Rule(
        own=frozenset({404}), operator=frozenset({404})
    ),
    f"GET {CLINIC}/invoices/{{invoice_id}}/receipt": Rule(own=frozenset({409}), operator=frozenset({409})),
    f"GET {CLINIC}/invoices/{{invoice_id}}/credit-notes/{{document_id}}/pdf": Rule(
        own=frozenset({404}), operator=frozenset({404})
    ),
    f"GET {CLINIC}/invoices/{{invoice_id}}/pay-link": Rule(),
    f"POST {CLINIC}/invoices/{{invoice_id}}/pay-link/revoke": Rule(),
    f"POST {CLINIC}/invoices/{{invoice_id}}/void": UNEXPLAINED,
    **{
        f"POST {CLINIC}/invoices/{{invoice_id}}/{verb}/preview": UNEXPLAINED
        for verb in ("void", "credit-notes", "write-off")
    },
    f"POST {CLINIC}/invoices/{{invoice_id}}/credit-notes": UNEXPLAINED,
    f"POST {CLINIC}/invoices/{{invoice_id}}/write-off": UNEXPLAINED,
    **{
        f"POST {CLINIC}/invoices/{{invoice_id}}/{verb}": replace(
            UNEXPLAINED, body=lambda owner: {"reason": "other", "invoice": _invoice(owner)}
        )
        for verb in ("correct", "correct/preview")
    },
}
EVERY_SERVICE = ("invoice", "payment", "notification", "gateway")


async def test_every_endpoint_has_a_rule(two: TwoClinics) -> None:
    assert operations_in("gateway") == set(RULES)
    answered = {each for each in operations_of(two.apps["gateway"]) if each.split()[1].startswith("/api/")}
    assert {each for each in answered if "/openapi.json" not in each} == set(RULES)


@pytest.mark.parametrize("operation", RULES)
async def test_a_key_opens_what_it_is_for(two: TwoClinics, operation: str) -> None:
    rule = RULES[operation]
    expected = {
        "no key": (None, {401}),
        "an empty key": ("", {401}),
        "garbage": ("cpk_" + "x" * 43, {401}),
        "a key that is too long": ("k" * 5000, {401}),
        "the other clinic's key": (two.keys["birch"], {403} if rule.operator_only else {404}),
        "the clinic's key": (two.keys["alder"], {403} if rule.operator_only else set(rule.own)),
        "the operator's key": (OPERATOR_KEY, set(rule.operator)),
    }
    if operation == "GET /api/v1/clinics":
        expected["the other clinic's key"] = (two.keys["birch"], {200})
    for who, (key, statuses) in expected.items():
        before = await two.rows_of(two.ann.clinic_id, *EVERY_SERVICE)
        answer = await _ask(two, operation, rule, key)
        assert answer.status_code in statuses, (who, answer.text)
        if key in (OPERATOR_KEY, two.keys["alder"]) and answer.is_success:
            continue
        assert not leaked_by(two.ann, operation, rule.body, answer.text), who
        assert "Clinic alder" not in answer.text, who
        assert await two.rows_of(two.ann.clinic_id, *EVERY_SERVICE) == before, who


@pytest.mark.parametrize("operation", [each for each in RULES if "client_id" in each or "invoice_id" in each])
async def test_a_key_does_not_open_another_clinics_things_under_its_own_clinic(
    two: TwoClinics, operation: str
) -> None:
    """The path names birch, the id is alder's."""
    ids = {**two.ann.ids, "clinic_id": str(two.cat.clinic_id)}
    for key in (two.keys["birch"], OPERATOR_KEY):
        body = RULES[operation].body
        method = "POST" if operation.startswith("POST") else "GET"
        asked = {"json": body(two.ann)} if body and method == "POST" else {}
        path = operation.split()[1].removeprefix("/api/v1").format_map(ids)
        answer = await two.site.api(method, path, key, **asked)
        assert answer.status_code == 404, answer.text
        assert not leaked_by(two.ann, operation, None, answer.text)


async def test_an_invoice_for_another_clinics_client_is_refused(two: TwoClinics) -> None:
    path = f"/clinics/{two.cat.clinic_id}/invoices"
    for key in (two.keys["birch"], OPERATOR_KEY):
        answer = await two.site.api("POST", path, key, json=_invoice(two.ann))
        assert (answer.status_code, answer.json()["code"]) == (404, "client_not_found"), answer.text
        body = {"invoices": [_invoice(two.cat), _invoice(two.ann)]}
        answer = await two.site.api("POST", f"{path}/bulk", key, json=body)
        assert [(error["position"], error["code"]) for error in answer.json()["errors"]] == [
            (1, "client_not_found")
        ]


async def test_a_list_can_not_be_filtered_into_another_clinic(two: TwoClinics) -> None:
    path = f"/clinics/{two.cat.clinic_id}/invoices"
    answer = await two.site.api("GET", path, two.keys["birch"], params={"client_id": str(two.ann.client_id)})
    assert answer.json()["items"] == []


async def _ask(two: TwoClinics, operation: str, rule: Rule, key: str | None) -> Any:
    method, path = operation.split()
    body = {"json": rule.body(two.ann)} if rule.body else {}
    path = path.removeprefix("/api/v1").format_map(two.ann.ids)
    return await two.site.api(method, path, key, **body)
