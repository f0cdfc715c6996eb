"""Documents as PDF, held against the standards by veraPDF."""

import json
from pathlib import Path

import msgspec
import pytest

from contracts.http.common import Money
from services.invoice.checks import Price
from services.invoice.documents.domain import CreditRequest
from services.invoice.invoices.drafts import LineDraft
from services.invoice.printing import paper
from services.invoice.printing.paper import Paper
from services.invoice.printing.press import STANDARDS, Press
from tests.builders.factur_x import a_draft, an_invoice, with_credit_note
from tests.builders.printing import (
    CREDIT_NOTE,
    HOSTILE,
    LOCALES,
    PAID,
    SCRIPTS,
    WHOLE,
    WITHOUT_FONT,
    a_statement,
    with_text,
)
from tests.tools import verapdf

TEXTS = [*SCRIPTS.values(), *WITHOUT_FONT.values(), *HOSTILE, "1,5 €" * 400]


def documents() -> list[Paper]:
    """An invoice, a receipt, a credit note and a statement, with each text in all places, in the languages by turns."""
    made = [paper.invoice(WHOLE), paper.receipt(PAID), paper.credit_note(WHOLE, CREDIT_NOTE)]
    many = msgspec.structs.replace(WHOLE, lines=[*WHOLE.lines] * 250)
    back = msgspec.structs.replace(PAID.movements[0], kind="refund", amount=Money(-1_000, PAID.currency))
    made += [
        paper.invoice(many),
        paper.receipt(msgspec.structs.replace(PAID, movements=[*PAID.movements, back])),
    ]
    for at, text in enumerate(TEXTS):
        locale = LOCALES[at % len(LOCALES)]
        found = msgspec.structs.replace(with_text(text), locale=locale)
        received = msgspec.structs.replace(with_text(text, PAID), locale=locale)
        corrected = msgspec.structs.replace(CREDIT_NOTE, explanation=text, locale=locale)
        made += [paper.invoice(found), paper.receipt(received), paper.credit_note(found, corrected)]
        made.append(paper.statement(a_statement(text, locale)))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, press = tmp_path_factory.mktemp("documents"), Press()
    for at, document in enumerate(documents()):
        (place / f"{at}.pdf").write_bytes(press.print(msgspec.to_builtins(document)))
    return place


@pytest.fixture(scope="module")
def e_invoices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invoices and credit notes as Factur-X files, with texts of all kinds in the PDF and in the XML."""
    place, press = tmp_path_factory.mktemp("e-invoices"), Press()
    for at, text in enumerate(["Physiotherapy", *SCRIPTS.values(), "🦷 <b>&amp; </rdf:RDF> (x) \\"]):
        line = LineDraft(service=text, unit_price=Price(10_000, "EUR"), tax_code="MED")
        found = with_credit_note(an_invoice(a_draft([line], note=text)), CreditRequest(reason="not_given"))
        for name, made in (
            ("invoice", paper.invoice(found)),
            ("note", paper.credit_note(found, found.documents[0])),
        ):
            assert made.e_invoice
            (place / f"{name}-{at}.pdf").write_bytes(press.print(msgspec.to_builtins(made)))
    return place


@pytest.mark.parametrize("flavour", ["ua1", "3a"])
async def test_every_e_invoice_keeps_the_standard(e_invoices: Path, flavour: str) -> None:
    found = await verapdf.breaches(e_invoices, flavour)

    assert len(found) == 2 * (len(SCRIPTS) + 2)
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("flavour", [each.removeprefix("a-").replace("-", "") for each in STANDARDS])
async def test_every_document_keeps_the_standard(folder: Path, flavour: str) -> None:
    found = await verapdf.breaches(folder, flavour)

    assert len(found) == len(documents())
    assert {name: rules for name, rules in found.items() if rules} == {}


async def test_the_validator_sees_a_document_without_a_title_to_show(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "0.pdf").read_bytes()
    assert whole.count(b"/DisplayDocTitle true") == 1
    (tmp_path / "broken.pdf").write_bytes(whole.replace(b"/DisplayDocTitle true", b"/DisplayDocTitle null"))

    [rules] = (await verapdf.breaches(tmp_path, "ua1")).values()

    assert any(rule.startswith("7.1") for rule in rules), json.dumps(rules)
