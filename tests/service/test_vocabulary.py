"""The words in the databases' constraints and partial indexes are the vocabulary's: migrations spell them out."""

import re
from collections.abc import Iterable
from typing import Any, get_args

import pytest

from contracts import vocabulary as words
from contracts.consents import ConsentKind
from contracts.http.letters import LetterTemplate
from services.chassis.queue.domain import TaskState
from services.notification.emails.kinds import BY_TEMPLATE
from services.payment.ledger.domain import Account, Effect
from services.payment.payments.domain import Allocation
from tests.running.databases import ServiceDb

_CHECKS = """
    SELECT c.conrelid::regclass::text, a.attname, pg_get_constraintdef(c.oid)
    FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ALL (c.conkey)
    WHERE c.contype = 'c' AND c.connamespace = 'public'::regnamespace AND pg_get_constraintdef(c.oid) ~ 'ARRAY\\['
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_expr(indpred, indrelid)
    FROM pg_index WHERE pg_get_expr(indpred, indrelid) ~ 'ARRAY\\['
"""
_CHASSIS = {
    ("parked", "state"): ("waiting", "superseded", "replayed", "discarded"),
    ("audit", "role"): ("staff", "operator"),
    ("tasks", "state"): get_args(TaskState),
    ("held_acts", "state"): get_args(words.HeldState),
    ("held_acts", "role"): ("staff", "operator"),
}
_CHASSIS_INDEXES = {"parked_resolved": ("superseded", "replayed")}

ALLOWED: dict[str, dict[tuple[str, str], Iterable[str]]] = {
    "invoice": {
        ("clinics", "methods"): words.ACCEPTED_METHODS,
        ("clinics", "prices"): get_args(words.PriceMode),
        ("invoices", "prices"): get_args(words.PriceMode),
        ("invoice_lines", "tax_category"): get_args(words.TaxCategory),
        ("invoices", "status"): get_args(words.InvoiceStatus),
        ("movements", "kind"): get_args(words.MovementKind),
        ("invoice_payments", "state"): (*words.PUBLISHED_PAYMENTS, "settled"),
        ("erasures", "kind"): ("client", "invoice"),
        ("invoice_documents", "kind"): get_args(words.DocumentKind),
        ("lost_documents", "kind"): get_args(words.DocumentKind),
        ("invoice_documents", "reason"): {*get_args(words.CreditReason), *get_args(words.WriteOffReason)},
    },
    "payment": {
        ("payments", "status"): get_args(words.PaymentStatus),
        ("payments", "kind"): get_args(words.KeptKind),
        ("allocations", "state"): get_args(Allocation.__annotations__["state"]),
        ("movements", "kind"): get_args(words.MovementKind),
        ("refunds", "status"): get_args(words.RefundStatus),
        ("refunds", "destination"): get_args(words.RefundDestination),
        ("refunds", "made_at"): get_args(words.RefundPlace),
        ("disputes", "status"): get_args(words.DisputeStatus),
        ("documents", "kind"): (*get_args(words.DocumentKind), "issue"),
        ("lost_acts", "family"): ("payment", "movement", "refund"),
        ("evidence_submissions", "phase"): get_args(words.DisputePhase),
        ("evidence_submissions", "state"): get_args(words.SubmissionState),
        ("entries", "effect"): get_args(Effect),
        ("postings", "account"): get_args(Account),
        ("consents", "kind"): get_args(ConsentKind),
        ("account_states", "problem"): {*get_args(words.AccountProblem)} - {"no_account"},
    },
    "notification": {
        ("deliveries", "state"): get_args(words.DeliveryState),
        ("deliveries", "template"): BY_TEMPLATE,
        ("letters", "state"): get_args(words.DeliveryState),
        ("letters", "template"): get_args(LetterTemplate),
        ("unwanted_mail", "template"): words.CHOSEN_MAIL,
    },
}
INDEXED: dict[str, dict[str, Iterable[str]]] = {
    "invoice": {
        "invoices_open_of_clinic": words.OPEN_INVOICES,
        "invoices_open_of_client": words.OPEN_INVOICES,
        "invoices_becoming_overdue": words.PAYABLE_INVOICES,
        "held_acts_of_invoice": ("held", *get_args(words.HeldCorrection)),
    },
    "payment": {
        "payments_due": words.LIVE_PAYMENTS,
        "refunds_unchecked": words.RETURNED_REFUNDS,
        "parked_lost_rows": ("waiting", "stripe_unknown_payment", "stripe_unknown_refund"),
    },
    "notification": {
        "deliveries_next": words.UNSENT_DELIVERIES,
        "deliveries_once_per_subject": ("invoice_ready", "receipt"),
        "deliveries_by_age": ("sent", "dropped", "failed"),
        "letters_ended": ("sent", "dropped", "failed"),
        "invoices_to_remind": words.PAYABLE_INVOICES,
        "deliveries_failures": (*words.UNSENT_DELIVERIES, "payment_failed"),
    },
}


@pytest.fixture(params=ALLOWED)
def database(request: pytest.FixtureRequest) -> tuple[str, ServiceDb]:
    return request.param, request.getfixturevalue(f"db_{request.param}")


async def test_a_constraint_allows_each_word_of_its_type_and_no_other(
    database: tuple[str, ServiceDb],
) -> None:
    service, db = database
    found: dict[tuple[str, str], set[str]] = {}
    for table, column, text in await db.admin.fetch(_CHECKS):
        found[table, column] = _words(text)

    expected: dict[tuple[str, str], Iterable[str]] = {**ALLOWED[service], **_CHASSIS}
    assert found == {column: set(allowed) for column, allowed in expected.items()}


async def test_a_partial_index_is_of_a_set_of_the_vocabulary(database: tuple[str, ServiceDb]) -> None:
    service, db = database

    found = {name: _words(text) for name, text in await db.admin.fetch(_INDEXES)}

    expected: dict[str, Iterable[str]] = {**INDEXED[service], **_CHASSIS_INDEXES}
    assert found == {name: set(allowed) for name, allowed in expected.items()}


def _words(definition: Any) -> set[str]:
    return set(re.findall(r"'(\w+)'::text", definition))
