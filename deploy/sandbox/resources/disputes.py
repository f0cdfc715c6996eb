"""Disputes: a payer who takes a charge back through the bank. An inquiry asks first and moves no money."""

from deploy.sandbox.errors import BadParameter, Json, invalid
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.resources import balance_transactions
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

DAYS_TO_ANSWER = 8
DAY = 86_400
ENDED = ("won", "lost", "warning_closed", "prevented")
_TEXTS = """
    access_activity_log billing_address cancellation_policy_disclosure cancellation_rebuttal customer_email_address
    customer_name customer_purchase_ip duplicate_charge_explanation duplicate_charge_id product_description
    refund_policy_disclosure refund_refusal_explanation service_date shipping_address shipping_carrier shipping_date
    shipping_tracking_number uncategorized_text
"""
_FILES = """
    cancellation_policy customer_communication customer_signature duplicate_charge_documentation receipt
    refund_policy service_documentation shipping_documentation uncategorized_file
"""
_LONG = """
    access_activity_log cancellation_policy_disclosure cancellation_rebuttal duplicate_charge_explanation
    product_description refund_policy_disclosure refund_refusal_explanation uncategorized_text
"""
LONG, SHORT, TOGETHER = 20_000, 5_000, 150_000
"""The most characters of a text in `_LONG`, of another text, and of all texts of a dispute."""
ANSWERABLE = ("needs_response", "warning_needs_response")
_VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}
"""Stripe's test answers in `uncategorized_text`."""


def retrieve(call: Call) -> Json:
    return call.get("dispute", call.id, "dispute")


def list_all(call: Call) -> Json:
    intent = call.params.get("payment_intent")
    charge = call.params.get("charge")
    return page(
        call,
        "dispute",
        "/v1/disputes",
        lambda dispute: charge in (None, dispute["charge"]),
        payment_intent=intent,
    )


def update(call: Call) -> Json:
    """Evidence and metadata; `submit` sends all evidence to the bank, once and for good.

    The texts of the refusals are ours, but for a closed dispute: nobody has published Stripe's.
    """
    dispute = retrieve(call)
    _check_open(dispute)
    evidence = call.params.get("evidence", {})
    if evidence or call.params.get("submit"):
        _check_answerable(call, dispute)
    _check_lengths(dispute, evidence)
    dispute["evidence"] |= {name: value or None for name, value in evidence.items()}
    dispute["metadata"] = changed(dispute["metadata"], call.params.get("metadata"))
    dispute["evidence_details"]["has_evidence"] |= bool(evidence)
    sent = call.params.get("submit", bool(evidence)) and dispute["evidence_details"]["has_evidence"]
    if sent:
        dispute["evidence_details"]["submission_count"] += 1
        dispute["status"] = _waiting(dispute, "under_review")
    call.put(dispute)
    call.emit("charge.dispute.updated", dispute)
    call.emit("charge.updated", call.get("charge", dispute["charge"]))
    return _judged(call, dispute) if sent else dispute


def close(call: Call) -> Json:
    """Accept the dispute: it is lost."""
    dispute = retrieve(call)
    _check_open(dispute)
    return end(call, dispute, "warning_closed" if _is_inquiry(dispute) else "lost")


def open_(call: Call, charge: Json, status: str, reason: str, amount: int | None = None) -> Json:
    """The charge is marked for good; a chargeback takes its money at once, with a fee."""
    charge["disputed"] = True
    call.put(charge)
    dispute = shape(call, charge, status, reason, charge["amount"] if amount is None else amount)
    call.put(dispute)
    call.emit("charge.dispute.created", dispute)
    if not _is_inquiry(dispute):
        _withdraw(call, dispute)
    return dispute


def escalate(call: Call, dispute: Json) -> Json:
    """An inquiry becomes a chargeback."""
    dispute |= {"status": "needs_response", "is_charge_refundable": False}
    if details := dispute.get("payment_method_details"):
        details["card"]["case_type"] = "chargeback"
    call.put(dispute)
    call.emit("charge.dispute.updated", dispute)
    _withdraw(call, dispute)
    return dispute


def end(call: Call, dispute: Json, status: str) -> Json:
    """`won` brings the money back without the fee; a charge that was won can be refunded again."""
    dispute |= {"status": status, "is_charge_refundable": status != "lost"}
    if status == "won" and dispute["balance_transactions"]:
        _book(call, dispute, dispute["amount"], 0, "dispute_reversal", "Chargeback reversal")
        call.emit("charge.dispute.funds_reinstated", dispute)
    call.put(dispute)
    call.emit("charge.dispute.closed", dispute)
    if status == "lost":
        call.emit("charge.updated", call.get("charge", dispute["charge"]))
    return dispute


def of_charge(call: Call, charge: Json) -> list[Json]:
    found, _ = call.store.page(
        call.account, "dispute", {"payment_intent": charge["payment_intent"], "limit": 100}
    )
    return [each for each in found if each["charge"] == charge["id"]]


def settle_inquiries(call: Call, charge: Json) -> None:
    """A full refund ends an inquiry."""
    for dispute in of_charge(call, charge):
        if _is_inquiry(dispute) and dispute["status"] not in ENDED:
            end(call, dispute, "warning_closed")


def _judged(call: Call, dispute: Json) -> Json:
    text = dispute["evidence"]["uncategorized_text"]
    if text == "escalate_inquiry_evidence" and _is_inquiry(dispute):
        return escalate(call, dispute)
    if verdict := _VERDICTS.get(text or ""):
        good = "warning_closed" if _is_inquiry(dispute) else "won"
        return end(call, dispute, good if verdict == "won" else verdict)
    return dispute


def _check_open(dispute: Json) -> None:
    if dispute["status"] in ENDED:
        raise invalid("This dispute is already closed")


def _check_answerable(call: Call, dispute: Json) -> None:
    """The bank takes one answer, until its deadline."""
    if dispute["status"] not in ANSWERABLE:
        raise invalid("Evidence has already been submitted for this dispute")
    due_by = dispute["evidence_details"]["due_by"]
    if not due_by:
        raise invalid("This dispute does not accept evidence")
    if call.now > due_by:
        raise invalid("The deadline for evidence of this dispute has passed")


def _check_lengths(dispute: Json, evidence: Json) -> None:
    for name, value in evidence.items():
        most = LONG if name in _LONG.split() else SHORT
        if name in _TEXTS.split() and len(value) > most:
            raise BadParameter(f"Invalid string: must be at most {most} characters", f"evidence[{name}]")
    texts = [(dispute["evidence"] | evidence)[name] or "" for name in _TEXTS.split()]
    if sum(map(len, texts)) > TOGETHER:
        raise BadParameter(f"Evidence is limited to {TOGETHER} characters together", "evidence")


def _is_inquiry(dispute: Json) -> bool:
    return bool(dispute["status"].startswith("warning_"))


def _waiting(dispute: Json, status: str) -> str:
    return f"warning_{status}" if _is_inquiry(dispute) else status


def _withdraw(call: Call, dispute: Json) -> None:
    _book(
        call,
        dispute,
        -dispute["amount"],
        balance_transactions.DISPUTE_FEE,
        "dispute",
        "Chargeback withdrawal",
    )
    call.put(dispute)
    call.emit("charge.dispute.funds_withdrawn", dispute)


def _book(call: Call, dispute: Json, amount: int, fee: int, category: str, words: str) -> None:
    about = f"{words} for {dispute['charge']}"
    dispute["balance_transactions"].append(
        balance_transactions.book_dispute(call, dispute, amount, fee, category, about)
    )


def shape(call: Call, charge: Json, status: str, reason: str, amount: int) -> Json:
    inquiry = status.startswith("warning_")
    return {
        "id": new_id(call.unsure.dispute_prefix),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys((*_TEXTS.split(), *_FILES.split())) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": _end_of_day(call.now + DAYS_TO_ANSWER * DAY),
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
        **_method(charge, inquiry),
    }


def _method(charge: Json, inquiry: bool) -> Json:
    details = charge["payment_method_details"]
    if details["type"] != "card":
        return {}
    card = {
        "brand": details["card"]["brand"],
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": details["card"]["brand"],
        "network_reason_code": "10.4",
    }
    return {"payment_method_details": {"card": card, "type": "card"}}


def _end_of_day(at: int) -> int:
    return at - at % DAY + DAY - 1


ROUTES = (
    Route("GET", "/v1/disputes", list_all),
    Route("GET", "/v1/disputes/{dispute}", retrieve),
    Route("POST", "/v1/disputes/{dispute}", update),
    Route("POST", "/v1/disputes/{dispute}/close", close),
)
