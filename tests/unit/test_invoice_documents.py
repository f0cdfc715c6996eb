"""Credit notes and write-offs: every way to take an invoice off in parts takes off exactly the invoice."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.currencies import step_of
from contracts.vocabulary import DocumentKind, PriceMode
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.invoice.checks import Price
from services.invoice.clinics.domain import Seller
from services.invoice.documents import domain
from services.invoice.documents.domain import (
    CreditedLine,
    CreditRequest,
    CreditTooLarge,
    Issued,
    Line,
    Part,
    Plan,
    ReplaceRequest,
    Request,
    VoidRequest,
    WriteOffRequest,
)
from services.invoice.invoices.domain import Invoice, take_off
from services.invoice.invoices.drafts import Appointment, DiscountDraft, InvoiceDraft, LineDraft
from services.invoice.invoices.totals import Item, TaxRate, add_up

NOW = datetime(2026, 11, 29, tzinfo=UTC)
RATES = [
    TaxRate("STD", "VAT", Decimal("21")),
    TaxRate("LOW", "VAT", Decimal("13.5")),
    TaxRate("NONE", "", Decimal(0)),
]


def an_invoice(total: int, currency: str = "EUR") -> Invoice:
    return Invoice(
        clinic_id=new_id(),
        id=new_id(),
        client_id=new_id(),
        number="2026-000001",
        status="unpaid",
        currency=currency,
        total_amount=total,
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        seller=Seller(name="Clinic"),
        locale="en-IE",
        time_zone="UTC",
        changed_at=NOW,
    )


@st.composite
def issued_invoices(draw: st.DrawFn) -> Issued:
    """An invoice with some lines, of which some take off, in a currency that is charged in such steps."""
    currency = draw(st.sampled_from(["EUR", "KWD", "MGA"]))
    step = step_of(currency)
    quantities = st.integers(1, 5_000) | st.integers(-1_000, -1)
    given = draw(
        st.lists(
            st.tuples(quantities, st.integers(1, 9_999), st.sampled_from(RATES)),
            min_size=1,
            max_size=5,
        )
    )
    sold = [(Decimal(thousandths) / 1000, unit, rate) for thousandths, unit, rate in given]
    prices: PriceMode = draw(st.sampled_from(["net", "gross"]))
    totals = add_up([Item(quantity, unit, (rate,)) for quantity, unit, rate in sold], step, prices=prices)
    assume(totals.total > 0)
    lines = [
        Line(at, "Physiotherapy", quantity, Part((rate,), made.net, made.taxes))
        for at, ((quantity, _, rate), made) in enumerate(zip(sold, totals.lines, strict=True), start=1)
    ]
    return domain.issued_of(
        an_invoice(totals.total, currency),
        lines,
        totals.rounding,
        [],
        0,
        {},
        processing=False,
        prices=prices,
    )


@st.composite
def requests(draw: st.DrawFn) -> CreditRequest | WriteOffRequest:
    if draw(st.booleans()):
        lines = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3_000)), min_size=1, max_size=3))
        parts = tuple([CreditedLine(at, f"{thousandths / 1000:.3f}") for at, thousandths in lines])
        return CreditRequest(reason="goodwill", lines=parts)
    amount = Price(draw(st.integers(1, 300)) * 100, "EUR")
    if draw(st.booleans()):
        return CreditRequest(reason="goodwill", amount=amount, tax_codes=(draw(st.sampled_from(RATES)).code,))
    return WriteOffRequest(reason="goodwill", amount=amount)


def after(issued: Issued, plan: Plan) -> Issued:
    """The invoice with one document more."""
    invoice = take_off(issued.invoice, plan.kind, plan.total, processing=False, at=NOW)
    taken = {line.position: line.quantity for line in plan.lines}
    return domain.issued_of(
        invoice,
        # The lines as they are, and the parts that were taken before: what is left says those.
        issued.lines,
        issued.rounding_left,
        [*_taken_before(issued), *plan.parts],
        plan.rounding,
        {line.position: line.credited + taken.get(line.position, Decimal(0)) for line in issued.lines},
        processing=False,
        prices=issued.prices,
    )


def _taken_before(issued: Issued) -> list[Part]:
    fresh = domain.issued_of(issued.invoice, issued.lines, 0, [], 0, {}, processing=False)
    left = {part.codes: part for part in issued.left}
    return [part.plus(left[part.codes], -1) for part in fresh.left]


@given(issued_invoices(), st.lists(requests(), max_size=6))
def test_parts_and_the_rest_make_up_the_invoice(
    whole: Issued, given: list[CreditRequest | WriteOffRequest]
) -> None:
    currency = whole.invoice.currency
    issued, plans = whole, []
    for request in [
        *(
            replace(each, amount=Price(each.amount.minor, currency)) if each.amount else each
            for each in given
        ),
        CreditRequest(reason="wrong_amount"),
    ]:
        try:
            plan = domain.plan(request, issued)
        except DomainError:
            continue
        assert plan.total > 0
        assert abs(plan.rounding) < step_of(currency)
        assert all(
            left.holds(part) for left in issued.left for part in plan.parts if part.codes == left.codes
        )
        plans.append(plan)
        issued = after(issued, plan)
        assert issued.total_left == issued.invoice.total_amount - (
            issued.invoice.credited_amount + issued.invoice.written_off_amount
        )

    assert issued.total_left == 0
    assert sum(plan.total for plan in plans) == whole.invoice.total_amount
    if sum(part.gross for part in issued.left) == 0:
        assert [(part.net, part.taxes) for part in issued.left] == [(0, (0,))] * len(issued.left)


@given(
    st.lists(st.integers(-500, 5_000), min_size=1, max_size=6).filter(lambda parts: sum(parts) > 0), st.data()
)
def test_shares_are_within_their_parts(parts: list[int], data: st.DataObject) -> None:
    amount = data.draw(st.integers(0, sum(parts)))
    shares = domain.share_of(amount, parts)

    assert sum(shares) == amount
    assert all(min(0, part) <= share <= max(0, part) for share, part in zip(shares, parts, strict=True))
    assert domain.share_of(sum(parts), parts) == parts


def test_lines_above_the_whole_rest_are_refused_where_others_take_off() -> None:
    """The deduction bears another tax, so each is a part of what is left at its own tax."""
    std, _, none = RATES
    treated = Line(1, "Treatment", Decimal(1), Part((std,), 10_000, (2_100,)))
    deposit = Line(2, "Deposit", Decimal(-1), Part((none,), -40, (0,)))
    issued = domain.issued_of(an_invoice(12_060), [treated, deposit], 0, [], 0, {}, processing=False)

    with pytest.raises(CreditTooLarge) as refused:
        domain.plan(CreditRequest(reason="not_given", lines=(CreditedLine(1),)), issued)
    both = domain.plan(CreditRequest(reason="not_given", lines=(CreditedLine(1), CreditedLine(2))), issued)

    assert refused.value.fields["left"] == 12_060
    assert (both.net, both.tax, both.rounding, both.total) == (9_960, 2_100, 0, 12_060)


def test_line_by_line_no_more_and_no_less_is_credited_than_the_rounded_total() -> None:
    """Each line is half a step above one: rounded by itself, four of six would take off the whole invoice."""
    none = RATES[2]
    lines = [Line(at, "Massage", Decimal(1), Part((none,), 150, (0,))) for at in range(1, 7)]
    issued = domain.issued_of(an_invoice(900, "MGA"), lines, 0, [], 0, {}, processing=False)
    totals = []
    for at in range(1, 7):
        made = domain.plan(CreditRequest(reason="not_given", lines=(CreditedLine(at),)), issued)
        totals.append(made.total)
        issued = after(issued, made)

    assert totals == [100, 200, 100, 200, 100, 200]
    assert (issued.total_left, issued.rounding_left, issued.left[0].net) == (0, 0, 0)


def two_taxes() -> Issued:
    gst, pst = TaxRate("GST", "GST", Decimal(5)), TaxRate("PST", "PST", Decimal(7))
    both = Line(1, "Massage", Decimal(2), Part((gst, pst), 10_000, (500, 700)))
    off = Line(2, "Discount", Decimal(-1), Part((gst,), -1_000, (-50,)))
    more = Line(3, "Tape", Decimal(1), Part((gst,), 3_000, (150,)))
    return domain.issued_of(an_invoice(13_300), [both, off, more], 0, [], 0, {}, processing=False)


def test_lines_with_two_taxes_and_lines_that_take_off() -> None:
    issued = two_taxes()
    half = domain.plan(CreditRequest(reason="not_given", lines=(CreditedLine(1, "1"),)), issued)
    summed = domain.plan(
        CreditRequest(reason="not_given", amount=Price(1_120, "EUR"), tax_codes=("GST", "PST")), issued
    )
    with_discount = domain.plan(
        CreditRequest(reason="not_given", lines=(CreditedLine(2), CreditedLine(3))), issued
    )

    assert (half.parts[0].net, half.parts[0].taxes, half.total) == (5_000, (250, 350), 5_600)
    assert (summed.parts[0].net, summed.parts[0].taxes) == (1_000, (50, 70))
    assert (with_discount.net, with_discount.tax) == (2_000, 100)
    for above in (
        CreditRequest(reason="not_given", lines=(CreditedLine(3),)),
        CreditRequest(reason="not_given", amount=Price(2_101, "EUR"), tax_codes=("GST",)),
    ):
        with pytest.raises(CreditTooLarge) as refused:
            domain.plan(above, issued)
        assert refused.value.fields["left"] == 2_100


def test_no_more_of_a_tax_is_credited_than_all_lines_that_bear_it_charged() -> None:
    """The discount bears one of the two taxes of the massage: less of that tax was charged than the massage bears."""
    gst, pst = TaxRate("GST", "GST", Decimal(5)), TaxRate("PST", "PST", Decimal(7))
    both = Line(1, "Massage", Decimal(1), Part((gst, pst), 10_000, (500, 700)))
    off = Line(2, "Discount", Decimal(-1), Part((gst,), -1_000, (-50,)))
    none = Line(3, "Consultation", Decimal(1), Part((RATES[2],), 5_000, (0,)))
    issued = domain.issued_of(an_invoice(15_150), [both, off, none], 0, [], 0, {}, processing=False)

    for too_much in (
        CreditRequest(reason="not_given", lines=(CreditedLine(1),)),
        CreditRequest(reason="not_given", amount=Price(11_200, "EUR"), tax_codes=("GST", "PST")),
    ):
        with pytest.raises(CreditTooLarge) as refused:
            domain.plan(too_much, issued)
        assert refused.value.fields["tax_code"] == "GST"
    made = domain.plan(CreditRequest(reason="not_given", lines=(CreditedLine(1), CreditedLine(2))), issued)
    assert (made.net, made.tax) == (9_000, 1_150)


@pytest.mark.parametrize(
    ("kind", "total", "settled", "status"),
    [
        ("credit_note", 100, 0, "credited"),
        ("credit_note", 40, 60, "paid"),
        ("credit_note", 40, 0, "unpaid"),
        ("write_off", 40, 60, "paid"),
        ("write_off", 100, 0, "written_off"),
        ("void", 100, 0, "void"),
    ],
)
def test_a_document_changes_the_status_that_the_sums_give(
    kind: DocumentKind, total: int, settled: int, status: str
) -> None:
    before = replace(an_invoice(100), settled_amount=settled, status="part_paid" if settled else "unpaid")
    invoice = take_off(before, kind, total, processing=False, at=NOW)

    assert (invoice.status, invoice.version, invoice.paid_at) == (
        status,
        2,
        NOW if status == "paid" else None,
    )


def test_a_document_names_no_tax_of_which_it_takes_nothing() -> None:
    issued = two_taxes()
    all_of_both = CreditRequest(reason="not_given", lines=(CreditedLine(1),))
    rest = domain.plan(CreditRequest(reason="not_given"), after(issued, domain.plan(all_of_both, issued)))

    assert [part.codes for part in rest.parts] == [("GST",)]
    assert (rest.net, rest.tax, rest.total) == (2_000, 100, 2_100)


def test_a_void_takes_off_the_whole_invoice() -> None:
    plan = domain.plan(VoidRequest(reason="duplicate"), two_taxes())

    assert (plan.net, plan.tax, plan.total) == (12_000, 1_300, 13_300)


DRAFT = InvoiceDraft(
    client_id=new_id(),
    due_on=date(2026, 12, 13),
    lines=(
        LineDraft(
            service="Massage",
            practitioner="A. Byrne",
            appointment=Appointment(datetime(2026, 11, 2, 10, tzinfo=timezone(timedelta(hours=2))), "Room 2"),
            quantity="-1.5",
            unit_price=Price(10**15, "EUR"),
            tax_codes=("GST", "PST"),
            discount=DiscountDraft(amount=Price(1, "EUR"), reason="friend"),
        ),
        LineDraft(service="X", unit_price=Price(0, "EUR"), tax_code="NONE"),
    ),
    currency="EUR",
    issued_on=date(2026, 11, 1),
    note="Thank you\nand goodbye",
    prices="gross",
    discount=DiscountDraft(percent="12.5"),
    insurer_reference="P-1",
    location="Quay",
    external_id="new",
    metadata={"visit": "7"},
)


@pytest.mark.parametrize(
    "request_",
    [
        VoidRequest(reason="other", explanation="Not theirs"),
        CreditRequest(reason="goodwill", lines=(CreditedLine(1), CreditedLine(2, "0.5"))),
        CreditRequest(reason="goodwill", amount=Price(5, "EUR"), tax_codes=("GST", "PST")),
        WriteOffRequest(reason="uncollectible", amount=Price(5, "EUR")),
        ReplaceRequest(reason="wrong_service", explanation="Massage", invoice=DRAFT),
    ],
    ids=lambda request: request.kind,
)
def test_a_request_is_kept_whole_while_it_is_held(request_: Request) -> None:
    kept = json.loads(json.dumps(msgspec.to_builtins(request_)))

    assert type(request_) in get_args(Request)
    assert msgspec.convert(kept, type(request_)) == request_
