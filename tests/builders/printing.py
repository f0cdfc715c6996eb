"""Issued documents to print, and texts of all kinds for them."""

import json
from datetime import date
from typing import Any

import msgspec

from contracts.http.common import Money
from contracts.http.invoices import DocumentOut, InvoiceOut, InvoiceRow
from services.invoice.printing.paper import Moved, Statement
from tests.tools.generate import CONTRACTS

LOCALES = (
    "en-IE",
    "en-US",
    "de-AT",
    "fr-FR",
    "ja-JP",
    "ar-EG",
    "hi-IN",
    "bn-BD",
    "fa-IR",
    "pl-PL",
    "he-IL",
    "th-TH",
)
SCRIPTS = {
    "Latin": "Žofie Müller Ångström",
    "Greek": "Αθηνά Παπαδοπούλου",
    "Cyrillic": "Щербакова Ёлка Їжак",
    "Arabic": "فاطمة الزهراء",
    "Hebrew": "שָׁלוֹם עליכם",
    "Armenian": "Անահիտ Խաչատրյան",
    "Georgian": "ნინო ბერიძე",
    "Thai": "สมชาย ใจดี",
    "Devanagari": "प्रिया शर्मा",
    "Bengali": "শ্রীমতী রায়",
    "Tamil": "தமிழ் செல்வி",
}
WITHOUT_FONT = {"Han": "日本語", "emoji": "🦷", "Hangul": "한국어"}
HOSTILE = (
    '#import "@preview/x:0.1.0": *',
    "$ x^2 $ \\ \\u{1F9B7} *no* _no_ <label> @ref // no /* no */ `no` [no] {no} ~ -- ---",
    "#panic()",
    '"); #read("/etc/passwd")',
    "\x00\x01\x1b[31m\x7f\u202e\u2066\ufeff\ud800\U000e0001\ue000",
    "a\u0651\u0483\u20dd e\u0301\u0301\u0301 \u0301 \u094d\u200d",
    "\n\n\r\n\u2028\u2029\t\v\f",
)


def example(name: str) -> InvoiceOut:
    return msgspec.json.decode(
        (CONTRACTS / f"examples/http/invoice/{name}.json").read_bytes(), type=InvoiceOut
    )


def _document(name: str) -> DocumentOut:
    answer = json.loads((CONTRACTS / f"examples/http/invoice/{name}.json").read_bytes())
    return msgspec.convert(answer["document"], DocumentOut)


WHOLE = example("invoice-discounted")
PAID = msgspec.structs.replace(example("invoice-paid"), seller=WHOLE.seller, bill_to=WHOLE.bill_to)
CREDIT_NOTE = _document("corrected")


def with_text(text: str, invoice: InvoiceOut = WHOLE) -> InvoiceOut:
    """The invoice with this text in every place that people write in."""
    edit = msgspec.structs.replace
    assert invoice.seller and invoice.bill_to
    lines = [
        edit(
            line,
            service=text,
            practitioner=text,
            appointment=line.appointment and edit(line.appointment, place=text),
            discount=line.discount and edit(line.discount, reason=text),
        )
        for line in invoice.lines
    ]
    return edit(
        invoice,
        lines=lines,
        note=text,
        location=text,
        insurer_reference=text,
        taxes=[edit(tax, name=text, exemption_text=text) for tax in invoice.taxes],
        discount=invoice.discount and edit(invoice.discount, reason=text),
        seller=edit(invoice.seller, name=text, address=text, phone=text, email=text, tax_number=text),
        bill_to=edit(
            invoice.bill_to,
            name=text,
            tax_number=text,
            billing_address=edit(
                invoice.bill_to.billing_address, lines=(text, text), city=text, postcode=text
            ),
        ),
    )


def a_statement(text: str = "Physiotherapy", locale: str = "en-IE") -> Statement:
    """A statement with invoices in all states, payments and what is due of earlier invoices, and this text on it."""
    rows = [
        _row(with_text(text, PAID), text),
        _row(WHOLE, text, credited=Money(2_500, WHOLE.currency)),
        _row(WHOLE, text, status="void", due=Money(0, WHOLE.currency)),
    ]
    seller, client = with_text(text).seller, with_text(text).bill_to
    assert seller and client
    return Statement(
        seller=seller,
        client=client,
        locale=locale,
        time_zone="Europe/Dublin",
        since=date(2026, 1, 1),
        until=date(2026, 12, 31),
        today=date(2026, 11, 30),
        invoices=rows,
        moved=[Moved(each, PAID.number) for each in PAID.movements],
        earlier=[Money(12_500, "EUR"), Money(1, "JPY")],
    )


def _row(invoice: InvoiceOut, text: str, **changes: Any) -> InvoiceRow:
    given = {name: getattr(invoice, name) for name in InvoiceRow.__struct_fields__}
    return InvoiceRow(**(given | {"service_summary": text} | changes))
