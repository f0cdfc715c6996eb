"""Texts from the clinic's records for a dispute: they name no service, unless staff switch that on."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from contracts.http.clinics import ClinicOut
from contracts.http.common import Money, PaidWith
from contracts.http.contacts import ContactOut
from contracts.http.disputes import TEXT_LIMITS, EvidenceTexts
from contracts.http.invoices import Appointment, InvoiceOut, LineOut
from contracts.http.payments import PaymentOut
from services.chassis.ids import new_id
from services.gateway.api.disputes.held import held_texts
from tests.tools.generate import CONTRACTS

EXAMPLES = CONTRACTS / "examples/http/invoice"
PAYMENT = PaymentOut(
    id=new_id(),
    status="succeeded",
    amount=Money(12500, "EUR"),
    method=PaidWith(kind="card", brand="visa", last4="4242"),
    failure=None,
    created_at=datetime(2026, 11, 3, tzinfo=UTC),
    succeeded_at=datetime(2026, 11, 3, 12, tzinfo=UTC),
    invoices=[],
    surplus=None,
    version=1,
)
CONTACT = ContactOut(client_id=new_id(), email="ann@example.com", name="Ann", language="en")


def _read(name: str, kind: type[Any]) -> Any:
    return msgspec.json.decode((EXAMPLES / f"{name}.json").read_bytes(), type=kind)


def a_line(service: str) -> LineOut:
    visit = Appointment(starts_at=datetime(2026, 10, 30, 9, tzinfo=UTC), place="Room 2")
    [line, *_] = _read("invoice", InvoiceOut).lines
    return msgspec.structs.replace(line, service=service, appointment=visit)  # type: ignore[no-any-return]


def held(with_services: bool, *lines: LineOut, contact: ContactOut | None = CONTACT) -> EvidenceTexts:
    invoice = msgspec.structs.replace(
        _read("invoice", InvoiceOut), lines=list(lines), number="ALD-2026-000007"
    )
    return held_texts(_read("clinic", ClinicOut), "Ann Client", contact, PAYMENT, [invoice], with_services)


def test_without_services_the_client_the_invoice_and_the_receipt_are_named() -> None:
    texts = held(False, a_line("Root canal treatment"))

    assert (texts.customer_name, texts.customer_email_address) == ("Ann Client", "ann@example.com")
    assert "ALD-2026-000007" in texts.product_description
    assert "Visa ending 4242" in texts.product_description
    assert texts.service_date == ""
    said = json.dumps(msgspec.to_builtins(texts))
    assert "Root canal" not in said and "30 October" not in said and "Room 2" not in said


def test_with_services_they_are_named_with_their_days() -> None:
    texts = held(True, a_line("Root canal treatment"), a_line("Crown"))

    assert "Root canal treatment, 30 October 2026." in texts.product_description
    assert "Crown, 30 October 2026." in texts.product_description
    assert texts.service_date == "30 October 2026"
    assert "Room 2" not in texts.product_description


def test_each_text_is_within_stripes_limit_however_long_the_invoice_is() -> None:
    texts = held(True, *(a_line(f"{number}" * 60) for number in range(500)))

    for name, text in msgspec.structs.asdict(texts).items():
        assert len(text) <= TEXT_LIMITS[name]
    assert texts.product_description.endswith("30 October 2026.")


def test_a_client_without_a_contact_has_no_address() -> None:
    assert held(False, contact=None).customer_email_address == ""
