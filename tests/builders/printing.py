"""Issued documents to print, and texts of all kinds for them."""

import json

import msgspec

from contracts.http.invoices import DocumentOut, InvoiceOut
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
