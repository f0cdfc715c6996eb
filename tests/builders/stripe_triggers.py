"""The sequences of requests with which Stripe's CLI makes each event happen (`stripe trigger`), as it sends them.

Source: the fixtures of stripe/stripe-cli, August 2026. The CLI has none for some events: test cards make these, and
the sandbox's control API, in the place of a bank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from deploy.sandbox.embedded import RunningSandbox

Json = dict[str, Any]
BY_CLI = "description=(created by Stripe CLI)"
_SHIPPING = (
    "shipping[name]=Jenny Rosen&shipping[address][line1]=510 Townsend St&shipping[address][city]=San Francisco"
    "&shipping[address][state]=CA&shipping[address][postal_code]=94103&shipping[address][country]=US"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `{0[id]}` stands for the first step's `id`; `control` paths are of the sandbox's control API."""

    method: str
    path: str
    form: str = ""
    expects: int = 200
    control: Json | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    event: str
    steps: Sequence[Step]


def _post(path: str, form: str = "", expects: int = 200) -> Step:
    return Step("POST", path, form, expects)


def _pay(form: str, expects: int = 200) -> Step:
    return _post("payment_intents", f"{BY_CLI}&payment_method_types[]=card&{form}", expects)


def _confirmed(form: str, expects: int = 200) -> Step:
    return _pay(f"{form}&confirm=true", expects)


def _bank(path: str, body: Json) -> Step:
    return Step("POST", path, control=body)


_VISA = "payment_method=pm_card_visa"
_PAID = _confirmed(f"amount=100&currency=usd&{_VISA}")
_INQUIRY = _confirmed("amount=100&currency=usd&payment_method=pm_card_createDisputeInquiry")
_CHARGEBACK = _confirmed("amount=100&currency=usd&payment_method=pm_card_createDispute")
_FIND = Step("GET", "disputes?payment_intent={0[id]}")
_CUSTOMER = _post("customers", BY_CLI)
_ATTACHED = (_CUSTOMER, _post("payment_methods/pm_card_visa/attach", "customer={0[id]}"))
_ACCOUNT = _post("accounts", "type=standard")
_AVAILABLE = _confirmed("amount=2000&currency=usd&payment_method=pm_card_bypassPending")
_MANUAL = f"amount=2000&currency=usd&{_VISA}&capture_method=manual&confirmation_method=manual"
_SEPA = (
    _post(
        "payment_methods",
        "type=sepa_debit&sepa_debit[iban]=AT321904300235473204&billing_details[name]=Jenny Rosen"
        "&billing_details[email]=jenny@example.com",
    ),
    _post(
        "payment_intents",
        f"{BY_CLI}&amount=1000&currency=eur&payment_method={{0[id]}}&payment_method_types[]=sepa_debit&confirm=true"
        "&mandate_data[customer_acceptance][type]=offline"
        "&mandate_data[customer_acceptance][accepted_at]=1590590577",
    ),
)
_FAILING = (
    _confirmed("amount=100&currency=usd&payment_method=pm_card_refundFail"),
    _post("refunds", "payment_intent={0[id]}"),
)

CLI = (
    Trigger("payment_intent.created", [_pay("amount=2000&currency=usd")]),
    Trigger("payment_intent.succeeded", [_confirmed(f"amount=2000&currency=usd&{_VISA}&{_SHIPPING}")]),
    Trigger(
        "payment_intent.payment_failed",
        [_confirmed("amount=2000&currency=usd&payment_method=pm_card_chargeDeclined", 402)],
    ),
    Trigger(
        "payment_intent.requires_action",
        [_confirmed("amount=2000&currency=usd&payment_method=pm_card_authenticationRequired")],
    ),
    Trigger(
        "payment_intent.canceled",
        [
            _pay("amount=2000&currency=usd"),
            _post("payment_intents/{0[id]}/cancel", "cancellation_reason=requested_by_customer"),
        ],
    ),
    Trigger(
        "payment_intent.amount_capturable_updated",
        [_confirmed(f"{_MANUAL}&return_url=https://example.com/return")],
    ),
    Trigger("payment_intent.processing", _SEPA),
    Trigger("charge.succeeded", [_PAID]),
    Trigger(
        "charge.failed",
        [_confirmed("amount=100&currency=usd&payment_method=pm_card_visa_chargeDeclined", 402)],
    ),
    Trigger(
        "charge.captured",
        [
            _confirmed(f"amount=2000&currency=usd&{_VISA}&capture_method=manual"),
            _post("payment_intents/{0[id]}/capture"),
        ],
    ),
    Trigger("charge.refunded", [_PAID, _post("refunds", "payment_intent={0[id]}")]),
    Trigger(
        "charge.refund.updated",
        [
            _PAID,
            _post("refunds", "payment_intent={0[id]}"),
            _post("refunds/{1[id]}", "metadata[order_id]=6735"),
        ],
    ),
    Trigger("charge.dispute.created", [_INQUIRY]),
    Trigger(
        "charge.dispute.updated", [_INQUIRY, _FIND, _post("disputes/{1[data][0][id]}", "metadata[foo]=bar")]
    ),
    Trigger("charge.dispute.closed", [_INQUIRY, _FIND, _post("disputes/{1[data][0][id]}/close")]),
    Trigger("setup_intent.created", [_post("setup_intents", f"{BY_CLI}&payment_method_types[]=card")]),
    Trigger(
        "setup_intent.canceled",
        [
            _post("setup_intents", f"{BY_CLI}&payment_method_types[]=card"),
            _post("setup_intents/{0[id]}/cancel", "cancellation_reason=requested_by_customer"),
        ],
    ),
    Trigger(
        "setup_intent.succeeded",
        [_post("setup_intents", f"{BY_CLI}&{_VISA}&payment_method_types[]=card&confirm=true")],
    ),
    Trigger(
        "setup_intent.requires_action",
        [
            _post(
                "setup_intents",
                f"{BY_CLI}&payment_method=pm_card_authenticationRequired&payment_method_types[]=card&confirm=true",
            )
        ],
    ),
    Trigger(
        "setup_intent.setup_failed",
        [
            _post(
                "setup_intents",
                f"{BY_CLI}&payment_method=pm_card_chargeDeclined&payment_method_types[]=card&confirm=true",
                402,
            )
        ],
    ),
    Trigger("payment_method.attached", _ATTACHED),
    Trigger("payment_method.detached", (*_ATTACHED, _post("payment_methods/{1[id]}/detach"))),
    Trigger(
        "payment_method.updated",
        [
            _CUSTOMER,
            # The CLI names no type; without one, versions since 2023 want a return_url.
            _post(
                "setup_intents",
                f"{BY_CLI}&customer={{0[id]}}&{_VISA}&payment_method_types[]=card&confirm=true",
            ),
            _post("payment_methods/{1[payment_method]}", "metadata[foo]=bar"),
        ],
    ),
    Trigger("customer.created", [_CUSTOMER]),
    Trigger("customer.updated", [_CUSTOMER, _post("customers/{0[id]}", "metadata[foo]=bar")]),
    Trigger("customer.deleted", [_CUSTOMER, Step("DELETE", "customers/{0[id]}")]),
    Trigger("account.updated", [_ACCOUNT, _post("accounts/{0[id]}", "metadata[foo]=bar")]),
    Trigger("account.application.deauthorized", [_ACCOUNT, Step("DELETE", "accounts/{0[id]}")]),
    Trigger("payout.created", [_AVAILABLE, _post("payouts", "amount=1100&currency=usd")]),
    Trigger(
        "payout.updated",
        [
            _AVAILABLE,
            _post("payouts", "amount=1100&currency=usd"),
            _post("payouts/{1[id]}", "metadata[foo]=bar"),
        ],
    ),
)

WITHOUT_CLI = (
    Trigger("charge.pending", _SEPA),
    Trigger("refund.created", [_PAID, _post("refunds", "payment_intent={0[id]}&amount=40")]),
    Trigger(
        "refund.updated",
        [
            _confirmed("amount=100&currency=usd&payment_method=pm_card_pendingRefund"),
            _post("refunds", "payment_intent={0[id]}"),
            _bank("/accounts/platform/refunds/{1[id]}/settle", {"outcome": "succeeded"}),
        ],
    ),
    Trigger(
        "refund.failed",
        (*_FAILING, _bank("/accounts/platform/refunds/{1[id]}/settle", {"outcome": "failed"})),
    ),
    Trigger("charge.dispute.funds_withdrawn", [_CHARGEBACK]),
    Trigger(
        "charge.dispute.funds_reinstated",
        [
            _CHARGEBACK,
            _FIND,
            _post("disputes/{1[data][0][id]}", "evidence[uncategorized_text]=winning_evidence"),
        ],
    ),
    Trigger("charge.updated", [_CHARGEBACK, _FIND, _post("disputes/{1[data][0][id]}/close")]),
    Trigger(
        "radar.early_fraud_warning.created",
        [_confirmed("amount=100&currency=usd&payment_method=pm_card_createIssuerFraudRecord")],
    ),
    Trigger(
        "payment_method.automatically_updated",
        (*_ATTACHED, _bank("/accounts/platform/payment_methods/{1[id]}/renew", {})),
    ),
    Trigger(
        "payout.paid",
        [
            _AVAILABLE,
            _post("payouts", "amount=1100&currency=usd"),
            _bank("/accounts/platform/payouts/{1[id]}/settle", {"outcome": "paid"}),
        ],
    ),
    Trigger(
        "payout.failed",
        [
            _AVAILABLE,
            _post("payouts", "amount=1100&currency=usd"),
            _bank("/accounts/platform/payouts/{1[id]}/settle", {"outcome": "failed"}),
        ],
    ),
    Trigger(
        "capability.updated",
        [Step("PUT", "/accounts/acct_trigger0000001", control={"card_payments": "inactive"})],
    ),
    Trigger(
        "account.application.authorized",
        [
            Step("PUT", "/accounts/acct_trigger0000002", control={}),
            Step("DELETE", "/accounts/acct_trigger0000002", control={}),
            Step("PUT", "/accounts/acct_trigger0000002", control={}),
        ],
    ),
)
ALL = (*CLI, *WITHOUT_CLI)


async def play(sandbox: RunningSandbox, trigger: Trigger) -> list[Json]:
    """Send a trigger's requests, form encoded; the answers."""
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    answers: list[Json] = []
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
        for step in trigger.steps:
            answers.append(await _sent(sandbox, http, step, answers))
    return answers


async def _sent(sandbox: RunningSandbox, http: Any, step: Step, before: list[Json]) -> Json:
    path, form = step.path.format(*before), step.form.format(*before)
    if step.control is not None:
        return await sandbox.control(step.method, path, step.control)
    answer = await http.request(
        step.method,
        f"/v1/{path}",
        content=form.replace(" ", "+"),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == step.expects, (step, answer.text)
    body: Json = answer.json()
    return body
