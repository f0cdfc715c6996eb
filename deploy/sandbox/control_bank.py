"""The banks' part of the control API: what becomes of debits, refunds, disputes, payouts and cards."""

from collections.abc import Callable
from typing import Literal

import msgspec
from litestar import post, put
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody

from deploy.sandbox import payments
from deploy.sandbox.errors import Json
from deploy.sandbox.resources import disputes, payouts, refunds
from deploy.sandbox.sandbox import Call, Sandbox, account_named


class Settlement(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str = "succeeded"
    """`succeeded` or `failed`."""


class RefundsEnd(msgspec.Struct, forbid_unknown_fields=True):
    outcome: Literal["succeeded", "failed", "canceled"] = "succeeded"


class PayoutEnd(msgspec.Struct, forbid_unknown_fields=True):
    outcome: Literal["in_transit", "paid", "failed"] = "paid"


class Dispute(msgspec.Struct, forbid_unknown_fields=True):
    status: Literal["needs_response", "warning_needs_response"] = "needs_response"
    """The second is an inquiry: no money is withdrawn."""
    reason: str = "fraudulent"
    amount: int | None = None
    """The charge's, if not given. A bank may dispute another amount, even a larger one."""


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    outcome: Literal["won", "lost", "warning_closed", "prevented", "escalated"]


class Bank(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float | None = None
    """How long a debit is processing before the bank answers by itself; None: until `settle`."""


@post("/accounts/{account:str}/payment_intents/{intent:str}/settle", status_code=200, sync_to_thread=False)
def settle(
    sandbox: NamedDependency[Sandbox],
    account: FromPath[str],
    intent: FromPath[str],
    data: JSONBody[Settlement],
) -> Json:
    """The bank's answer to a debit that is `processing`."""

    def work(call: Call, found: Json) -> Json:
        if found["status"] != "processing":
            raise NotFoundException(f"{intent} is not processing, it is {found['status']}")
        return payments.finish_processing(call, found, paid=data.outcome == "succeeded")

    return _change(sandbox, account, "payment_intent", intent, work)


@post("/accounts/{account:str}/refunds/{refund:str}/settle", status_code=200, sync_to_thread=False)
def settle_refund(
    sandbox: NamedDependency[Sandbox],
    account: FromPath[str],
    refund: FromPath[str],
    data: JSONBody[RefundsEnd],
) -> Json:
    """The bank's answer to a refund, days later with the clock: also one that had succeeded may still fail."""

    return _settle(sandbox, account, "refund", refund, data.outcome)


@post("/accounts/{account:str}/charges/{charge:str}/dispute", status_code=200, sync_to_thread=False)
def dispute_charge(
    sandbox: NamedDependency[Sandbox],
    account: FromPath[str],
    charge: FromPath[str],
    data: JSONBody[Dispute],
) -> Json:
    """The payer disputes a charge at the bank. A refund of it that is on its way fails then."""

    def work(call: Call, found: Json) -> Json:
        dispute = disputes.open_(call, found, data.status, data.reason, data.amount)
        if not dispute["is_charge_refundable"]:
            refunds.fail_disputed(call, found)
        return dispute

    return _change(sandbox, account, "charge", charge, work)


@post("/accounts/{account:str}/disputes/{dispute:str}/end", status_code=200, sync_to_thread=False)
def end_dispute(
    sandbox: NamedDependency[Sandbox],
    account: FromPath[str],
    dispute: FromPath[str],
    data: JSONBody[Verdict],
) -> Json:
    """The bank's verdict, whatever the evidence; also one that comes late, after the dispute was lost."""

    def work(call: Call, found: Json) -> Json:
        if data.outcome == "escalated":
            return disputes.escalate(call, found)
        return disputes.end(call, found, data.outcome)

    return _change(sandbox, account, "dispute", dispute, work)


@post("/accounts/{account:str}/payouts/{payout:str}/settle", status_code=200, sync_to_thread=False)
def settle_payout(
    sandbox: NamedDependency[Sandbox],
    account: FromPath[str],
    payout: FromPath[str],
    data: JSONBody[PayoutEnd],
) -> Json:
    """The bank's answer to a payout, days later with the clock."""

    return _settle(sandbox, account, "payout", payout, data.outcome)


@put("/bank", sync_to_thread=False)
def set_bank(sandbox: NamedDependency[Sandbox], data: JSONBody[Bank]) -> Json:
    sandbox.bank_seconds = data.seconds
    return {"seconds": data.seconds}


@post("/accounts/{account:str}/payment_methods/{method:str}/renew", status_code=200, sync_to_thread=False)
def renew_card(sandbox: NamedDependency[Sandbox], account: FromPath[str], method: FromPath[str]) -> Json:
    """The card's network reports a new expiry date, four years on."""

    def work(call: Call, found: Json) -> Json:
        found["card"]["exp_year"] += 4
        call.put(found)
        call.emit("payment_method.automatically_updated", found)
        return found

    return _change(sandbox, account, "payment_method", method, work)


_BY_BANK: dict[str, tuple[Callable[[str, str], bool], Callable[[Call, Json, str], Json]]] = {
    "refund": (refunds.may_become, refunds.settle),
    "payout": (payouts.may_become, payouts.settle),
}


def _settle(sandbox: Sandbox, account: str, kind: Literal["refund", "payout"], id: str, outcome: str) -> Json:
    """The bank's answer to a refund or payout. 404 for one that cannot become that."""
    may_become, settled = _BY_BANK[kind]

    def work(call: Call, found: Json) -> Json:
        if not may_become(found["status"], outcome):
            raise NotFoundException(f"{id} is {found['status']} and cannot become {outcome}")
        return settled(call, found, outcome)

    return _change(sandbox, account, kind, id, work)


def _change(sandbox: Sandbox, account: str, kind: str, id: str, work: Callable[[Call, Json], Json]) -> Json:
    """Let the work change an object; account `platform` is the platform's own."""
    return sandbox.run(account_named(account), lambda call: work(call, call.get(kind, id)))


HANDLERS = (settle, settle_refund, dispute_charge, end_dispute, settle_payout, set_bank, renew_card)
