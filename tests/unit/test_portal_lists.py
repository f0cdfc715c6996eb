"""Billing History in an address, and as a table."""

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.http.common import Money, PaidWith
from services.gateway.portal.invoices import export, lists
from services.gateway.portal.invoices.lists import Listing
from tests.builders.portal import NOON, a_clinic, a_row, eur


@given(
    st.dictionaries(st.sampled_from(["status", "search", "since", "until", "location", "cursor"]), st.text())
)
def test_a_list_leads_back_to_itself(given: dict[str, str]) -> None:
    """Whatever an address gave, its pages lead to one list, which can be printed."""
    wanted = Listing.of(given)
    assert lists.read(wanted.query) == wanted
    assert wanted.query.isascii() and all(value.isprintable() for value in vars(wanted).values())
    assert wanted.status in ("", *lists.FILTERS)


@pytest.mark.parametrize(
    ("since", "until", "wrong"),
    [
        ("", "", False),
        ("2026-01-01", "2026-01-01", False),
        ("2026-01-02", "2026-01-01", True),
        ("2026-02-30", "", True),
        ("", "tomorrow", True),
    ],
)
def test_days_that_cannot_be_are_said(since: str, until: str, wrong: bool) -> None:
    assert bool(Listing(since=since, until=until).error) is wrong


def test_another_filter_begins_at_its_first_page_and_keeps_the_search() -> None:
    wanted = Listing(status="paid", search="knee", cursor="abc").of_status("unpaid")
    assert wanted.address("/billing") == "/billing?status=unpaid&search=knee"


def rows(*changes: dict[str, Any]) -> list[list[str]]:
    text = export.table([a_row(**each) for each in changes], a_clinic())
    assert text.startswith("\ufeff")
    return list(csv.reader(StringIO(text[1:])))


def test_a_table_has_plain_amounts_and_days() -> None:
    head, row = rows({"number": "2026-7", "refunded": eur(500), "service_summary": 'Knee, "left"'})

    assert tuple(head) == export.COLUMNS
    shown = dict(zip(head, row, strict=True))
    assert (shown["Invoice"], shown["Service"], shown["Currency"]) == ("2026-7", 'Knee, "left"', "EUR")
    assert (shown["Total"], shown["Refunded"], shown["Credited"]) == ("125.00", "5.00", "0.00")
    assert len(shown["Issued on"]) == 10


def test_a_table_says_how_and_when_each_invoice_was_paid() -> None:
    visa = PaidWith(kind="card", brand="visa", last4="4242")
    late = NOON.replace(hour=23, minute=30)
    head, card, credit, unpaid = rows(
        {"paid_with": visa, "paid_at": late}, {"paid_with": PaidWith(kind="credit"), "paid_at": NOON}, {}
    )

    paid = [
        tuple(row[head.index(name)] for name in ("Payment method", "Last paid on"))
        for row in (card, credit, unpaid)
    ]
    assert paid == [("Visa ending 4242", "2026-11-23"), ("Credit", "2026-11-23"), ("", "")]
    [_, abroad] = csv.reader(
        StringIO(export.table([a_row(paid_at=late)], a_clinic(time_zone="Asia/Tokyo"))[1:])
    )
    assert abroad[-1] == "2026-11-24"


def test_decimals_are_those_of_the_currency() -> None:
    invoice = replace(a_row(), currency="KWD", total=Money(1_250, "KWD"))
    assert "KWD,1.250," in export.table([invoice], a_clinic())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(
            (text, f"'{text}")
            for text in ("=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1+1", "\ufeff=1", "\u200b＠x")
        ),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("x;=1+1", "x;'=1+1"),
        ("x, -1|@y", "x,' -1|'@y"),
        ("50 min - massage + tape, 2 parts", "50 min - massage + tape, 2 parts"),
    ],
)
def test_no_text_is_a_formula(text: str, shown: str) -> None:
    _, row = rows({"service_summary": text})
    assert row[4] == shown
