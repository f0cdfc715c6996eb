"""Documents as PDF: every figure is on them, the bytes are the same each time, and no text breaks them."""

import asyncio
import json
from dataclasses import replace
from datetime import date
from io import BytesIO
from typing import Any
from uuid import UUID

import msgspec
import pytest
from babel.localedata import locale_identifiers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from contracts.currencies import CURRENCIES
from contracts.events.payment import receipt_number
from contracts.http import shown
from contracts.http.common import Money
from contracts.vocabulary import method_name
from services.chassis.ids import new_id
from services.chassis.locale.formats import Formats
from services.invoice.printing import paper
from services.invoice.printing import printer as module
from services.invoice.printing.glyphs import FAMILIES, FONTS, REPLACEMENT, Fonts, characters
from services.invoice.printing.paper import Paper
from services.invoice.printing.press import Press
from services.invoice.printing.printer import NotPrinted, Printer, etag
from tests.builders.printing import (
    CREDIT_NOTE,
    HOSTILE,
    LOCALES,
    PAID,
    SCRIPTS,
    WHOLE,
    WITHOUT_FONT,
    with_text,
)

PRESS, LETTERS = Press(), Fonts()
CLINIC = new_id()
PATIENT = 300.0
"""Seconds for a document on a machine that is busy."""


def patient(presses: int = 2) -> Printer:
    return Printer(presses, PATIENT, PATIENT)


def printed(made: Paper) -> bytes:
    return PRESS.print(msgspec.to_builtins(made))


def words(pdf: bytes) -> str:
    return typed(pdf).replace("\u200b", "")


def typed(pdf: bytes) -> str:
    """The text with the places where a word that is too wide may break."""
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def test_it_says_all_that_an_insurer_asks_for() -> None:
    edit = msgspec.structs.replace
    assert WHOLE.seller and WHOLE.bill_to
    found = edit(
        WHOLE,
        seller=edit(WHOLE.seller, tax_number="IE1234567T"),
        bill_to=edit(WHOLE.bill_to, tax_number="IE7654321T"),
        insurer_reference="Claim 99/2026",
        location="Quay Street",
        note="Thank you",
        rounding=Money(-5, "EUR"),
        taxes=[edit(WHOLE.taxes[0], exemption_text="Medical care, article 132")],
    )

    text = words(printed(paper.invoice(found))).replace("\n", " ")

    write = Formats.of(found)
    expected = [
        f"Invoice {found.number}",
        found.number,
        write.day(found.issued_on),
        write.day(found.due_on),
        *(
            "IE1234567T",
            "IE7654321T",
            "Claim 99/2026",
            "Quay Street",
            "Thank you",
            "Medical care, article 132",
        ),
        *(part for sum_ in shown.made_up(found, write) for part in (sum_.label, sum_.amount)),
        *(
            "Harbour Clinic",
            "12 Quay Street",
            "billing@harbour.example",
            "Ada Nolan",
            "3 Strand",
            "D04 Dublin",
        ),
        *(
            "Physiotherapy, 45 min",
            "Dr Niamh Kelly",
            "Monday 2 November 2026, 10:00",
            "Room 2",
            "First visit",
        ),
        *("€123.50", "−€10.00", "€113.50", "€12.15 (13.5%)", "Ireland"),
    ]
    assert [each for each in expected if each not in text] == []


def test_it_shows_nothing_that_comes_after_the_issue() -> None:
    paid = PAID
    since = msgspec.structs.replace(
        paid,
        status="unpaid",
        settled=Money(0, paid.currency),
        due=paid.total,
        movements=[],
        paid_with=None,
        version=1,
    )

    assert paid.movements and paper.invoice(paid) == paper.invoice(since)


def test_a_word_that_fits_stays_as_it_was_typed() -> None:
    """So that a reader can search for it, and copy it."""
    found = msgspec.structs.replace(
        WHOLE,
        insurer_reference="CLAIM-2026-0000123456789012",
        note="See https://example.com/a//b-and-what-follows",
    )
    thai = msgspec.structs.replace(WHOLE, note="สมชายใจดีไปโรงพยาบาลเพื่อทำกายภาพบำบัด")
    [payment] = PAID.movements

    seen = typed(printed(paper.invoice(found)))
    assert found.insurer_reference in seen and found.note in seen
    assert "\u200b" not in typed(printed(paper.invoice(thai)))
    for at in range(40):
        moved = msgspec.structs.replace(
            payment, payment_id=UUID(int=0xCB301568800000000000000000000000 + at * 7**40)
        )
        receipt = printed(paper.receipt(msgspec.structs.replace(PAID, movements=[moved])))
        assert receipt_number(moved.payment_id) in typed(receipt)


def test_a_receipt_says_how_it_was_paid_and_what_went_back() -> None:
    [paid, *_] = PAID.movements
    back = msgspec.structs.replace(paid, kind="refund", amount=Money(-1_000, PAID.currency))
    found = msgspec.structs.replace(PAID, movements=[paid, back], refunded=Money(1_000, PAID.currency))
    write = Formats.of(found)

    text = words(printed(paper.receipt(found))).replace("\n", " ")

    assert paid.method is not None
    expected = [
        *("Receipt", found.number, "Total paid", write.money(found.settled), receipt_number(paid.payment_id)),
        *(
            write.day_of(shown.paid_at(paid)),
            method_name(paid.method.kind, paid.method.brand, paid.method.last4),
        ),
        *(
            "Payment",
            "Refund",
            write.money(back.amount),
            f"{write.money(Money(1_000, found.currency))} of it was refunded",
        ),
    ]
    assert [each for each in expected if each not in text] == []


def test_there_is_no_receipt_before_a_payment() -> None:
    with pytest.raises(paper.NothingPaid):
        paper.receipt(msgspec.structs.replace(PAID, movements=[]))


def test_a_credit_note_says_what_it_takes_off_which_invoice() -> None:
    document = CREDIT_NOTE
    found = msgspec.structs.replace(WHOLE, number="2026-000077")
    write = Formats.of(document)

    text = words(printed(paper.credit_note(found, document))).replace("\n", " ")

    expected = [
        *("Credit note", document.number or "-", "2026-000077", "Ada Nolan", document.seller.name),
        write.day(document.issued_on),
        *(part for sum_ in shown.credited_sums(document, write) for part in (sum_.label, sum_.amount)),
        *(part for sum_ in shown.credited_lines(document, write) for part in (sum_.amount,)),
        *(line.service for line in document.lines),
        document.explanation,
    ]
    assert [each for each in expected if each not in text] == []


def test_an_erased_client_is_not_on_it() -> None:
    assert WHOLE.bill_to is not None
    erased = msgspec.structs.replace(WHOLE, bill_to=msgspec.structs.replace(WHOLE.bill_to, erased=True))

    assert "Ada Nolan" not in words(printed(paper.invoice(erased)))


def test_it_is_tagged_kept_and_has_a_title_and_a_language() -> None:
    pdf = printed(paper.invoice(WHOLE))
    read = PdfReader(BytesIO(pdf))
    catalog: Any = read.trailer["/Root"]
    about = catalog["/Metadata"].get_data().decode()

    assert "<pdfuaid:part>1</pdfuaid:part>" in about
    assert "<pdfaid:part>2</pdfaid:part>" in about and "<pdfaid:conformance>A</pdfaid:conformance>" in about
    assert catalog["/MarkInfo"]["/Marked"] and "/StructTreeRoot" in catalog
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    assert catalog["/Lang"] == "en-IE"
    assert read.metadata is not None
    assert read.metadata.title == f"Invoice {WHOLE.number}"
    assert read.metadata.creation_date is not None
    assert read.metadata.creation_date.date() == WHOLE.issued_on


async def test_the_bytes_are_the_same_in_every_process() -> None:
    made, others = paper.invoice(WHOLE), [patient(), patient()]
    pdfs = {printed(made), printed(made), Press().print(msgspec.to_builtins(made))}
    for printer in others:
        async with printer.closing():
            pdfs |= {await printer.print(made, CLINIC), await printer.print(made, CLINIC)}

    assert len(pdfs) == 1


def test_the_tag_changes_with_every_text_of_the_document() -> None:
    made = paper.invoice(WHOLE)

    assert etag(made) == etag(paper.invoice(WHOLE))
    assert etag(made) != etag(replace(made, foot="another"))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_markup_or_fails_the_document(text: str) -> None:
    pdf = printed(paper.invoice(with_text(text)))

    read = PdfReader(BytesIO(pdf))
    assert len(read.pages) >= 1
    seen = "".join(words(pdf).split())
    wanted = "".join("".join(filter(str.isprintable, text)).split())[:40]
    assert not text.isascii() or wanted.removeprefix("[31m") in seen


@pytest.mark.parametrize("text", ["W" * 10_000, "word " * 2_000], ids=("one word", "many words"))
def test_a_text_of_ten_thousand_characters_breaks_over_pages(text: str) -> None:
    line = msgspec.structs.replace(WHOLE.lines[0], service=text)
    found = msgspec.structs.replace(WHOLE, note=text, lines=[line])

    read = PdfReader(BytesIO(printed(paper.invoice(found))))

    assert len(read.pages) > 3


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_has_a_font(name: str) -> None:
    assert REPLACEMENT not in LETTERS.shown(SCRIPTS[name])
    assert REPLACEMENT not in words(printed(paper.invoice(with_text(SCRIPTS[name]))))


@pytest.mark.parametrize("name", WITHOUT_FONT)
def test_a_character_without_a_font_is_replaced_in_sight(name: str) -> None:
    text = WITHOUT_FONT[name]
    assert LETTERS.shown(text) == REPLACEMENT * len(text)
    assert REPLACEMENT in words(printed(paper.invoice(with_text(f"Dr {text}"))))


def test_every_sum_of_every_currency_and_country_can_be_shown() -> None:
    for locale in sorted({each.partition("_")[0] for each in locale_identifiers()}):
        write = paper.Written.of(msgspec.structs.replace(WHOLE, locale=locale))
        for currency in CURRENCIES:
            text = write.money(Money(-123_456_789, currency))
            assert REPLACEMENT not in LETTERS.shown(text), (locale, currency)


def test_both_weights_of_a_font_have_the_samecharacters() -> None:
    from fontTools.ttLib import TTFont

    files = {path.name for path in FONTS.glob("*.ttf")}
    for family in FAMILIES:
        name = family.replace(" ", "")
        with TTFont(FONTS / f"{name}-SemiBold.ttf") as bold:
            assert frozenset(bold.getBestCmap()) == characters(family)
        files -= {f"{name}-Regular.ttf", f"{name}-SemiBold.ttf"}
    assert files == set(), "a font that no document uses"


def test_five_hundred_lines_take_many_pages() -> None:
    many = msgspec.structs.replace(WHOLE, lines=[*WHOLE.lines] * 500)

    read = PdfReader(BytesIO(printed(paper.invoice(many))))

    assert len(read.pages) > 30
    assert "Service" in read.pages[20].extract_text(), "each page repeats the head of the table"
    assert f"Page 20 of {len(read.pages)}" in read.pages[19].extract_text()


TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from([*SCRIPTS.values(), *WITHOUT_FONT.values()]),
    st.lists(st.sampled_from([*SCRIPTS.values(), *WITHOUT_FONT.values(), "1,5 €", "\u0301"])).map("".join),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=5),
    locale=st.sampled_from(LOCALES),
    currency=st.sampled_from(sorted(CURRENCIES)),
    minor=st.integers(-(10**15), 10**15),
    day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
)
def test_every_invoice_can_be_printed(
    texts: list[str], locale: str, currency: str, minor: int, day: date
) -> None:
    amount = Money(minor, currency)
    lines = [
        msgspec.structs.replace(with_text(text).lines[0], unit_price=amount, amount=amount, tax=amount)
        for text in texts
    ]
    found = msgspec.structs.replace(
        with_text(texts[0]),
        lines=lines,
        locale=locale,
        currency=currency,
        total=amount,
        subtotal=amount,
        issued_on=day,
    )

    seen = "".join(words(printed(paper.invoice(found))).split())

    assert found.number in seen


async def test_a_process_that_ended_is_replaced() -> None:
    printer = patient(1)
    async with printer.closing():
        first = await printer.print(paper.invoice(WHOLE), CLINIC)
        [press] = printer.idle
        press.kill()
        await press.wait()

        assert await printer.print(paper.invoice(WHOLE), CLINIC) == first
        assert printer.idle != [press]


async def test_a_document_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    printer = Printer(presses=1, seconds=0.0)
    async with printer.closing():
        with pytest.raises(NotPrinted):
            await printer.print(paper.invoice(WHOLE), CLINIC)

        assert printer.idle == []


async def test_no_more_processes_than_it_may_have_print_at_once() -> None:
    printer = patient()
    async with printer.closing():
        made = [replace(paper.invoice(WHOLE), number=str(at)) for at in range(8)]
        pdfs = await asyncio.gather(*(printer.print(each, new_id()) for each in made))

        assert len(set(pdfs)) == len(made)
        assert len(printer.idle) == 2


async def test_a_clinic_has_one_process_and_leaves_the_others_to_others() -> None:
    printer, other = patient(), paper.invoice(WHOLE)
    many = [
        paper.invoice(msgspec.structs.replace(WHOLE, number=str(at), lines=[*WHOLE.lines] * 100))
        for at in range(6)
    ]
    ended: list[str] = []

    async def ask(made: Paper, clinic: UUID) -> None:
        await printer.print(made, clinic)
        ended.append(made.number)

    async with printer.closing():
        await ask(other, new_id())
        await asyncio.gather(*(ask(each, CLINIC) for each in many), ask(other, new_id()))

        assert other.number in ended[1:4], "the first two of the other clinic may be faster"
        assert len(printer.idle) <= 2


async def test_more_than_can_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_A_CLINIC", 3)
    monkeypatch.setattr(module, "MOST_WAITING", 4)
    printer, made = patient(), paper.invoice(WHOLE)
    async with printer.closing():
        of_one, of_many = [
            await asyncio.gather(*(printer.print(made, clinic) for clinic in clinics), return_exceptions=True)
            for clinics in ([CLINIC] * 5, [CLINIC] * 3 + [new_id(), new_id()])
        ]

        assert [isinstance(each, bytes) for each in of_one] == [True] * 3 + [False] * 2
        assert [isinstance(each, bytes) for each in of_many] == [True] * 4 + [False]
        assert all(isinstance(each, bytes | NotPrinted) for each in (*of_one, *of_many))
        assert await printer.print(made, CLINIC), "their places are free again"


async def test_a_document_that_cannot_be_printed_harms_no_other() -> None:
    printer = patient(1)
    async with printer.closing():
        with pytest.raises(NotPrinted):
            await printer.print(replace(paper.invoice(WHOLE), made_at="never"), CLINIC)

        assert (await printer.print(paper.invoice(WHOLE), CLINIC)).startswith(b"%PDF")


def test_the_layout_reads_the_fields_of_a_paper() -> None:
    made = json.dumps(msgspec.to_builtins(paper.invoice(WHOLE)))
    assert set(json.loads(made)) == set(Paper.__dataclass_fields__)
