"""Every endpoint of every service, called by every caller: only callers allowed by a rule get data.

The endpoints come from the apps and the OpenAPI files. One that is in no table below fails, so that nobody forgets
its rule.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from tests.builders.callers import a_caller, token
from tests.builders.invoices import due_in
from tests.running.invoice import CLINIC
from tests.running.two_clinics import Owner, TwoClinics

OPENAPI = Path(__file__).resolve().parents[2] / "contracts" / "openapi"
SERVICES = ("invoice", "payment", "notification")
REFUSED = {401, 403, 404}
EVERYONE = frozenset({"client", "staff", "operator"})
CLINIC_STAFF = frozenset({"staff", "operator"})
CLIENT = frozenset({"client"})
OPERATOR = frozenset({"operator"})

OWN_TRIES = {"payment.starts"}
"""A press of Pay counts for the client who makes it, also if it is refused."""

Scope = Literal["client", "clinic", "platform"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call: these roles, about themselves or a client of their clinic; `platform`: operators, about any.

    `makes`: the caller chooses the id in the path, so the same id in another clinic is another row. `refused`: the
    code with which those who may call are refused, where the call would change what others read.
    """

    roles: frozenset[str]
    scope: Scope
    body: Callable[[Owner], Any] | None = None
    makes: bool = False
    refused: str | None = None


_UNEXPLAINED = Rule(CLINIC_STAFF, "clinic", lambda _: {"reason": "other"}, refused="explanation_needed")
"""A correction of an invoice that leaves it as it is."""


def _new_invoice(owner: Owner) -> dict[str, Any]:
    price = {"minor": 100, "currency": "EUR"}
    line = {"service": "S", "practitioner": "P", "unit_price": price, "tax_code": "NONE"}
    return {"client_id": str(owner.client_id), "due_on": due_in(), "lines": [line]}


_UNEXPLAINED_REPLACEMENT = replace(
    _UNEXPLAINED, body=lambda owner: {"reason": "other", "invoice": _new_invoice(owner)}
)


def _payment(owner: Owner) -> dict[str, Any]:
    amount = {"minor": 10_000, "currency": "EUR"}
    return {
        "invoices": [{"invoice_id": str(owner.invoice_id), "amount": amount}],
        "method": {"kind": "saved", "payment_method_id": str(owner.method_id)},
        "save": False,
    }


def _refund(owner: Owner) -> dict[str, Any]:
    return {"client_id": str(owner.client_id), "currency": "EUR", "amount": 1}


def _contact(owner: Owner) -> dict[str, Any]:
    return {"email": "someone@else.test", "name": "Someone Else", "language": "en"}


def _held() -> dict[str, Any]:
    return {"held": {"uncategorized_text": "The client came."}}


def _letter() -> dict[str, Any]:
    return {"template": "password_changed", "email": "someone@else.test"}


BOOKING = {
    "GET /exceptions": Rule(CLINIC_STAFF, "clinic"),
    "POST /exceptions/{exception_id}/settle": Rule(CLINIC_STAFF, "clinic", lambda _: {"how": "dismiss"}),
    "GET /held-acts": Rule(CLINIC_STAFF, "clinic"),
    "POST /held-acts/{act_id}/undo": Rule(CLINIC_STAFF, "clinic"),
}
RULES: dict[str, dict[str, Rule]] = {
    "invoice": {
        "PUT /clinics/{clinic_id}": Rule(OPERATOR, "platform", lambda owner: {**CLINIC, "slug": owner.slug}),
        "GET /clinics/{clinic_id}": Rule(EVERYONE, "platform"),
        "GET /clinics": Rule(OPERATOR, "platform"),
        "POST /clinics/{clinic_id}": Rule(OPERATOR, "platform", lambda owner: {**CLINIC, "slug": owner.slug}),
        "PATCH /clinics/{clinic_id}": Rule(OPERATOR, "platform", lambda _: {"name": "Someone Else"}),
        "POST /clients/{client_id}": Rule(
            CLINIC_STAFF, "clinic", lambda _: {"name": "Someone Else"}, makes=True
        ),
        "PATCH /clients/{client_id}": Rule(CLINIC_STAFF, "clinic", lambda _: {"name": "Someone Else"}),
        "GET /clients/{client_id}": Rule(EVERYONE, "client"),
        "GET /clients": Rule(CLINIC_STAFF, "clinic"),
        "GET /invoices/changed": Rule(EVERYONE, "client"),
        "POST /invoices": Rule(CLINIC_STAFF, "clinic", _new_invoice),
        "POST /invoices/bulk": Rule(
            CLINIC_STAFF, "clinic", lambda owner: {"invoices": [_new_invoice(owner)] * 2}
        ),
        "GET /invoices": Rule(EVERYONE, "client"),
        "GET /invoices/{invoice_id}": Rule(EVERYONE, "client"),
        "GET /invoices/{invoice_id}/pdf": Rule(EVERYONE, "client"),
        "GET /invoices/{invoice_id}/receipt": Rule(EVERYONE, "client", refused="nothing_paid"),
        "GET /invoices/{invoice_id}/credit-notes/{document_id}/pdf": Rule(
            EVERYONE, "client", refused="credit_note_not_found"
        ),
        "GET /invoices/{invoice_id}/xml": Rule(EVERYONE, "client", refused="no_e_invoice"),
        "GET /invoices/{invoice_id}/credit-notes/{document_id}/xml": Rule(
            EVERYONE, "client", refused="credit_note_not_found"
        ),
        "GET /clients/{client_id}/statement": Rule(EVERYONE, "client"),
        "GET /invoices/locations": Rule(CLIENT, "client"),
        "GET /invoices/{invoice_id}/pay-link": Rule(CLINIC_STAFF, "clinic"),
        "POST /invoices/{invoice_id}/pay-link/revoke": Rule(CLINIC_STAFF, "clinic"),
        "GET /summary": Rule(CLIENT, "client"),
        **BOOKING,
        "POST /invoices/{invoice_id}/void": _UNEXPLAINED,
        "POST /invoices/{invoice_id}/void/preview": _UNEXPLAINED,
        "POST /invoices/{invoice_id}/credit-notes/preview": _UNEXPLAINED,
        "POST /invoices/{invoice_id}/write-off/preview": _UNEXPLAINED,
        "POST /invoices/{invoice_id}/credit-notes": _UNEXPLAINED,
        "POST /invoices/{invoice_id}/write-off": _UNEXPLAINED,
        "POST /invoices/{invoice_id}/correct": _UNEXPLAINED_REPLACEMENT,
        "POST /invoices/{invoice_id}/correct/preview": _UNEXPLAINED_REPLACEMENT,
    },
    "payment": {
        "PUT /account": Rule(OPERATOR, "clinic", lambda _: {"stripe_account_id": None}),
        "GET /account": Rule(EVERYONE, "clinic"),
        "POST /payments": Rule(CLIENT, "client", _payment),
        "GET /payments/{payment_id}": Rule(EVERYONE, "client"),
        "GET /payments": Rule(EVERYONE, "client"),
        "GET /payments/on-its-way": Rule(CLIENT, "client"),
        "GET /payment-methods": Rule(CLIENT, "client"),
        "PUT /payment-methods/{method_id}/default": Rule(CLIENT, "client"),
        "PUT /payment-methods/{method_id}/nickname": Rule(CLIENT, "client", lambda _: {"nickname": "Mine"}),
        "POST /setup-intents": Rule(CLIENT, "client"),
        "GET /credit": Rule(CLIENT, "client"),
        "GET /clients/{client_id}/credit": Rule(EVERYONE, "client"),
        "GET /disputes": Rule(CLINIC_STAFF, "clinic"),
        "GET /disputes/{dispute_id}": Rule(CLINIC_STAFF, "clinic"),
        "GET /disputes/{dispute_id}/evidence": Rule(CLINIC_STAFF, "clinic"),
        "PUT /disputes/{dispute_id}/evidence": Rule(CLINIC_STAFF, "clinic", lambda _: {"texts": {}}),
        "POST /disputes/{dispute_id}/evidence/preview": Rule(CLINIC_STAFF, "clinic", lambda _: _held()),
        "POST /disputes/{dispute_id}/evidence/submission": Rule(
            CLINIC_STAFF,
            "clinic",
            lambda _: _held() | {"digest": "0" * 64},
            refused="evidence_changed",
        ),
        "POST /refunds": Rule(CLINIC_STAFF, "clinic", _refund),
        "POST /refunds/preview": Rule(CLINIC_STAFF, "clinic", _refund),
        "POST /payments/recorded": Rule(
            CLINIC_STAFF, "clinic", lambda owner: _refund(owner) | {"kind": "cash"}
        ),
        "POST /payments/{payment_id}/reverse": Rule(
            CLINIC_STAFF, "clinic", lambda _: {"reason": "returned"}, refused="payment_not_recorded"
        ),
        "POST /credit/uses": Rule(
            CLINIC_STAFF,
            "clinic",
            lambda owner: {"client_id": str(owner.client_id), "currency": "USD"},
            refused="no_credit_to_use",
        ),
        "POST /cash-closings": Rule(
            CLINIC_STAFF, "clinic", lambda _: {"counted": 0, "currency": "EUR"}, makes=True
        ),
        "GET /cash-closings": Rule(CLINIC_STAFF, "clinic"),
        **BOOKING,
        "PUT /refunds/{refund_id}/approval": Rule(CLINIC_STAFF, "clinic", lambda _: {"approved": False}),
        "GET /refund-rules": Rule(CLINIC_STAFF, "clinic"),
        "PUT /refund-rules": Rule(OPERATOR, "clinic", lambda _: {"most_a_day": 5}),
        "DELETE /payment-methods/{method_id}": Rule(CLIENT, "client"),
    },
    "notification": {
        "POST /contacts/{client_id}": Rule(CLINIC_STAFF, "clinic", _contact, makes=True),
        "PATCH /contacts/{client_id}": Rule(CLINIC_STAFF, "clinic", lambda _: {"name": "Someone Else"}),
        "DELETE /contacts/{client_id}": Rule(CLINIC_STAFF, "clinic"),
        "GET /contacts/{client_id}/mail": Rule(EVERYONE, "client"),
        "PUT /contacts/{client_id}/mail/{kind}": Rule(CLIENT, "client", lambda _: {"wanted": False}),
        "GET /contacts": Rule(CLINIC_STAFF, "clinic"),
        "GET /contacts/{client_id}": Rule(EVERYONE, "client"),
        "GET /deliveries": Rule(CLINIC_STAFF, "clinic"),
        "GET /receipts/{payment_id}": Rule(EVERYONE, "client"),
        "POST /letters/{letter_id}": Rule(OPERATOR, "clinic", lambda _: _letter(), makes=True),
    },
}
QUERIES = {
    "GET /invoices/changed": {"since": "2020-01-01T00:00:00Z"},
    "GET /contacts": {"email": "ann@example.com"},
}
SIGNED_BY_STRIPE = {"POST /webhooks/stripe"}
OPEN_TO_ALL = {
    *("GET /healthz/live", "GET /healthz/ready"),
    *("GET /openapi", "GET /openapi/{path}", "GET /openapi/openapi.json"),
}

# Deletions come after reads; operations that create rows with the same id elsewhere come last.
OPERATIONS = sorted(
    ((service, operation) for service, rules in RULES.items() for operation in rules),
    key=lambda each: (RULES[each[0]][each[1]].makes, each[1].startswith("DELETE")),
)


def operations_of(app: Litestar) -> Iterator[str]:
    """`GET /path/{name}` for each operation that an app answers."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method in route.methods - {"HEAD", "OPTIONS"}:
                yield f"{method} {route.path_format}"


def operations_in(service: str) -> set[str]:
    """The same, from the OpenAPI file."""
    document = json.loads((OPENAPI / f"{service}.json").read_text())
    return {f"{method.upper()} {path}" for path, found in document["paths"].items() for method in found}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_endpoint_has_a_rule(two: TwoClinics, service: str) -> None:
    answered = set(operations_of(two.apps[service])) - OPEN_TO_ALL - SIGNED_BY_STRIPE

    assert answered == set(RULES[service])
    assert operations_in(service) == set(RULES[service])


def askers(two: TwoClinics) -> dict[str, Caller]:
    alder, birch = two.ann.clinic_id, two.cat.clinic_id
    return {
        "another client": two.bob.caller,
        "another clinic's client": two.cat.caller,
        "another clinic's client with the same id": a_caller("client", birch, two.ann.client_id),
        "another clinic's staff": a_caller("staff", birch),
        "the operator elsewhere": a_caller("operator", birch),
        "staff": a_caller("staff", alder),
        "the operator": a_caller("operator", alder),
        "the client": two.ann.caller,
    }


def may_see(rule: Rule, caller: Caller, owner: Owner) -> bool:
    """Whether the rule lets the caller read the owner's data."""
    if caller.role not in rule.roles:
        return False
    if caller.role == "operator" and rule.scope == "platform":
        return True
    own_client = caller.role != "client" or rule.scope != "client" or caller.subject == owner.client_id
    return caller.clinic_id == owner.clinic_id and own_client


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
async def test_nobody_reaches_what_is_anothers(two: TwoClinics, service: str, operation: str) -> None:
    """Every caller calls with the client's ids. Strangers come first: their calls must have had no effect."""
    rule = RULES[service][operation]
    seen_by: set[str] = set()
    for who, caller in askers(two).items():
        before = await two.rows_of(two.ann.clinic_id, service)
        answer = await _ask(two, service, operation, caller)
        if may_see(rule, caller, two.ann):
            gone = bool(seen_by) and operation.startswith("DELETE") and answer.status_code == 404
            if rule.refused:
                assert answer.json()["code"] == rule.refused, (who, answer.text)
            else:
                assert answer.status_code < 300 or gone, (who, answer.text)
            seen_by.add(who)
            continue
        _check_refusal(rule, operation, who, caller, answer)
        assert not leaked_by(two.ann, operation, rule.body, answer.text), (who, answer.text)
        after = await two.rows_of(two.ann.clinic_id, service)
        assert {table for table in before if before[table] != after[table]} <= OWN_TRIES, who
    assert seen_by, "the rule lets nobody ask this"


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
async def test_nobody_asks_without_a_token_for_this_service(
    two: TwoClinics, service: str, operation: str
) -> None:
    elsewhere = token("invoice" if service != "invoice" else "payment", two.ann.caller)
    before = await two.rows_of(two.ann.clinic_id, service)
    for authorization in (None, "", "Bearer", "Bearer x.y.z", f"Bearer {elsewhere}", "Basic YTpi"):
        headers = {} if authorization is None else {"Authorization": authorization}
        # A proxy's headers about the caller are ignored.
        headers |= {"X-Tenant": str(two.ann.clinic_id), "X-Forwarded-User": str(two.ann.client_id)}
        answer = await _ask(two, service, operation, None, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), authorization
    assert await two.rows_of(two.ann.clinic_id, service) == before


async def _ask(
    two: TwoClinics,
    service: str,
    operation: str,
    caller: Caller | None,
    headers: dict[str, str] | None = None,
) -> Any:
    method, path = operation.split()
    rule = RULES[service][operation]
    body = rule.body(two.ann) if rule.body else None
    sent = {"Idempotency-Key": str(new_id()), **(headers or {})} if method == "POST" else headers
    query = {name: two.ann.ids[name] for name in _ids_in_query(service, operation)}
    query |= QUERIES.get(operation, {})
    return await two.services[service].call(
        method, path.format_map(two.ann.ids), caller, json=body, headers=sent, params=query
    )


def _ids_in_query(service: str, operation: str) -> list[str]:
    method, path = operation.split()
    document = json.loads((OPENAPI / f"{service}.json").read_text())
    found = document["paths"][path][method.lower()].get("parameters", [])
    return [
        each["name"]
        for each in found
        if each["in"] == "query" and each["name"].endswith("_id") and each["name"] != "external_id"
    ]


def _check_refusal(rule: Rule, operation: str, who: str, caller: Caller, answer: Any) -> None:
    """A role without the right gets 403; another client's row gets 404. Lists hold only the caller's own rows."""
    if caller.role not in rule.roles:
        assert answer.status_code == 403, (who, answer.text)
    elif operation == "POST /payments":
        # An unknown invoice as young as this one may still be on its way.
        assert (answer.status_code, answer.json()["code"]) in {
            (404, "payable_not_found"),
            (503, "payable_unknown"),
        }, (who, answer.text)
    elif operation == "POST /invoices/bulk":
        codes = {error["code"] for error in answer.json()["errors"]}
        assert (answer.status_code, codes) == (422, {"client_not_found"}), (who, answer.text)
    elif operation == "GET /clients/{client_id}/credit" and who == "another clinic's client with the same id":
        # It is the client's own credit at the other clinic, where there is none.
        nothing: dict[str, list[Any]] = {
            "balances": [],
            "reserved": [],
            "refundable": [],
            "payments": [],
            "refunds": [],
        }
        assert answer.json() == nothing, (who, answer.text)
    elif ("{" in operation and not rule.makes) or (rule.body and not rule.makes and operation[:3] != "PUT"):
        assert answer.status_code == 404, (who, answer.text)
    else:
        assert answer.status_code in (200, 201) or operation == "POST /setup-intents", (who, answer.text)


def leaked_by(owner: Owner, operation: str, body: Callable[[Owner], Any] | None, text: str) -> set[str]:
    """The owner's ids and secrets in an answer that were not in the request itself."""
    asked = set(operation.format_map(owner.ids).split("/"))
    if body:
        asked |= {value for value in owner.ids.values() if value in json.dumps(body(owner))}
    return {secret for secret in owner.secrets - asked if secret in text}
